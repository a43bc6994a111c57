"""`medley solve FILE.json`: the cheapest mix for bare capacity tables, with no cluster and no model of anything.

Reads one file with a fleet or with one instance, writes to standard output; what is wrong with the file goes to
standard error. Exit status: 0 planned, 2 bad input, 3 partly or not feasible or some services rejected, 4 no plan that
passes the verifier.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medley_planner.bad_input import BadInput
from medley_planner.by_watts import Objective
from medley_planner.cli.arguments import BadOption, add_plan_options
from medley_planner.cli.figures import rounded
from medley_planner.cli.instance import Instance, parse_instance, read_document
from medley_planner.cli.objective import ObjectivePlanner, add_objective_options
from medley_planner.cli.planned import NoPlan, plan_all_or_raise
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.model import Plan, PlanStatus
from medley_planner.units import per_hour

if TYPE_CHECKING:
    from rich.console import Console

_WHOLE = (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE)


def add_parser(subparsers: Any) -> None:
    """Adds the `solve` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "solve",
        help="plan a fleet or a bare instance: your own capacity tables, size mixes and rates",
        description="Plan a fleet (JSON: services, pools; optional power_domains, horizon_seconds) or a bare instance "
        "(JSON: gpu, dist, rate; optional ins, outs, stock, routing). Capacity tables are taken as they are: no "
        "derating, and only the headroom that the document asks for. Shares may miss a sum of 1 by 1 % and are "
        "scaled. A service with bad data is reported as Rejected, and the others are planned. Exit status: 0 planned, "
        "2 bad input, 3 partly or not feasible or some services rejected, 4 no plan that passes the verifier.",
    )
    parser.add_argument("instance", metavar="FILE.json", type=Path, help="file with one fleet or one instance")
    parser.add_argument("--schema", action=_PrintSchema, nargs=0, help="print the JSON Schema of the file and exit")
    add_plan_options(parser)
    add_objective_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        document = read_document(args.instance)
        return _run_fleet(args, document) if is_fleet(document) else _run_instance(args, document)
    except BadInput as error:
        return report_error("solve", error)
    except NoPlan as error:
        return report_error("solve", error, status=ExitStatus.NO_PLAN)


def is_fleet(document: object) -> bool:
    """Whether the document is of the fleet's form, by its fields; the other form has `gpu`."""
    return isinstance(document, dict) and "gpu" not in document and ("services" in document or "pools" in document)


def _run_instance(args: argparse.Namespace, document: object) -> int:
    ObjectivePlanner(args)
    if args.objective == Objective.WATTS:
        way_out = "a bare instance has no watts; write its GPU types as variants of a fleet, with their watts"
        raise BadOption(str(args.instance), "--objective", args.objective, way_out)
    try:
        instance = parse_instance(document)
    except BadInput as error:
        error.within(str(args.instance))
        raise
    planned = plan_all_or_raise(instance.problem, deadline_seconds=args.deadline)
    report = summarise(instance, planned)
    _print(report, args.output, _print_instance)
    return ExitStatus.OK if planned.status in _WHOLE else ExitStatus.NOT_ALL


def _run_fleet(args: argparse.Namespace, document: dict[str, Any]) -> int:
    # The models of the fleet's form take a tenth of a second to make; one bare instance needs none of them.
    from medley_planner.cli.fleet_reader import parse_fleet
    from medley_planner.cli.fleet_report import summarise_fleet
    from medley_planner.cli.fleet_table import print_fleet

    try:
        fleet = parse_fleet(document)
    except BadInput as error:
        error.within(str(args.instance))
        raise
    planner = ObjectivePlanner(args)
    planned = planner(fleet.problem, partial(plan_all_or_raise, deadline_seconds=args.deadline))
    fleet = fleet.also_rejected({name: refusal.message for name, refusal in planned.refused.items()})
    for rejected in fleet.rejected:
        report_error("solve", f"{args.instance}: {rejected.fault}")
    report = summarise_fleet(fleet, planned) | planner.figures
    if planner.figures:
        report["lower_bound_per_hour"] = None
    _print(report, args.output, print_fleet)
    return ExitStatus.OK if planned.status in _WHOLE and not fleet.rejected else ExitStatus.NOT_ALL


def summarise(instance: Instance, planned: Plan) -> dict[str, Any]:
    """The object that `-o json` prints. Money in US dollars per hour, rates in requests per second."""
    service = planned.services[0]
    single = service.best_single
    return {
        "status": planned.status.value,
        "cost_per_hour": rounded(planned.cost_per_hour),
        "lower_bound": rounded(planned.lower_bound_per_hour),
        "gap": rounded(planned.gap),
        "replicas": service.replicas(),
        "best_single": single and {"type": single.variant, "cost_per_hour": rounded(single.cost_per_hour)},
        "unserved": [
            {
                "bucket": [entry.bucket // instance.columns, entry.bucket % instance.columns],
                "prompt_tokens": _size(instance.prompt_tokens, entry.bucket // instance.columns),
                "generation_tokens": _size(instance.generation_tokens, entry.bucket % instance.columns),
                "rate": rounded(entry.rate_rps),
                "reason": entry.reason.value,
            }
            for entry in service.unserved
        ],
    }


def _size(sizes: tuple[float, ...] | None, index: int) -> float | None:
    return sizes[index] if sizes is not None else None


class _PrintSchema(argparse.Action):
    """Needs no file, as `--help` does not."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from medley_planner.cli.schema import json_schema

        print(json.dumps(json_schema(), indent=2))
        parser.exit()


def _print(report: dict[str, Any], form: str, print_table: Callable[[dict[str, Any], Console], None]) -> None:
    if form == "json":
        print(json.dumps(report, indent=2))
    elif form == "yaml":
        import yaml

        print(yaml.safe_dump(report, sort_keys=False, allow_unicode=True), end="")
    else:
        from rich.console import Console

        # Names are the user's own and may hold brackets.
        print_table(report, Console(markup=False, highlight=False))


def _print_instance(report: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    from medley_planner.cli.answer import proof

    words = proof(
        cost_per_hour=report["cost_per_hour"],
        switching_cost_per_hour=0.0,
        lower_bound_per_hour=report["lower_bound"],
        gap=report["gap"],
    )
    console.print(f"{report['status']}: {words}", soft_wrap=True)
    mix = Table()
    mix.add_column("GPU type")
    mix.add_column("replicas", justify="right")
    for name, count in report["replicas"].items():
        mix.add_row(name, str(count))
    console.print(mix)
    single = report["best_single"]
    if single is None:
        console.print("best single type: no type serves this demand alone")
    else:
        console.print(f"best single type: {single['type']} at {per_hour(single['cost_per_hour'])}")
    if report["unserved"]:
        console.print(_unserved_table(report["unserved"]))


def _unserved_table(unserved: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(title="Not served", title_justify="left")
    for heading in ("bucket", "prompt tokens", "generated tokens", "req/s", "reason"):
        table.add_column(heading, overflow="fold")
    for entry in unserved:
        sizes = ["-" if entry[key] is None else f"{entry[key]:g}" for key in ("prompt_tokens", "generation_tokens")]
        table.add_row(str(entry["bucket"]), *sizes, f"{entry['rate']:.4g}", entry["reason"])
    return table
