"""An adversary of the planner: drawn problems, and what an integer program of its own says of them.

The program is written from docs/planner.md, is solved by HiGHS, and shares no code with the planner. `make fuzz` runs
it on many problems, `tests/property/test_adversary.py` on some.
"""
