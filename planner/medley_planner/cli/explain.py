"""`medley explain INSTANCE.json`: why the plan of a bare instance is as it is.

Reads one or two files, writes to standard output; what is wrong with a file goes to standard error. Exit status as
`medley solve`: 0 planned, 2 bad input, 3 partly or not feasible, 4 no plan that passes the verifier.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medley_planner.bad_input import BadInput
from medley_planner.cli.arguments import add_plan_options, seconds_argument
from medley_planner.cli.explain_answer import ServiceNotes
from medley_planner.cli.fleet_reader import parse_fleet
from medley_planner.cli.instance import parse_instance, read_document
from medley_planner.cli.planned import NoPlan, plan_all_or_raise
from medley_planner.cli.solve import is_fleet
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.explain import explain, routing_savings
from medley_planner.model import Plan, PlanStatus, Problem
from medley_planner.planning import problem_as_planned

_ROUTING_PART = 0.2
"""Part of the time to explain that goes to what a better router would save."""


def add_parser(subparsers: Any) -> None:
    """Adds the `explain` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "explain",
        help="explain the plan of a bare instance or fleet",
        description="Plan a bare instance or fleet (as `solve` reads it) and explain the plan: limits that bind and "
        "what more of them would save, cost per million tokens, what each type alone would cost, why types are "
        "unused, and what would let unserved demand be served. Exit status: 0 planned, 2 bad input, 3 partly or not "
        "feasible, 4 no plan that passes the verifier.",
    )
    parser.add_argument("instance", metavar="INSTANCE.json", type=Path, help="file with one instance or fleet")
    parser.add_argument(
        "--last",
        metavar="FILE",
        type=Path,
        help="an earlier instance; it is planned too, and the changes since then are explained",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that explains."""
    add_plan_options(parser, why=True)
    parser.add_argument(
        "--explain-seconds",
        metavar="SECONDS",
        type=seconds_argument,
        default=10.0,
        help="most seconds to try other plans; results that are not found by then are left open; default: 10",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        problem, rejected = read_problem(args.instance)
        last_problem = read_problem(args.last)[0] if args.last is not None else None
        planned = plan_all_or_raise(problem, deadline_seconds=args.deadline)
        rejected = (*rejected, *(f'service "{name}": {why.message}' for name, why in planned.refused.items()))
        problem, last = problem_as_planned(problem, planned), None
        if last_problem is not None:
            last = plan_all_or_raise(last_problem, deadline_seconds=args.deadline)
            last_problem = problem_as_planned(last_problem, last)
    except BadInput as error:
        return report_error("explain", error)
    except NoPlan as error:
        return report_error("explain", error, status=ExitStatus.NO_PLAN)
    for line in rejected:
        report_error("explain", f"{args.instance}: {line}")
    explain_and_print(problem, planned, args, last=last, last_problem=last_problem)
    whole = planned.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE) and not rejected
    return ExitStatus.OK if whole else ExitStatus.NOT_ALL


def read_problem(path: Path) -> tuple[Problem, tuple[str, ...]]:
    """The problem, and a line for each service that is left out of it; one bare instance leaves out none.

    Raises `BadInput` where the file is not a usable instance or fleet.
    """
    document = read_document(path)
    try:
        if not is_fleet(document):
            return parse_instance(document).problem, ()
        fleet = parse_fleet(document)
    except BadInput as error:
        error.within(str(path))
        raise
    return fleet.problem, tuple(str(rejected.fault) for rejected in fleet.rejected)


def explain_and_print(
    problem: Problem,
    planned: Plan,
    args: argparse.Namespace,
    *,
    last: Plan | None,
    last_problem: Problem | None,
    notes: ServiceNotes | None = None,
) -> None:
    """To standard output, as `args` of `add_options` ask."""
    notes = notes or ServiceNotes()
    seconds: float = args.explain_seconds
    explanation = explain(
        problem,
        planned,
        last=last,
        last_problem=last_problem,
        excluded=notes.excluded,
        seconds=(1 - _ROUTING_PART) * seconds,
    )
    savings = routing_savings(problem, planned, seconds=_ROUTING_PART * seconds)
    if args.output in ("json", "yaml"):
        from medley_planner.cli.explain_report import explanation_report, write_report

        write_report(explanation_report(explanation, savings), output=args.output)
    else:
        from medley_planner.cli.explain_table import print_explanation

        print_explanation(explanation, planned, savings, notes=notes, why=args.why or args.output == "wide")
