"""`medley plan -f FILE...`: what the operator would run and what it would cost, from the YAML that kubectl applies.

No cluster is read and nothing is written but standard output and, with `--simulate`, the cache of simulated capacities:
the load is each service's static workload, the stock is what the pools declare. Planning itself is the operator's own.
Exit status: 0 planned, 2 bad input, 3 partly or not feasible, 4 no plan that passes the verifier.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from medley_operator.cli.arguments import add_html_option, add_manifest_files
from medley_operator.cli.tables import add_table_options, with_tables
from medley_planner.bad_input import MISSING, BadInput
from medley_planner.cli.arguments import add_plan_options, time_argument
from medley_planner.cli.objective import ObjectivePlanner, add_objective_options
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.refusal import Refusal
from medley_planner.units import req_per_second

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1 import GPUPool, RuntimeProfile
    from medley_operator.cli.manifests import Objects
    from medley_operator.domain.values.candidates import Prepared, ServiceCandidate
    from medley_operator.domain.values.snapshot import Snapshot
    from medley_planner.fleet_plan import FleetPlan

DEFAULT_PROFILE = "vllm"
DEFAULT_PROFILE_VERSION = "0.32.0"


def add_parser(subparsers: Any) -> None:
    """Adds the `plan` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "plan",
        help="plan from YAML files, without a cluster",
        description="Plan LLMServices on GPUPools from the YAML that kubectl applies, without a cluster: the load is "
        "spec.workload.static. Exit status: 0 planned, 2 bad input, 3 partly or not feasible, 4 no plan that passes "
        "the verifier.",
    )
    add_manifest_files(parser, required=True)
    add_plan_options(parser, why=True)
    add_objective_options(parser)
    parser.add_argument(
        "--at",
        metavar="TIME",
        type=time_argument,
        default=None,
        help='when to plan for, which spec.workload.schedule is read at, such as "2026-12-24T18:00:00Z"; default: now',
    )
    add_table_options(parser)
    add_html_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    from medley_operator.cli.manifests import read_objects
    from medley_planner.cli.planned import NoPlan

    try:
        objects = read_objects(args.filenames)
        snapshot, notes = offline_snapshot(objects, unix_seconds=time.time() if args.at is None else args.at)
        snapshot = with_tables(snapshot, directory=args.cache_dir, simulate=args.simulate)
        return _plan_and_print(snapshot, notes, args)
    except BadInput as error:
        return report_error("plan", error)
    except NoPlan as error:
        return report_error("plan", error, status=ExitStatus.NO_PLAN)


def offline_snapshot(objects: Objects, *, unix_seconds: float = 0.0) -> tuple[Snapshot, list[str]]:
    """The objects as one round of the operator would see them then, and what the user should know of it.

    Raises `BadManifest` where there is nothing to plan or a service has no static workload.
    """
    from medley_operator.cli.manifests import BadManifest
    from medley_operator.domain.cluster.gpu_types import gpu_types
    from medley_operator.domain.values.labels import POD
    from medley_operator.domain.values.power import PowerFacts
    from medley_operator.domain.values.snapshot import Snapshot

    if not objects.services:
        raise BadManifest.whole("", "the input has no LLMService; add its file with -f")
    for service in objects.services:
        if service.spec.workload.static is None:
            where = f"LLMService {service.metadata.namespace}/{service.metadata.name}"
            way_out = (
                "without a cluster it is the only source of load; add requestsPerSecond, promptTokens and "
                "generationTokens"
            )
            raise BadManifest(where, "spec.workload.static", MISSING, way_out)
    notes = [f"skipped objects of other kinds: {', '.join(objects.skipped)}"] if objects.skipped else []
    if objects.power_events:
        names = ", ".join(event.metadata.name for event in objects.power_events)
        notes.append(f"PowerEvent {names} has no time here; budgets are planned as their PowerDomains have them")
    pools, pool_notes = _pools_without_cluster(objects.pools)
    profiles, profile_notes = _profiles(objects)
    snapshot = Snapshot(
        services=tuple(objects.services),
        pools=pools,
        gpu_types=tuple(objects.gpu_types),
        catalogue=gpu_types(objects.gpu_types).catalogue,
        profiles=profiles,
        rejected=(),
        children={},
        gateways=None,
        observations={},
        model_profiles=tuple(objects.model_profiles),
        unreadable={POD: "there is no cluster"},
        policies=tuple(objects.policies),
        namespaces=objects.namespaces,
        unix_seconds=unix_seconds,
        power=PowerFacts(tuple(sorted(objects.power_domains, key=lambda domain: domain.metadata.name))),
    )
    return snapshot, [*notes, *pool_notes, *profile_notes, *_unused_profiles(snapshot)]


def _pools_without_cluster(pools: Sequence[GPUPool]) -> tuple[tuple[GPUPool, ...], list[str]]:
    """A fixed pool that counts the cluster's nodes has no stock here, so it is planned without a limit."""
    from medley_operator.api.v1alpha1 import CapacityType

    result: list[GPUPool] = []
    uncounted: list[str] = []
    for pool in pools:
        capacity = pool.spec.capacity
        if capacity.nodes is None and capacity.type is CapacityType.FIXED:
            uncounted.append(pool.metadata.name)
            elastic = capacity.model_copy(update={"type": CapacityType.ELASTIC})
            result.append(pool.model_copy(update={"spec": pool.spec.model_copy(update={"capacity": elastic})}))
        else:
            result.append(pool)
    if not uncounted:
        return tuple(result), []
    note = (
        f"GPUPool {', '.join(uncounted)}: spec.capacity.nodes is not set and there is no cluster to count nodes in, "
        "so the pool counts as unlimited; set spec.capacity.nodes to plan with its stock"
    )
    return tuple(result), [note]


def _unused_profiles(snapshot: Snapshot) -> list[str]:
    """Why measurements that were given are not planned from."""
    from medley_operator.domain.speed.profiles import judge_profiles
    from medley_operator.domain.values.conditions import ConditionStatus

    notes: list[str] = []
    for judged in judge_profiles(snapshot):
        told = next((one for one in (judged.accepted, judged.in_use) if one.status is ConditionStatus.FALSE), None)
        if told is not None:
            notes.append(f"ModelProfile {judged.profile.metadata.name} is not used: {told.message}")
    return notes


def _profiles(objects: Objects) -> tuple[tuple[RuntimeProfile, ...], list[str]]:
    """The profiles given, or the one that the chart installs where the input has none."""
    if objects.profiles:
        return tuple(objects.profiles), []
    note = f"the input has no RuntimeProfile; planning with default values (vLLM {DEFAULT_PROFILE_VERSION})"
    return (default_profile(),), [note]


def default_profile() -> RuntimeProfile:
    """The profile that the chart installs."""
    from medley_operator.api.v1alpha1 import ObjectMeta, RuntimeProfile, RuntimeProfileSpec

    spec = RuntimeProfileSpec(image=f"vllm/vllm-openai:v{DEFAULT_PROFILE_VERSION}", version=DEFAULT_PROFILE_VERSION)
    return RuntimeProfile(metadata=ObjectMeta(name=DEFAULT_PROFILE, uid=DEFAULT_PROFILE, generation=1), spec=spec)


def plan_snapshot(
    snapshot: Snapshot, *, deadline_seconds: float, objective: ObjectivePlanner | None = None
) -> tuple[Prepared, FleetPlan | None]:
    """One round of the operator's planning without memory, simulated too; no plan where no service can be planned.

    `objective`: what the plan has the least of; None: cost. Raises `NoPlan` where the verifier refuses the plan.
    """
    from medley_operator.domain.prepare import prepare
    from medley_operator.domain.values.memories import FleetMemory
    from medley_planner.cli.planned import plan_or_raise
    from medley_planner.planning import problem_as_planned

    prepared = prepare(snapshot, FleetMemory(), fleet_mode=None)
    if prepared.problem is None:
        return prepared, None
    plan = partial(plan_or_raise, subjects=prepared.subjects, deadline_seconds=deadline_seconds)
    planned = plan(prepared.problem) if objective is None else objective(prepared.problem, plan)
    # Explanations are of the capacities that the plan was made with.
    problem = problem_as_planned(prepared.problem, planned)
    return replace(prepared, problem=problem, services=_with_refused(prepared.services, planned.refused)), planned


def _with_refused(services: Sequence[ServiceCandidate], refused: Mapping[str, Refusal]) -> tuple[ServiceCandidate, ...]:
    """Services that no plan can be made from are rejected."""
    from medley_operator.domain.values.candidates import Disposition

    def judged(candidate: ServiceCandidate) -> ServiceCandidate:
        refusal = refused.get(candidate.key.problem_name)
        if refusal is None:
            return candidate
        return replace(candidate, disposition=Disposition.REJECTED, refusal=refusal)

    return tuple(map(judged, services))


def _events_planned_for(prepared: Prepared) -> list[str]:
    """The event that makes the difference, where a load is not the static workload."""
    notes: list[str] = []
    for each in prepared.services:
        static, choice = each.service.spec.workload.static, each.choice
        told = choice.schedule if choice is not None else None
        if choice is None or told is None or static is None or choice.demand.rate_rps == static.rate_rps:
            continue
        event = f"event {told.event} (factor {told.factor}) lasts until {told.until}"
        if told.event is None or choice.demand.rate_rps != float(told.factor or 1) * static.rate_rps:
            event = f"event {told.next_event} (factor {told.next_factor}) begins at {told.next_at}"
        notes.append(
            f"LLMService {each.key.problem_name} is planned for {req_per_second(choice.demand.rate_rps)}, where "
            f"spec.workload.static says {req_per_second(static.rate_rps)}: {event}"
        )
    return notes


def _plan_and_print(snapshot: Snapshot, notes: list[str], args: argparse.Namespace) -> int:
    from medley_operator.cli.plan_report import build_report, exit_status, write_report

    planner = ObjectivePlanner(args)
    prepared, planned = plan_snapshot(snapshot, deadline_seconds=args.deadline, objective=planner)
    report = build_report(prepared, planned)
    if planner.figures:
        report |= planner.figures | {"lower_bound": None, "lower_bound_with_switching": None}
    for note in [*notes, *_events_planned_for(prepared)]:
        print(f"note: {note}", file=sys.stderr)
    if args.html is not None:
        from medley_operator.cli.plan_html import write_plan_page

        write_plan_page(args, snapshot, prepared, planned, report, notes)
    write_report(report, output=args.output, why=args.why)
    return exit_status(report)
