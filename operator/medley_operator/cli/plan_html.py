"""`medley plan --html`: plans the questions that a reader asks next, and writes the page.

Apart: loads the explanations, which a plan without a page needs none of.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from medley_operator.cli.arguments import write_html
from medley_operator.cli.plan_report import Report
from medley_operator.domain.prepare import prepare
from medley_operator.domain.questions import QuestionAnswer, QuestionKind, answer, prepared_if, questions
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.pages.plan import plan_page
from medley_planner.by_watts import Objective
from medley_planner.cli.arguments import BadOption
from medley_planner.explain import explain
from medley_planner.fleet_plan import FleetPlan
from medley_planner.planning import plan_fleet, problem_as_planned

FACTORS = {
    QuestionKind.RATE: (0.5, 1.5, 2.0, 4.0),
    QuestionKind.PRICE: (0.5, 2.0),
    QuestionKind.TARGETS: (0.5, 0.75, 1.5, 2.0),
}
QUESTION_SECONDS = 5.0
"""Most time for each plan; explanations get as much in all."""


def write_plan_page(
    args: argparse.Namespace,
    snapshot: Snapshot,
    prepared: Prepared,
    planned: FleetPlan | None,
    report: Report,
    notes: Sequence[str],
) -> None:
    """Raises `BadOption` where there is no such page or the file cannot be written."""
    if args.objective == Objective.WATTS:
        raise BadOption("", "--html", str(args.html), "it compares costs; leave out --objective watts or --html")
    if prepared.problem is None or planned is None:
        write_html(args.html, plan_page(report, None, (), {}, notes))
        return
    seconds = min(args.deadline, QUESTION_SECONDS)
    excluded = {each.key.problem_name: each.omitted for each in prepared.services}
    explained = explain(prepared.problem, planned, excluded=excluded, seconds=seconds)
    answers = list(_answers(snapshot, prepared, planned, seconds))
    demands = {service.name: service.demand for service in prepared.problem.services}
    simulated = bool(snapshot.capacity_tables)
    write_html(args.html, plan_page(report, explained, answers, demands, notes, simulated=simulated))


def _answers(snapshot: Snapshot, prepared: Prepared, planned: FleetPlan, seconds: float) -> Iterator[QuestionAnswer]:
    """Capacities that the simulation lowered are as low in each of them."""
    prepare_again = partial(_prepare, planned=planned)
    for question in questions(prepared, planned, factors=FACTORS):
        problem = prepared_if(question, prepared, snapshot, prepare=prepare_again).problem
        yield answer(question, None if problem is None else plan_fleet(problem, deadline_seconds=seconds))


def _prepare(snapshot: Snapshot, *, planned: FleetPlan) -> Prepared:
    prepared = prepare(snapshot, FleetMemory(), fleet_mode=None)
    return replace(prepared, problem=prepared.problem and problem_as_planned(prepared.problem, planned))
