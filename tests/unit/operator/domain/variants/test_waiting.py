"""An operator that starts without its tables does not move what was planned with them, and does not wait for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.variants.waiting import MOST_SECONDS, OUTGROWN
from medley_planner.capacity import GridRatios, TableGroup, TableKey
from medley_planner.capacity.simulated import closed_form_of
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, run, settle

RATE_RPS = 40.0
SPEC = {"workload": {"source": "Prometheus"}, "routing": {"gatewayRef": {"name": "inference"}}}


def tables(snapshot: Snapshot) -> dict[TableGroup, tuple[GridRatios, ...]]:
    """Twice what the closed form says, so that a plan by the closed form has more replicas at once."""
    made: dict[TableGroup, tuple[GridRatios, ...]] = {}
    for key in prepare(snapshot, FleetMemory()).missing_tables:
        made[key.group] = (*made.get(key.group, ()), table(key))
    return made


def table(key: TableKey) -> GridRatios:
    closed = closed_form_of(key)
    return GridRatios(key, tuple(2.0 * rate for rate in closed), closed)


@pytest.fixture(scope="module")
def simulated() -> Round:
    """A service that is planned with tables, and nothing is left to do."""
    seen = {"llama": make.found(RATE_RPS)}
    snapshot = make.snapshot(make.service(spec=SPEC), pools=[make.pool(nodes=64)], observations=seen)
    return settle(replace(snapshot, capacity_tables=tables(snapshot), simulates=True))


def restarted(before: Round, *, at_seconds: float = 0.0, **fields: object) -> Round:
    """The first round of an operator without memory and without tables."""
    return run(changed(before.snapshot, capacity_tables={}, at_seconds=at_seconds, **fields))


def later(before: Round, at_seconds: float, **fields: object) -> Round:
    snapshot = make.carried_out(before.snapshot, before.decision)
    return run(changed(snapshot, at_seconds=at_seconds, **fields), before.memory)


def test_without_waiting_the_plan_would_move(simulated: Round) -> None:
    """Else the tests below would prove nothing."""
    moved = restarted(simulated, simulates=False)
    assert moved.condition("PlanReady").reason == "Optimal"
    assert moved.candidate().waiting is None
    assert moved.decision.applies


def test_a_restart_moves_nothing_until_the_tables_are_there_and_then_nothing_either(simulated: Round) -> None:
    held = restarted(simulated)
    assert not held.decision.applies
    assert not held.decision.deletes
    assert held.prepared.problem is None
    assert held.prepared.missing_tables
    condition = held.condition("PlanReady")
    assert (condition.status, condition.reason) == ("True", "Held")
    running = sorted(held.candidate().last_replicas)
    assert f"until the capacities of {', '.join(running)}" in condition.message
    assert held.condition("MetricsAvailable").status == "True"
    assert held.reasons() == ["PlanHeld"]
    old = {row.name: row for row in simulated.snapshot.services[0].status.variants}
    for row in held.status()["variants"]:
        assert row["capacityBasis"] == "Simulated"
        assert row["capacityRps"] == old[row["name"]].capacity_rps
    again = later(held, 30.0)
    assert is_quiet(again.decision)
    back = later(again, 60.0, capacity_tables=simulated.snapshot.capacity_tables)
    assert back.condition("PlanReady").reason == "Optimal"
    assert not back.decision.applies
    assert back.memory.services[ServiceKey(make.NAMESPACE, "llama")].waiting_since is None


def test_it_waits_so_long_and_no_longer_and_says_so_once(simulated: Round) -> None:
    held = restarted(simulated, at_seconds=1000.0)
    assert not later(held, 1000.0 + MOST_SECONDS - 1.0).decision.applies
    moved = later(held, 1000.0 + MOST_SECONDS)
    assert moved.condition("PlanReady").reason == "Optimal"
    assert moved.decision.applies
    (event,) = [event for event in moved.decision.events if event.reason == "CapacityNotSimulated"]
    assert "--capacity-cache-dir" in event.message
    assert event.type.value == "Warning"
    assert {row["capacityBasis"] for row in moved.status()["variants"] if row["desired"]} == {"ClosedForm"}
    after = follow(moved)
    assert after.candidate().waiting is None
    assert "CapacityNotSimulated" not in after.reasons()


def test_a_service_whose_spec_changed_is_planned_at_once(simulated: Round) -> None:
    spec = {**SPEC, "scaling": {"minReplicas": 2}}
    planned = run(changed(simulated.snapshot, make.service(spec=spec, generation=2), capacity_tables={}))
    assert planned.condition("PlanReady").reason == "Optimal"


@pytest.mark.parametrize(("times", "waits"), [(0.5, True), (OUTGROWN * 0.99, True), (OUTGROWN * 1.01, False)])
def test_a_load_that_outgrew_the_plan_does_not_wait(simulated: Round, times: float, waits: bool) -> None:
    seen = make.found(RATE_RPS * times)
    planned = restarted(simulated, observations={(make.NAMESPACE, "llama"): seen})
    assert (planned.candidate().waiting is not None) is waits
    assert (planned.condition("PlanReady").reason == "Held") is waits


def test_where_metrics_are_lost_too_the_basis_of_the_plan_is_not_forgotten(simulated: Round) -> None:
    lost = restarted(simulated, observations={(make.NAMESPACE, "llama"): make.lost()})
    assert "the current load is unknown" in lost.condition("PlanReady").message
    back = later(lost, 30.0, observations={(make.NAMESPACE, "llama"): make.found(RATE_RPS)})
    assert back.candidate().waiting is not None
    assert not back.decision.applies


def test_what_was_never_simulated_is_not_waited_for() -> None:
    by_formula = settle(replace(make.snapshot(make.service()), simulates=True))
    again = restarted(by_formula)
    assert again.prepared.missing_tables
    assert again.condition("PlanReady").reason == "Optimal"
