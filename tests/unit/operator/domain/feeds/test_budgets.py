"""What power domains leave for replicas, from objects to the rows of the problem and to what is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent, PowerEventStatus
from medley_operator.domain.feeds.tree import CONFIRMED_SECONDS
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.power import PowerFacts
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.views import NodeView, PodView
from medley_planner.capacity.watts import idle_watts
from medley_planner.model import Problem
from tests.unit.operator import factories as make
from tests.unit.operator.placing import settled_placed
from tests.unit.operator.rounds.play import Round, changed, run, settle

L4_WATTS = 72.0
MINE = {"variants": [{"poolRef": "l4", "tensorParallel": 1}]}
BUSY = {**MINE, "workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "40"}}}
NOON = 1_764_072_000.0


def facts(*objects: PowerDomain | PowerEvent) -> PowerFacts:
    return PowerFacts(
        domains=tuple(each for each in objects if isinstance(each, PowerDomain)),
        events=tuple(each for each in objects if isinstance(each, PowerEvent)),
    )


def rack(name: str, index: int, *, gpus: int = 4) -> NodeView:
    return NodeView(f"{name}-{index}", {"gpu": "l4", "rack": name}, {"nvidia.com/gpu": gpus})


def snapshot_of(*objects: PowerDomain | PowerEvent, nodes: Any = None, spec: Any = None, **fields: Any) -> Snapshot:
    return make.snapshot(
        make.service(spec=spec or BUSY),
        pools=[make.pool(nodes=None)],
        nodes=[rack("a", 1), rack("a", 2)] if nodes is None else nodes,
        power=facts(*objects),
        unix_seconds=NOON,
        pods=fields.pop("pods", ()),
        **fields,
    )


def problem_of(snapshot: Snapshot) -> Problem:
    problem = prepare(snapshot, FleetMemory()).problem
    assert problem is not None
    return problem


def watts_left(snapshot: Snapshot) -> dict[str, float]:
    return {domain.name: domain.budget_watts for domain in problem_of(snapshot).power_domains}


def planned_of(turn: Round) -> int:
    return sum(row["desired"] for row in turn.snapshot.services[0].status.model_dump()["variants"])


SITE = make.power_domain("site", 5000)
ROW = make.power_domain("row", 3000, parent="site")
RACK = make.power_domain("rack-a", 1000, parent="row", nodeSelector={"rack": "a"}, nonGpuWatts=150)


def test_without_domains_nothing_changes() -> None:
    """A cluster without the kinds plans with limits of boards, and has no row."""
    problem = problem_of(snapshot_of())
    assert problem.power_domains == ()
    assert {variant.watts for variant in problem.services[0].variants} == {L4_WATTS}


def test_each_domain_of_the_tree_is_a_row_of_what_is_left() -> None:
    problem = problem_of(snapshot_of(SITE, ROW, RACK))
    taken = 2 * 150 + 8 * idle_watts(L4_WATTS)
    assert {each.name: each.parent for each in problem.power_domains} == {"site": None, "row": "site", "rack-a": "row"}
    budgets = {each.name: each.budget_watts for each in problem.power_domains}
    assert budgets == pytest.approx({"site": 5000 - taken, "row": 3000 - taken, "rack-a": 1000 - taken})
    assert problem.pools[0].power_domain == "rack-a"
    (variant,) = problem.services[0].variants
    assert 0.3 * L4_WATTS < variant.watts < L4_WATTS - idle_watts(L4_WATTS), "expected, beyond idle"


@pytest.mark.parametrize("mode", ["Log", "Shadow"])
def test_no_plan_is_held_to_a_domain_that_is_only_logged(mode: str) -> None:
    """A budget that was typed to be looked at first would have drained what runs."""
    tight = make.power_domain("rack-a", 10, nodeSelector={"rack": "a"}, mode=mode)
    assert problem_of(snapshot_of(tight)) == problem_of(snapshot_of())
    assert run(snapshot_of(tight, spec=BUSY)).replicas() == run(snapshot_of(spec=BUSY)).replicas()


def test_a_domain_that_is_only_logged_is_passed_over_between_others() -> None:
    row = make.power_domain("row", 10, parent="site", mode="Log")
    problem = problem_of(snapshot_of(SITE, row, RACK))
    assert {each.name: each.parent for each in problem.power_domains} == {"site": None, "rack-a": "site"}
    assert problem.pools[0].power_domain == "rack-a"


def test_no_plan_raises_a_domain_above_its_budget_times_its_oversubscription() -> None:
    free = run(snapshot_of(spec=BUSY)).replicas()
    wanted = sum(free.values())
    assert wanted >= 6
    counts = {}
    for oversubscription in ("1", "1.5", "2.5"):
        tight = make.power_domain(
            "rack-a", 320, nodeSelector={"rack": "a"}, nonGpuWatts=50, planOversubscription=oversubscription
        )
        snapshot = snapshot_of(tight)
        (variant,) = problem_of(snapshot).services[0].variants
        count = sum(run(snapshot).replicas().values())
        budget = 320 * float(oversubscription)
        drawn = 2 * 50 + 8 * idle_watts(L4_WATTS) + count * variant.watts
        assert drawn <= budget < drawn + variant.watts or count == wanted
        counts[oversubscription] = count
    assert counts["1"] < counts["1.5"] <= counts["2.5"] == wanted


def test_what_others_hold_draws_first() -> None:
    """GPUs of pods of others count at their limit, on nodes of a pool and on others."""
    mine, theirs = (
        rack("a", 1),
        NodeView("x", {"rack": "a", "nvidia.com/gpu.product": "NVIDIA-L4"}, {"nvidia.com/gpu": 4}),
    )
    pods = [PodView("other", name, name, {"nvidia.com/gpu": 2}, node=node) for name, node in (("p", "a-1"), ("q", "x"))]
    left = watts_left(snapshot_of(RACK, nodes=[mine, theirs], pods=pods))
    busy = L4_WATTS - idle_watts(L4_WATTS)
    assert left["rack-a"] == pytest.approx(1000 - 2 * 150 - 8 * idle_watts(L4_WATTS) - 4 * busy)


def test_an_event_lowers_the_budget_while_it_lasts() -> None:
    hour = make.power_event("rack-a", start="2025-11-25T11:30:00Z", end="2025-11-25T12:30:00Z", targetFraction="0.75")
    left = watts_left(snapshot_of(RACK))["rack-a"]
    during = snapshot_of(RACK, hour)
    assert watts_left(during)["rack-a"] == pytest.approx(left - 250)
    assert watts_left(replace(during, unix_seconds=NOON + 3600.0))["rack-a"] == pytest.approx(left)
    status = PowerEventStatus(phase="Refused", observed_generation=1, conditions=[])
    refused = hour.model_copy(update={"status": status})
    assert watts_left(snapshot_of(RACK, refused))["rack-a"] == pytest.approx(left)


def test_an_event_drains_replicas_and_its_end_brings_them_back() -> None:
    tight = make.power_domain("rack-a", 700, nodeSelector={"rack": "a"}, nonGpuWatts=50)
    event = make.power_event("rack-a", start="2025-11-25T11:30:00Z", end="2025-11-25T12:30:00Z", targetWatts=320)
    before = settle(snapshot_of(tight))
    during = settle(replace(before.snapshot, power=facts(tight, event)), before.memory)
    after = settle(replace(during.snapshot, power=facts(tight)), during.memory)
    counts = [planned_of(each) for each in (before, during, after)]
    assert 0 < counts[1] < counts[0] == counts[2]


def test_a_domain_that_its_controller_refuses_takes_nothing_from_what_runs() -> None:
    """Its budget may be a typing error: no more replicas go there, and none is drained."""
    status = {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Accepted",
                "status": "False",
                "reason": "BudgetBelowIdle",
                "lastTransitionTime": make.NOW,
                "message": "",
            }
        ],
    }
    broken = make.power_domain("rack-a", 1, status=status, nodeSelector={"rack": "a"}, nonGpuWatts=150)
    assert watts_left(snapshot_of(broken)) == {"rack-a": 0.0}


def test_a_domain_that_nobody_confirms_takes_no_more_replicas_and_keeps_what_runs() -> None:
    """The lease on its caps is over: what its status says is old, and its GPUs are at their safe limits."""
    light = {**MINE, "workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "10"}}}
    before = settled_placed(snapshot_of(RACK, spec=light))
    runs = planned_of(before)
    asked = changed(before.snapshot, make.service(spec=BUSY))

    def planned(until: float | None) -> tuple[int, str]:
        leases = {} if until is None else {"rack-a": until}
        after = run(replace(asked, power=replace(facts(RACK), leased_until=leases)), before.memory)
        return sum(row["desired"] for row in after.status()["variants"]), after.condition("CapacityAvailable").reason

    more = planned(NOON - CONFIRMED_SECONDS)
    assert more[0] > runs
    assert planned(None) == more, "no cap was ever written there"
    assert planned(NOON - CONFIRMED_SECONDS - 1) == (runs, "PowerLimit")


def test_nodes_of_a_pool_in_two_racks_are_cut_to_what_each_feeds() -> None:
    nodes = [rack("a", 1), rack("a", 2), rack("b", 1), rack("b", 2)]
    other = make.power_domain("rack-b", 1000, parent="row", nodeSelector={"rack": "b"}, nonGpuWatts=150)
    small = make.power_domain("rack-a", 450, parent="row", nodeSelector={"rack": "a"}, nonGpuWatts=150)
    whole = problem_of(snapshot_of(ROW, RACK, other, nodes=nodes))
    assert (whole.pools[0].power_domain, whole.pools[0].stock_gpus) == ("row", 16)
    cut = problem_of(snapshot_of(ROW, small, other, nodes=nodes))
    (variant,) = cut.services[0].variants
    left = 450 - 2 * 150 - 8 * idle_watts(L4_WATTS)
    assert cut.pools[0].stock_gpus == 8 + int(left // variant.watts)
    assert 0 < left // variant.watts < 8
    apart = problem_of(
        snapshot_of(make.power_domain("rack-a", 450, nodeSelector={"rack": "a"}, nonGpuWatts=150), nodes=nodes)
    )
    assert (apart.pools[0].power_domain, apart.pools[0].stock_gpus) == (None, 8 + int(left // variant.watts))


def test_a_pool_with_its_own_budget_counts_at_limits_below_its_domain() -> None:
    snapshot = replace(
        snapshot_of(SITE, ROW, RACK), pools=(make.pool("rack-a", nodes=None, power={"budgetWatts": 400}),)
    )
    nodes = tuple(replace(node, labels={**node.labels, "gpu": "rack-a"}) for node in snapshot.nodes)
    spec = {**BUSY, "variants": [{"poolRef": "rack-a", "tensorParallel": 1}]}
    problem = problem_of(replace(snapshot, nodes=nodes, services=(make.service(spec=spec),)))
    own = next(each for each in problem.power_domains if each.name == "GPUPool rack-a")
    assert (own.budget_watts, own.parent, problem.pools[0].power_domain) == (400.0, "rack-a", "GPUPool rack-a")
    assert {variant.watts for variant in problem.services[0].variants} == {L4_WATTS}


def test_nodes_that_are_made_as_asked_bring_their_own_watts() -> None:
    pool = make.pool(kind="Elastic", nodes=None, nodeSelector={"gpu": "l4", "rack": "a"})
    problem = problem_of(replace(snapshot_of(RACK, nodes=[]), pools=(pool,)))
    assert (problem.power_domains[0].budget_watts, problem.pools[0].power_domain) == (1000.0, "rack-a")
    (made,) = problem.services[0].variants
    (seen,) = problem_of(snapshot_of(RACK)).services[0].variants
    assert made.watts == pytest.approx(seen.watts + idle_watts(L4_WATTS) + 150 / 4)


def test_a_circle_of_parents_ends() -> None:
    one, two = (
        make.power_domain("one", 900, parent="two", nodeSelector={"rack": "a"}),
        make.power_domain("two", 900, parent="one"),
    )
    assert {each.parent for each in problem_of(snapshot_of(one, two)).power_domains} == {None}
