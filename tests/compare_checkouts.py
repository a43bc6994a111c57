"""`python -m tests.compare_checkouts BEFORE [AFTER]`: do two checkouts make bit-equal problems and plans?

Each checkout makes the same cases in separate processes, with nothing of the other on its path, and both get the inputs
(examples, shared data) of BEFORE. Names are found wherever a checkout defines them, values are compared by their fields
and their last bit, and what differs is run a second time: where a checkout then differs from itself, the case is
unsteady and proves nothing. Exit status: 0 all equal, 1 something differs, fails or is unsteady, 2 bad usage.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.compare.differences import Allowed, Difference, different_cases

HERE = Path(__file__).parents[1]
SUITES = ("goldens", "property", "fleet", "snapshots", "solve")
MOST_SHOWN = 20
_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from compare.dump import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Dump:
    """The answer of one checkout to a suite: canonical values by case, and how it came by them."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    limited: frozenset[str] = frozenset()
    skipped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Compared:
    """`errors` are of either checkout, `limited` the cases in which a solver ran into a time limit."""

    suite: str
    cases: int
    different: dict[str, tuple[Difference, ...]]
    errors: dict[str, str]
    unsteady: tuple[str, ...]
    limited: tuple[str, ...]
    skipped: str
    seconds: tuple[float, float]

    @property
    def equal(self) -> int:
        return self.cases - len({*self.different, *self.errors, *self.unsteady})


class DumpFailed(Exception):
    """A checkout could not be run at all."""


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    for checkout in (args.before, args.after):
        if not (checkout / "planner" / "medley_planner").is_dir():
            print(f"compare_checkouts: {checkout} is not a checkout of this project", file=sys.stderr)
            return 2
    renamed = dict(pair.partition("=")[::2] for pair in args.renamed)
    allowed = Allowed(frozenset(args.allow_added), renamed, frozenset(args.ignore))
    console = Console(width=160, markup=False, highlight=False)
    found = []
    for suite in SUITES if args.suite == "all" else (args.suite,):
        try:
            compared = compare(suite, args, allowed)
        except DumpFailed as error:
            print(f"compare_checkouts: {error}", file=sys.stderr)
            return 2
        if not compared.cases and not compared.skipped:
            print(f"compare_checkouts: {suite} has no such case as {' '.join(args.only or ())}", file=sys.stderr)
            return 2
        _print_details(compared, console)
        found.append(compared)
    console.print(_table(found))
    if args.json is not None:
        args.json.write_text(json.dumps({"suites": [_figures(one) for one in found]}, indent=1), encoding="utf-8")
    return 0 if all(one.equal == one.cases for one in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.compare_checkouts", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("before", metavar="BEFORE", type=Path)
    parser.add_argument("after", metavar="AFTER", type=Path, nargs="?", default=Path())
    parser.add_argument("--suite", choices=(*SUITES, "all"), default="all")
    parser.add_argument("--seeds", type=int, default=5, help="small problems of each feature and mode; default: 5")
    parser.add_argument("--full", action="store_true", help="fleets of 500 services too")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="only the cases of these names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    for flag, metavar, what in (
        ("--allow-added", "NAME", "a field that only AFTER may have"),
        ("--renamed", "OLD=NEW", "a field that has another name in AFTER"),
        ("--ignore", "NAME", "a field that is not compared, such as message"),
    ):
        parser.add_argument(flag, metavar=metavar, action="append", default=[], help=f"{what}; repeatable")
    return parser


def compare(suite: str, args: argparse.Namespace, allowed: Allowed) -> Compared:
    """Both checkouts' answers; what differs is asked of both again. Raises `DumpFailed`."""
    before, after = (_dump(suite, checkout, args, args.only) for checkout in (args.before, args.after))
    different = different_cases(before.values, after.values, allowed)
    errors = {case: f"BEFORE: {said}" for case, said in before.errors.items()}
    errors |= {case: f"AFTER: {said}" for case, said in after.errors.items()}
    different = {case: parts for case, parts in different.items() if case not in errors}
    unsteady: set[str] = set()
    repeated = sorted(case for case in different if case in before.values and case in after.values)
    if repeated:
        for first, checkout in ((before, args.before), (after, args.after)):
            again = _dump(suite, checkout, args, repeated)
            asked = {case: first.values[case] for case in repeated}
            unsteady |= {*different_cases(asked, again.values, Allowed())}
    return Compared(
        suite=suite,
        cases=len({*before.values, *after.values, *errors}),
        different={case: parts for case, parts in different.items() if case not in unsteady},
        errors=errors,
        unsteady=tuple(sorted(unsteady)),
        limited=tuple(sorted(before.limited | after.limited)),
        skipped=before.skipped or after.skipped,
        seconds=(before.seconds, after.seconds),
    )


def _dump(suite: str, checkout: Path, args: argparse.Namespace, only: Sequence[str] | None) -> Dump:
    root, inputs = checkout.resolve(), args.before.resolve() / "examples"
    command = [sys.executable, "-c", _BOOT, str(HERE / "tests"), suite, "--inputs", str(inputs)]
    command += ["--seeds", str(args.seeds), *(["--full"] if args.full else [])]
    command += [] if only is None else ["--only", *only]
    data = os.environ.get("MEDLEY_SHARED_DATA", str(HERE.parent / "shared" / "data"))
    path = os.pathsep.join(str(part) for part in (root / "planner", root / "operator", root))
    environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "MEDLEY_SHARED_DATA": data}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    started = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise DumpFailed(f"{suite} in {checkout} ended with status {done.returncode}:\n{done.stderr[-4000:]}")
    return _read(done.stdout, seconds=time.perf_counter() - started)


def _read(text: str, *, seconds: float) -> Dump:
    lines = [json.loads(line) for line in text.splitlines()]
    cases = [line for line in lines if "case" in line]
    return Dump(
        values={line["case"]: line["value"] for line in cases if "value" in line},
        errors={line["case"]: line["error"] for line in cases if "error" in line},
        limited=frozenset(line["case"] for line in cases if line["limited"]),
        skipped=next((line["skipped"] for line in lines if "skipped" in line), ""),
        seconds=seconds,
    )


def _print_details(compared: Compared, console: Console) -> None:
    for case, parts in compared.different.items():
        for part in parts[:MOST_SHOWN]:
            console.print(f"{compared.suite}: {case}: {part.path}: {_short(part.before)} -> {_short(part.after)}")
        if len(parts) > MOST_SHOWN:
            console.print(f"{compared.suite}: {case}: and {len(parts) - MOST_SHOWN} more")
    for case, said in compared.errors.items():
        console.print(f"{compared.suite}: {case}: failed: {said}")
    for case in compared.unsteady:
        console.print(f"{compared.suite}: {case}: unsteady: a checkout differs from itself; run it again alone")
    for case in compared.limited:
        console.print(f"{compared.suite}: {case}: a solve came to its time limit, so plans may differ by chance")
    if compared.skipped:
        console.print(f"{compared.suite}: skipped: {compared.skipped}")


def _short(value: Any) -> str:
    """A float also as people read it."""
    text = json.dumps(value)
    if isinstance(value, str) and value.lstrip("-").startswith("0x"):
        text = f"{value} ({float.fromhex(value)!r})"
    return text if len(text) <= 200 else text[:200] + "..."


def _table(found: Sequence[Compared]) -> Table:
    table = Table(title="Bit by bit, BEFORE against AFTER", title_justify="left")
    for heading in (
        "suite",
        "cases",
        "equal",
        "different",
        "failed",
        "unsteady",
        "at a time limit",
        "s before",
        "s after",
    ):
        table.add_column(heading, justify="left" if heading == "suite" else "right")
    for one in found:
        counts = (one.cases, one.equal, len(one.different), len(one.errors), len(one.unsteady), len(one.limited))
        table.add_row(one.suite, *(str(count) for count in counts), *(f"{seconds:.0f}" for seconds in one.seconds))
    return table


def _figures(one: Compared) -> dict[str, Any]:
    parts = [part for case in one.different.values() for part in case]
    return {
        "suite": one.suite,
        "cases": one.cases,
        "equal": one.equal,
        "different": [
            {"case": part.case, "path": part.path, "before": part.before, "after": part.after} for part in parts
        ],
        "failed": one.errors,
        "unsteady": list(one.unsteady),
        "limited": list(one.limited),
        "skipped": one.skipped,
        "seconds": list(one.seconds),
    }


if __name__ == "__main__":
    sys.exit(main())
