"""Every field of a status that any part fills, in one service: equal input writes nothing, nor after a restart."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.capacity import Speed, StepFactors
from medley_planner.catalog import gpu
from medley_planner.check import Attained, Checked
from medley_planner.fleet_plan import FleetPlan, RoutingSaving
from medley_planner.layout import Layout
from medley_planner.model import LimitKind, LimitUse, Provenance, RoutingMode
from medley_planner.optimize import plan
from medley_planner.shapes import model_id
from tests.unit.operator import factories as make
from tests.unit.operator.domain.load.test_planned_rate import LIVE, STEP_SECONDS, jumpy
from tests.unit.operator.domain.values.test_leadtime import started
from tests.unit.operator.rounds.play import Round, concluded, is_quiet
from tests.unit.operator.rounds.test_simulated_capacity import tables

NAME = "demo/llama"
LEARNED = {
    LearnedKey(
        model_id(make.LLAMA),
        Layout(gpu("L4"), tensor_parallel=degree, engine_version="0.32.0"),
        namespace=make.NAMESPACE,
    ): Speed(factors=StepFactors(fixed=1.1), provenance=Provenance.CALIBRATED, derate=0.9, kv_tokens=100_000)
    for degree in (1, 2, 4)
}


def everything_told() -> Snapshot:
    """A live load with a history, simulated capacities, a calibration, a profile, and replicas that started."""
    snapshot = make.snapshot(
        make.service(spec=LIVE),
        pools=[make.pool()],
        observations={"llama": make.found(10.0)},
        measured=[make.model_profile()],
        nodes=[replace(make.node("node-1", pool_name="l4"), created_at=0.0)],
    )
    snapshot = replace(
        snapshot,
        calibrated=LEARNED,
        pods=tuple(started(f"pod-{number}") for number in range(3)),
        histories={ServiceKey(make.NAMESPACE, "llama"): jumpy()},
        at_seconds=jumpy()[-1][0] + STEP_SECONDS,
    )
    return replace(snapshot, capacity_tables=tables(snapshot, 0.9))


def checked_round(snapshot: Snapshot, memory: FleetMemory) -> Round:
    """As the worker answers: with all that it finds out beside the plan."""
    prepared = prepare(snapshot, memory)
    assert prepared.problem is not None
    found = plan(prepared.problem)
    (used, *_) = (part.variant for part in found.services[0].variants if part.replicas)
    outcome = FleetPlan.of(
        found,
        routing_savings={NAME: RoutingSaving(NAME, RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE, 0.1)},
        token_costs={NAME: 0.25},
        binding={NAME: (LimitUse(LimitKind.STOCK, "l4", size=1, used=16, limit=16),)},
        checked={NAME: Checked(0.91, 95.0, {used: Attained(0.91, 1.5, 0.08, 0.9)})},
        capacity_factors={NAME: {used: 0.95}},
    )
    return concluded(snapshot, prepared, outcome, memory)


def settled() -> Round:
    current = checked_round(everything_told(), FleetMemory())
    for _ in range(6):
        if is_quiet(current.decision):
            return current
        snapshot = make.carried_out(current.snapshot, current.decision)
        current = checked_round(snapshot, current.memory)
    raise AssertionError(f"still writing: {current.decision.statuses or current.decision.applies}")


def test_every_figure_is_in_the_status() -> None:
    status = settled().snapshot.services[0].status
    assert status.load is not None
    assert status.load.measured_requests_per_second == "10"
    assert status.load.forecast_margin_percent is not None
    assert status.load.size_headroom_percent is not None
    (row, *_) = status.variants
    assert (row.capacity_basis, row.provenance, row.startup_seconds) == ("Simulated", "calibrated", 180)
    assert status.plan is not None
    assert status.plan.predicted_attainment_percent == "91.0"
    assert [each.factor for each in status.plan.capacity_corrections] == ["0.950"]
    assert status.plan.routing_savings is not None
    assert status.plan.cost_per_million_tokens == "0.2500"
    assert len(status.plan.limits) == 1
    assert {each.type for each in status.conditions} >= {"SLOAttainable", "PlanReady"}


def test_equal_input_writes_nothing() -> None:
    steady = settled()
    # Rates of the past are given once.
    again = checked_round(replace(steady.snapshot, histories={}), steady.memory)
    assert is_quiet(again.decision)
    assert again.decision.gauges == steady.decision.gauges


def test_a_restart_writes_nothing() -> None:
    """What is kept in memory comes back from the status, from Prometheus, the ConfigMap, the disk and the pods."""
    steady = settled()
    again = checked_round(steady.snapshot, FleetMemory())
    assert is_quiet(again.decision)
    assert again.decision.gauges == steady.decision.gauges
