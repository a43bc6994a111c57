"""`python -m medley_operator`: the operator itself, as `medley operator` is."""

from __future__ import annotations

import sys

from medley_operator.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["operator", *sys.argv[1:]]))
