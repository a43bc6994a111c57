"""`python -m e2e.chaos [--only TEXT] [--short]`: plays the cases on one control plane and prints what became of each.

Exit status: 0 all as known, 1 something fails that should not, or passes though it is known to fail.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from e2e.chaos.cases import CASES, SHORT_CASES, kills
from e2e.chaos.report import table
from e2e.chaos.run import Result, play, play_faultless
from e2e.chaos.scenario import SHORT, WHOLE
from e2e.chaos.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--short", action="store_true", help="the short form, as in make test")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all processes here")
    arguments = parser.parse_args()
    # Each connection that a fault ends would be an error in it.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    results: list[Result] = []
    with World.start(say=lambda text: print(text, flush=True)) as world:
        try:
            reference = play_faultless(world, SHORT if arguments.short else WHOLE)
            table_of = SHORT_CASES if arguments.short else (*CASES, *kills(reference.most))
            cases = [case for case in table_of if arguments.only in case.name]
            for number, case in enumerate(cases):
                result = play(world, case, reference, namespace=f"case-{number}")
                results.append(result)
                print(f"{case.name}: {'ok' if result.ok else result.wrong + result.breaches}", flush=True)
        finally:
            if arguments.logs is not None:
                world.plane.gather_logs(arguments.logs)
    print(f"\n{table(results)}")
    return 0 if all(result.as_known for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
