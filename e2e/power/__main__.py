"""`python -m e2e.power`: plays cases on two racks, and prints what each saw. Exit status 1 where one fails."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

from e2e.power.cases import CASES, Case
from e2e.power.world import PowerWorld
from medley_planner.power import CHANGE_SECONDS
from tests.nvml.registers import NoCompilerError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.power", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all processes here")
    arguments = parser.parse_args()
    began, failed = time.monotonic(), 0
    try:
        with PowerWorld.start() as world:
            print(f"up after {time.monotonic() - began:.0f} s", flush=True)
            for case in CASES:
                if arguments.only in case.name:
                    failed += _play(world, case)
            hasty = world.watch.hasty(CHANGE_SECONDS)
            print("\n".join(hasty) or "no board was changed twice within 5 s")
            if arguments.logs is not None:
                world.plane.gather_logs(arguments.logs)
    except NoCompilerError as error:
        print(f"e2e.power: {error}", file=sys.stderr)
        return 1
    return 1 if failed or hasty else 0


def _play(world: PowerWorld, case: Case) -> int:
    began = time.monotonic()
    try:
        world.calm()
        figures = case.play(world)
    except AssertionError as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}: {place.line}"
        print(f"FAILED {case.name} after {time.monotonic() - began:.0f} s: {error}\n{where}", flush=True)
        return 1
    print(f"ok {case.name} ({time.monotonic() - began:.0f} s): {'; '.join(figures)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
