"""`python -m e2e.chaos [--only TEXT]`: plays all cases on one control plane and prints what became of each."""

from __future__ import annotations

import argparse
import logging
import sys

from e2e.chaos.cases import CASES
from e2e.chaos.run import play, play_faultless
from e2e.chaos.scenario import WHOLE
from e2e.chaos.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    arguments = parser.parse_args()
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    cases = [case for case in CASES if arguments.only in case.name]
    with World.start(say=print) as world:
        reference = play_faultless(world, WHOLE)
        for number, case in enumerate(cases):
            result = play(world, case, reference, namespace=f"case-{number}")
            print(case.name, f"{result.seconds:.1f}", result.extra_writes, result.struck, result.wrong, result.breaches)
    return 0


if __name__ == "__main__":
    sys.exit(main())
