"""Commands of the planner that need no cluster. Each module offers `add_parser(subparsers)` and `run(args) -> int`."""
