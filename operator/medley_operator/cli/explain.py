"""`medley explain INSTANCE.json` and `medley explain -f FILE...`: why the plan is as it is, without a cluster.

A bare instance is the planner's own command; manifests are planned just as `medley plan -f` plans them. Writes nothing
but standard output and, with `--simulate`, the cache of simulated capacities. Exit status: 0 planned, 2 bad input, 3
partly or not feasible, 4 no plan that passes the verifier.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medley_operator.cli.arguments import add_manifest_files
from medley_operator.cli.tables import add_table_options, basis_notes, with_tables
from medley_planner.bad_input import BadInput
from medley_planner.cli import explain as bare
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.domain.values.candidates import Prepared
    from medley_planner.cli.explain_answer import ServiceNotes
    from medley_planner.model import Plan


def add_parser(subparsers: Any) -> None:
    """Adds the `explain` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "explain",
        help="explain a plan",
        description="Plan a bare instance, or LLMServices from YAML files as `medley plan -f` does, and explain the "
        "plan: limits that bind and what more of them would save, cost per million tokens, what each variant alone "
        "would cost, why variants are unused, what a better router would save, what would let unserved demand be "
        "served, and what changed since an earlier plan. Exit status: 0 planned, 2 bad input, 3 partly or not "
        "feasible, 4 no plan that passes the verifier.",
    )
    parser.add_argument("instance", metavar="INSTANCE.json", type=Path, nargs="?", help="file with one bare instance")
    add_manifest_files(parser)
    parser.add_argument(
        "--last",
        metavar="FILE",
        nargs="+",
        action="extend",
        help="an earlier state of the same input; it is planned too, and the changes since then are explained",
    )
    bare.add_options(parser)
    add_table_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    if (args.instance is None) == (args.filenames is None):
        return report_error("explain", "give either one INSTANCE.json or manifests with -f")
    if args.filenames is not None:
        return _explain_manifests(args)
    if args.simulate:
        return report_error("explain", "--simulate works only with manifests (-f); an instance contains its capacities")
    if args.last is not None and len(args.last) > 1:
        return report_error(
            "explain", f"--last has {len(args.last)} files; an instance is one file, give the earlier one"
        )
    args.last = Path(args.last[0]) if args.last is not None else None
    return bare.run(args)


def _explain_manifests(args: argparse.Namespace) -> int:
    from medley_operator.cli.plan_report import build_report, exit_status
    from medley_planner.cli.planned import NoPlan

    try:
        prepared, planned = _plan(args.filenames, args)
        before = _plan(args.last, args) if args.last is not None else None
    except BadInput as error:
        return report_error("explain", error)
    except NoPlan as error:
        return report_error("explain", error, status=ExitStatus.NO_PLAN)
    report = build_report(prepared, planned)
    status = exit_status(report)
    _name_rejected(prepared)
    if args.output in ("json", "yaml"):
        for note in basis_notes(prepared):
            print(f"note: {note}", file=sys.stderr)
    if prepared.problem is None or planned is None:
        return status
    last, last_problem = (before[1], before[0].problem) if before is not None else (None, None)
    if before is not None and last is None:
        return report_error(
            "explain",
            "--last: none of its services can be planned, so there is no earlier plan; correct it or leave it out",
        )
    bare.explain_and_print(
        prepared.problem, planned, args, last=last, last_problem=last_problem, notes=_notes(prepared, report)
    )
    return status


def _plan(filenames: list[str], args: argparse.Namespace) -> tuple[Prepared, Plan | None]:
    """Raises `BadInput` and `NoPlan`."""
    from medley_operator.cli.manifests import read_objects
    from medley_operator.cli.plan import offline_snapshot, plan_snapshot

    snapshot, notes = offline_snapshot(read_objects(filenames))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    snapshot = with_tables(snapshot, directory=args.cache_dir, simulate=args.simulate)
    return plan_snapshot(snapshot, deadline_seconds=args.deadline)


def _notes(prepared: Prepared, report: dict[str, Any]) -> ServiceNotes:
    """Omitted variants of each service, and its load, capacities and simulation as `medley plan` shows them."""
    from medley_operator.cli.plan_answer import attainment_words, capacity_words, load_words
    from medley_planner.cli.explain_answer import ServiceNotes

    planned = {service["service"]: service for service in report["services"] if "mix" in service}
    return ServiceNotes(
        excluded={candidate.key.problem_name: candidate.omitted for candidate in prepared.services},
        loads={name: load_words(service) for name, service in planned.items()},
        attainments={name: attainment_words(service) for name, service in planned.items()},
        capacities={name: capacity_words(service) for name, service in planned.items()},
    )


def _name_rejected(prepared: Prepared) -> None:
    for candidate in prepared.services:
        if candidate.refusal is not None:
            reason, message = candidate.refusal.reason, candidate.refusal.message
            report_error("explain", f"{candidate.key.problem_name} is not planned: {reason}: {message}")
