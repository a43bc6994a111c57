"""The load of a service: from what was observed, or a static workload, to the demand that is planned for."""
