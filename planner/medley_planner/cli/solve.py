"""`medley solve INSTANCE.json`: the cheapest mix for a bare capacity table, with no cluster and no model of anything.

Reads one file, writes to standard output; what is wrong with the file goes to standard error. Exit status: 0 planned,
3 partly or not feasible, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medley_planner.cli.instance import Instance, InstanceError, read_instance
from medley_planner.model import Plan, PlanStatus
from medley_planner.optimize import InvalidProblem, plan, verify

EXIT_PLANNED = 0
EXIT_BAD_INPUT = 2
EXIT_NOT_ALL = 3


def add_parser(subparsers: Any) -> None:
    """Adds the `solve` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "solve",
        help="plan a bare instance: your own capacity table, size mix and rate",
        description="Plan a bare instance (JSON: gpu, dist, rate; optional ins, outs, stock, routing). The capacity "
        "table is taken as it is: no derating, no headroom. dist may be off a sum of 1 by 1 % and is scaled to it. "
        "Exit status: 0 planned, 3 partly or not feasible, 2 bad input.",
    )
    parser.add_argument("instance", metavar="INSTANCE.json", type=Path, help="file with one instance")
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="default: table")
    parser.add_argument(
        "--deadline", metavar="SECONDS", type=_seconds, default=10.0, help="how long to solve at most; default: 10"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        instance = read_instance(args.instance)
        planned = plan(instance.problem, deadline_seconds=args.deadline)
    except (InstanceError, InvalidProblem) as error:
        print(f"medley solve: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    violations = verify(instance.problem, planned)
    if violations:
        raise AssertionError(f"the plan breaks its own rules: {violations}")
    report = summarise(instance, planned)
    _WRITERS[args.output](report)
    return EXIT_PLANNED if planned.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE) else EXIT_NOT_ALL


def summarise(instance: Instance, planned: Plan) -> dict[str, Any]:
    """The object that `-o json` prints. Money in US dollars per hour, rates in requests per second."""
    service = planned.services[0]
    single = service.best_single
    return {
        "status": planned.status.value,
        "cost_per_hour": _rounded(planned.cost_per_hour),
        "lower_bound": _rounded(planned.lower_bound_per_hour),
        "gap": _rounded(planned.gap),
        "replicas": service.replicas(),
        "best_single": single and {"type": single.variant, "cost_per_hour": _rounded(single.cost_per_hour)},
        "unserved": [
            {
                "bucket": [entry.bucket // instance.columns, entry.bucket % instance.columns],
                "prompt_tokens": _size(instance.prompt_tokens, entry.bucket // instance.columns),
                "generation_tokens": _size(instance.generation_tokens, entry.bucket % instance.columns),
                "rate": _rounded(entry.rate_rps),
                "reason": entry.reason.value,
            }
            for entry in service.unserved
        ],
    }


def _size(sizes: tuple[float, ...] | None, index: int) -> float | None:
    return sizes[index] if sizes is not None else None


def _rounded(value: float) -> float:
    """Drops the dust of binary sums (4.68 stays 4.68), far below any tolerance in use."""
    return float(f"{value:.12g}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _write_json(report: dict[str, Any]) -> None:
    print(json.dumps(report, indent=2))


def _write_yaml(report: dict[str, Any]) -> None:
    import yaml

    print(yaml.safe_dump(report, sort_keys=False), end="")


def _write_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)  # names are the user's own and may hold brackets
    mix = Table(title=f"{report['status']}: ${report['cost_per_hour']:.2f}/h", title_justify="left")
    mix.add_column("GPU type")
    mix.add_column("replicas", justify="right")
    for name, count in report["replicas"].items():
        mix.add_row(name, str(count))
    console.print(mix)
    console.print(f"lower bound ${report['lower_bound']:.2f}/h, gap {report['gap']:.4%}")
    single = report["best_single"]
    if single is None:
        console.print("best single type: none serves this demand alone")
    else:
        console.print(f"best single type: {single['type']} at ${single['cost_per_hour']:.2f}/h")
    if report["unserved"]:
        console.print(_unserved_table(report["unserved"]))


def _unserved_table(unserved: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(title="Not served", title_justify="left")
    for heading in ("bucket", "prompt tokens", "generated tokens", "requests/s", "reason"):
        table.add_column(heading, overflow="fold")
    for entry in unserved:
        sizes = ["-" if entry[key] is None else f"{entry[key]:g}" for key in ("prompt_tokens", "generation_tokens")]
        table.add_row(str(entry["bucket"]), *sizes, f"{entry['rate']:.4g}", entry["reason"])
    return table


_WRITERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "json": _write_json,
    "yaml": _write_yaml,
    "table": _write_table,
}
