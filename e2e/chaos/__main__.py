"""`python -m e2e.chaos`: plays cases on one control plane, tells how far it is, and prints what became of each.

Exit status: 0 all as known, 1 something fails that should not, or passes though it is known to fail.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from e2e.chaos import pick
from e2e.chaos.cases import CASES, SHORT_CASES, kills, siege
from e2e.chaos.report import Ledger, table
from e2e.chaos.run import Case, Reference, Result, play, play_faultless
from e2e.chaos.scenario import SHORT, WHOLE, Step
from e2e.chaos.world import World


def main() -> int:
    arguments = _arguments()
    # Each connection that a fault ends would be an error in it.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    began = time.monotonic()
    results: list[Result] = []
    ledger = Ledger(arguments.ledger)
    with World.start(say=lambda text: print(text, flush=True)) as world:
        try:
            reference = play_faultless(world, _steps(arguments))
            cases = _cases(arguments, reference, ledger)
            for number, case in enumerate(cases, start=1):
                spent = time.monotonic() - began
                if arguments.minutes and spent > 60 * arguments.minutes:
                    print(f"{arguments.minutes:g} minutes are over: {len(cases) - number + 1} cases are left")
                    break
                print(f"[{number} of {len(cases)}, {spent:.0f} s so far] {case.name}", flush=True)
                result = play(world, case, reference, namespace=f"case-{number}")
                results.append(result)
                ledger.add(result)
                print(f"  {'ok' if result.ok else result.wrong + result.breaches}", flush=True)
        finally:
            if arguments.logs is not None:
                world.plane.gather_logs(arguments.logs)
    print(f"\n{table(results)}\n\n{len(results)} cases in {(time.monotonic() - began) / 60:.1f} min")
    return 0 if all(result.as_known for result in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this (or this|that)")
    parser.add_argument("--part", type=pick.Part.parse, default=pick.Part(), metavar="N/M", help="one part of M")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many of the ends around single writes")
    parser.add_argument("--attack-seconds", type=float, default=300.0, metavar="N", help="how long the adversary has")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the adversary")
    parser.add_argument("--minutes", type=float, default=0.0, metavar="N", help="begin no case after this time")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="note results here; skip what stands there as ok")
    parser.add_argument("--short", action="store_true", help="the short form, as in make test")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all processes here")
    return parser.parse_args()


def _steps(arguments: argparse.Namespace) -> tuple[Step, ...]:
    """The steps of the faultless run: no more than the cases have, unless those around single writes are among them."""
    if arguments.short:
        return SHORT
    if pick.named(kills(1), arguments.only):
        return WHOLE
    return max((case.played for case in pick.named(_table(arguments), arguments.only)), key=len, default=SHORT)


def _table(arguments: argparse.Namespace) -> list[Case]:
    # The longest goes first: it fits into no rest of a time that is given.
    return [siege(arguments.attack_seconds, arguments.seed), *CASES]


def _cases(arguments: argparse.Namespace, reference: Reference, ledger: Ledger) -> list[Case]:
    if arguments.short:
        return list(SHORT_CASES)
    every = [*_table(arguments), *pick.evenly(kills(reference.most), arguments.sample)]
    return pick.rest(pick.named(every, arguments.only), arguments.part, ledger.passed())


if __name__ == "__main__":
    sys.exit(main())
