"""What of a plan reaches statuses, conditions and gauges: limits that bind, whole nodes, better routing, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.rollout.unserved import WAY_OUT
from medley_operator.domain.values.snapshot import (
    Snapshot,
)
from medley_planner.fleet_plan import FleetPlan, PlanFailure, RoutingSaving
from medley_planner.model import LimitKind, LimitUse, NodeCount, PlanStatus, RoutingMode, Unserved, UnservedReason
from medley_planner.refusal import Refusal
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, planned, run, settle, told


def _saving(per_hour: float) -> RoutingSaving:
    return RoutingSaving("demo/llama", RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE, per_hour)


LACKING = {
    UnservedReason.STOCK: "StockOut",
    UnservedReason.NODES: "NodesFull",
    UnservedReason.POWER: "PowerLimit",
    UnservedReason.QUOTA: "QuotaReached",
}
BY_NODE: dict[str, Any] = {"cost": {"perNodeHour": "3.22"}}


def short(*unserved: Unserved, status: PlanStatus = PlanStatus.PARTIAL) -> Round:
    snapshot = make.snapshot(make.service())
    good = planned(snapshot)
    service = replace(good.services[0], status=status, unserved=unserved)
    return told(snapshot, replace(good, status=status, services=(service,)))


@pytest.mark.parametrize("reason", UnservedReason)
@pytest.mark.parametrize("status", [PlanStatus.PARTIAL, PlanStatus.INFEASIBLE])
def test_the_limit_that_binds_is_named(reason: UnservedReason, status: PlanStatus) -> None:
    done = short(Unserved(0, 1.5, reason, ("l4", "h100")), status=status)
    ready = done.condition("PlanReady")
    assert (ready.status, ready.reason) == ("False", status.value)
    kind = "power domain" if reason is UnservedReason.POWER else "GPUPool"
    assert f"1.5 req/s ({reason.value}: {kind} h100, l4): {WAY_OUT[reason]}" in ready.message
    assert (status.value, ready.message) in [(event.reason, event.message) for event in done.decision.events]
    capacity = done.condition("CapacityAvailable")
    if reason in LACKING:
        assert (capacity.status, capacity.reason) == ("False", LACKING[reason])
        assert "1.5 req/s" in capacity.message
        assert f"{kind} h100, l4" in capacity.message
    else:
        assert capacity.status != "False"
    if status is PlanStatus.PARTIAL:
        (row,) = done.status()["plan"]["unserved"]
        assert (row["reason"], row["limits"]) == (reason.value, ["l4", "h100"])


def test_minima_that_cannot_be_kept_name_all_their_fields() -> None:
    message = short().condition("PlanReady").message
    assert "spec.scaling.minReplicas" in message
    assert "spec.budget.onDemandMinReplicas" in message


def nodes(done: Round) -> dict[str, tuple[float | None, float | None]]:
    """Planned nodes and idle cost, by the pools that are shown."""
    planned_nodes = (each for each in done.decision.gauges if each.name == "medley_pool_planned_nodes")
    return {
        pool: (done.gauge("pool_planned_nodes", pool), done.gauge("pool_idle_cost_per_hour_dollars", pool))
        for (pool,) in (each.labels for each in planned_nodes)
    }


def test_whole_nodes_reach_status_and_gauges() -> None:
    pools = [make.pool(**BY_NODE), make.pool("h100", gpu="H100", price="6.88", gpus_per_node=8)]
    snapshot = make.snapshot(make.service(), pools=pools)
    bought = replace(planned(snapshot), nodes=(NodeCount("l4", 2, 6.44, 1.61),))
    done = told(snapshot, bought)
    statuses = {write.key.name: write.status for write in done.decision.statuses if write.key.kind == "GPUPool"}
    assert statuses["l4"]["plannedNodes"] == 2
    assert "plannedNodes" not in statuses["h100"]
    assert nodes(done) == {"l4": (2, 1.61)}
    # A round without a plan keeps the count.
    held = told(make.carried_out(snapshot, done.decision), PlanFailure("SolverTimeout", "late"))
    assert nodes(held) == {"l4": (2, None)}
    assert [write.status["plannedNodes"] for write in held.decision.statuses if write.key.name == "l4"] == [2]
    # Without any service there are none.
    assert nodes(told(make.snapshot(pools=pools), replace(bought, services=(), nodes=()))) == {"l4": (0, 0.0)}
    assert nodes(run(make.snapshot(pools=pools))) == {"l4": (0, 0.0)}


def test_what_better_routing_would_save_is_in_the_status() -> None:
    snapshot = make.snapshot(make.service())
    good = planned(snapshot)
    assert "routingSavings" not in told(snapshot, good).status()["plan"]
    saving = {"demo/llama": _saving(1.234)}
    done = told(snapshot, FleetPlan.of(good, routing_savings=saving))
    assert done.status()["plan"]["routingSavings"] == {"mode": "HTTPRoute", "savesPerHour": "1.23"}
    assert done.replicas() == told(snapshot, good).replicas()


def test_a_saving_of_an_unchanged_plan_does_not_flicker() -> None:
    steady = settle(make.snapshot(make.service()))
    good = planned(steady.snapshot)

    def after(snapshot: Snapshot, saving: RoutingSaving | None) -> Round:
        savings = {"demo/llama": saving} if saving is not None else {}
        return told(snapshot, FleetPlan.of(good, routing_savings=savings))

    first = after(steady.snapshot, _saving(2.0))
    assert not is_quiet(first.decision)
    snapshot = make.carried_out(first.snapshot, first.decision)
    assert is_quiet(after(snapshot, None).decision)
    assert is_quiet(after(snapshot, _saving(2.5)).decision)


def test_token_cost_and_binding_limits_are_in_the_status() -> None:
    snapshot = make.snapshot(make.service())
    good = planned(snapshot)
    plain = told(snapshot, good).status()["plan"]
    assert "costPerMillionTokens" not in plain
    assert plain["limits"] == []
    binding = (
        LimitUse(LimitKind.STOCK, "l4", 1, 16.0, 16.0),
        LimitUse(LimitKind.POWER, "l4", 1, 1151.6, 1200.0, 0.01118),
        LimitUse(LimitKind.SLOTS, "h100", 8, 1.0, 1.0, 12.5),
    )
    done = told(snapshot, FleetPlan.of(good, token_costs={"demo/llama": 0.08604}, binding={"demo/llama": binding}))
    assert done.status()["plan"]["costPerMillionTokens"] == "0.0860"
    assert done.status()["plan"]["limits"] == [
        {"kind": "Slots", "name": "h100", "size": 8, "used": 1, "limit": 1, "savesPerHour": "12.5000"},
        {"kind": "Power", "name": "l4", "used": 1152, "limit": 1200, "savesPerHour": "0.0112"},
        {"kind": "Stock", "name": "l4", "used": 16, "limit": 16},
    ]
    assert done.replicas() == told(snapshot, good).replicas()


def test_no_more_than_sixteen_limits_are_told_and_the_dearest_are() -> None:
    snapshot = make.snapshot(make.service())
    binding = tuple(LimitUse(LimitKind.STOCK, f"pool-{price}", 1, 1.0, 1.0, float(price)) for price in range(40))
    done = told(snapshot, FleetPlan.of(planned(snapshot), binding={"demo/llama": binding}))
    assert [row["name"] for row in done.status()["plan"]["limits"]] == [f"pool-{price}" for price in range(39, 23, -1)]


def test_limits_and_token_cost_move_with_the_plan_alone() -> None:
    steady = settle(make.snapshot(make.service()))
    good = planned(steady.snapshot)

    def after(snapshot: Snapshot, cost: float | None, *binding: LimitUse) -> Round:
        costs = {"demo/llama": cost} if cost is not None else {}
        return told(snapshot, FleetPlan.of(good, token_costs=costs, binding={"demo/llama": binding}))

    full = LimitUse(LimitKind.STOCK, "l4", 1, 16.0, 16.0, 0.25)
    # Other services fill and leave a pool: nothing of this plan changes.
    assert is_quiet(after(steady.snapshot, None, full).decision)
    # A status from before limits and token costs were reported gets them once.
    (old,) = steady.snapshot.services
    status = old.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    del status["plan"]["limits"]
    older = replace(steady.snapshot, services=(make.service(status=status),))
    first = after(older, 0.25, full)
    assert first.status()["plan"]["costPerMillionTokens"] == "0.2500"
    assert [row["savesPerHour"] for row in first.status()["plan"]["limits"]] == ["0.2500"]
    snapshot = make.carried_out(first.snapshot, first.decision)
    assert is_quiet(after(snapshot, 0.25, full).decision)
    assert is_quiet(after(snapshot, 0.2501, replace(full, used=15.0, shadow_price_per_hour=0.5)).decision)
    assert is_quiet(after(snapshot, None).decision)
    # Another load is another plan, and what held for the last one is no longer shown.
    busier = make.service(spec={"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "9"}}})
    moved = changed(snapshot, busier)
    row = told(moved, FleetPlan.of(planned(moved), token_costs={"demo/llama": 0.125})).status()["plan"]
    assert (row["costPerMillionTokens"], row["limits"]) == ("0.1250", [])


def test_a_service_that_the_planner_refuses_is_told_and_kept() -> None:
    steady = settle(make.snapshot(make.service(), make.service("other")))
    good = planned(steady.snapshot)
    without = replace(good, services=tuple(each for each in good.services if each.service != "demo/llama"))
    message = "service demo/llama: demand.rate_rps is nan: give a finite number, 0 or more"
    refused = {"demo/llama": Refusal("InvalidSpec", message)}
    done = told(steady.snapshot, FleetPlan.of(without, routing_savings={}, refused=refused))
    condition = done.condition("PlanReady")
    assert (condition.status, condition.reason, condition.message) == ("False", "InvalidSpec", message)
    assert done.condition("PlanReady", "other").status == "True"
    assert not done.decision.applies
    assert not done.decision.deletes
    assert done.condition("Ready").reason == "Serving"


def test_the_next_round_of_a_pool_paid_by_the_node_is_quiet() -> None:
    steady = settle(make.snapshot(make.service(), pools=[make.pool(**BY_NODE)]))
    assert is_quiet(follow(steady).decision)
    assert is_quiet(follow(steady, forget=True).decision)
