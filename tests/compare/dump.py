"""Runs one suite in the checkout that is the working directory; one JSON line per case goes to standard output.

A line holds the case's name, the seconds it took, whether a solve was ended by its time limit, and its canonical value
or what went wrong. `compare_checkouts` starts it with the checkout's folders alone on the path.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from .canonical import canonical
from .command_cases import command_cases
from .names import strangers
from .patience import Limits, stop_the_clock, wall_seconds
from .planner_cases import Case, Skipped, fleet_cases, golden_cases, property_cases
from .snapshot_cases import snapshot_cases

FLEET_SIZES = (10, 30, 100)
FULL_FLEET_SIZES = (*FLEET_SIZES, 500)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of cases; default: all")
    args = parser.parse_args()
    # Whatever a command prints must not get between the lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limits = Limits()
    stop_the_clock(limits)
    try:
        for name, run in _cases(args):
            if args.only is None or name in args.only:
                out.write(json.dumps(_line(name, run, limits)) + "\n")
                out.flush()
    except Skipped as reason:
        out.write(json.dumps({"skipped": str(reason)}) + "\n")
    foreign = strangers()
    if foreign:
        print(f"imported from another checkout: {', '.join(foreign)}", file=sys.stderr)
        return 2
    out.close()
    return 0


def _cases(args: argparse.Namespace) -> Iterator[Case]:
    if args.suite == "goldens":
        return golden_cases()
    if args.suite == "property":
        return property_cases(args.seeds)
    if args.suite == "fleet":
        return fleet_cases(FULL_FLEET_SIZES if args.full else FLEET_SIZES)
    if args.suite == "snapshots":
        return snapshot_cases(args.inputs)
    return command_cases(args.inputs)


def _line(name: str, run: Any, limits: Limits) -> dict[str, Any]:
    before, started = limits.reached, wall_seconds()
    try:
        outcome = {"value": canonical(run())}
    except Exception as error:  # noqa: BLE001 - what fails in one checkout alone is a difference like any other
        traceback.print_exc()
        outcome = {"error": f"{type(error).__name__}: {error}"}
    return {"case": name, "seconds": wall_seconds() - started, "limited": limits.reached > before} | outcome
