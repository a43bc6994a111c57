"""How requests reach the replicas of a service: one module for each kind of routing object, all behind one protocol."""
