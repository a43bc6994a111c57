"""`medley power controller`: a process of its own that reads meters, steps the capping policy and writes caps."""
