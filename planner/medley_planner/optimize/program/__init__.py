"""The mixed-integer program: its rows, its solver, and the fleets that are taken without one."""
