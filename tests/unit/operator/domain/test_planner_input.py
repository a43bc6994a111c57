"""What the fields of pools and services become in the planner's problem, and what other pods leave of a pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from medley_operator.domain.cluster.ledger import ZONE_LABEL
from medley_operator.domain.cluster.startup import STARTUP_SECONDS
from medley_operator.domain.planner_input import reserved_replicas
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.candidates import Disposition, ServiceCandidate
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.stock import Ledger
from medley_operator.domain.values.views import NodeView
from medley_planner.model import NodePrice, Pool, PowerBudget, Priority, Problem, Service
from medley_planner.regret import KNOWN_LEADS
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import changed, follow, run, settle


def problem_of(snapshot: Snapshot) -> Problem:
    problem = prepare(snapshot, FleetMemory()).problem
    assert problem is not None
    return problem


def service_of(spec: Mapping[str, Any]) -> Service:
    (service,) = problem_of(make.snapshot(make.service(spec=spec))).services
    return service


def pool_of(*services: Any, **pool: Any) -> Pool:
    nodes = pool.pop("with_nodes", ())
    snapshot = make.snapshot(*(services or (make.service(),)), pools=[make.pool(**pool)], nodes=nodes)
    (found,) = problem_of(snapshot).pools
    return found


def test_a_service_that_asks_for_nothing_more_is_planned_as_ever() -> None:
    service = service_of({})
    neutral = Service(service.name, service.demand, service.variants, service.routing)
    assert service.priority is neutral.priority
    assert (service.staffing_beta, service.max_cost_per_hour) == (0.0, None)
    assert (service.spot_max_share, service.on_demand_min_replicas) == (1.0, 0)
    assert (service.zone_spread, service.n_plus_one) == (False, False)


def test_what_a_service_asks_for_reaches_the_planner() -> None:
    service = service_of(
        {
            "priority": "High",
            "budget": {"maxCostPerHour": "12.5", "spotMaxPercent": 25, "onDemandMinReplicas": 2},
            "scaling": {"burstHeadroom": "0.75", "zoneSpread": True, "tolerateReplicaLoss": True},
        }
    )
    assert service.priority is Priority.NORMAL, "High is for a policy to allow"
    assert (service.staffing_beta, service.max_cost_per_hour) == (0.75, 12.5)
    assert (service.spot_max_share, service.on_demand_min_replicas) == (0.25, 2)
    assert (service.zone_spread, service.n_plus_one) == (True, True)
    assert service_of({"priority": "Low"}).priority is Priority.LOW


def test_what_runs_is_current_and_new_replicas_take_time_to_start() -> None:
    first = run(make.snapshot(make.service()))
    assert first.prepared.problem is not None
    assert {each.stay_seconds for each in first.prepared.problem.services} == {
        KNOWN_LEADS * (STARTUP_SECONDS + variant.drain_seconds)
        for variant in first.prepared.problem.services[0].variants
    }
    assert all(variant.current_replicas == 0 for variant in first.prepared.problem.services[0].variants)
    replicas = {name.removeprefix("llama-"): count for name, count in first.replicas().items()}
    assert replicas
    for forget in (False, True):
        problem = follow(first, forget=forget).prepared.problem
        assert problem is not None
        variants = problem.services[0].variants
        assert {v.name: v.current_replicas for v in variants if v.current_replicas} == replicas
        assert {v.startup_seconds for v in variants} == {STARTUP_SECONDS}


def test_an_engine_is_not_thought_to_start_later_than_its_profile_waits() -> None:
    snapshot = make.snapshot(make.service(), profiles=[make.profile(startupTimeout="90s")])
    assert {variant.startup_seconds for variant in problem_of(snapshot).services[0].variants} == {90.0}


def test_watts_are_the_pools_own_or_the_board_power_of_the_type() -> None:
    pools = [
        make.pool(),
        make.pool("h100", gpu="H100", price="6.88", power={"wattsPerGpu": 500, "budgetWatts": 4000}),
        make.pool("l40s", gpu="L40S", price="2", power={"wattsPerGpu": 300}),
    ]
    spec = {"variants": [{"poolRef": "l4", "tensorParallel": 2}, {"poolRef": "h100"}, {"poolRef": "l40s"}]}
    problem = problem_of(make.snapshot(make.service(spec=spec), pools=pools))
    per_gpu = {(variant.pool, variant.watts / variant.gpus_per_replica) for variant in problem.services[0].variants}
    assert per_gpu == {("l4", 72.0), ("h100", 500.0), ("l40s", 300.0)}
    assert 2 in {variant.gpus_per_replica for variant in problem.services[0].variants if variant.pool == "l4"}
    assert problem.power_domains == (PowerBudget("h100", 4000.0),)
    assert {pool.name: pool.power_domain for pool in problem.pools} == {"h100": "h100", "l4": None, "l40s": None}


def test_a_pool_that_is_paid_by_the_node() -> None:
    capacity: dict[str, Any] = {"nodes": 3, "gpus_per_node": 8, "kind": "Elastic"}
    snapshot = make.snapshot(make.service(), pools=[make.pool(cost={"perNodeHour": "6.44"}, **capacity)])
    problem = problem_of(snapshot)
    assert problem.pools == (Pool("l4", stock_gpus=24, node_price=NodePrice(8, 6.44, max_nodes=3)),)
    for variant in problem.services[0].variants:
        assert variant.cost_per_hour == pytest.approx(variant.gpus_per_replica * 0.805)
    unlimited = pool_of(cost={"perNodeHour": "6.44"}, **{**capacity, "nodes": None})
    assert (unlimited.stock_gpus, unlimited.node_price) == (None, NodePrice(8, 6.44, max_nodes=None))


def test_nodes_that_lack_a_gpu_are_not_paid_as_whole_ones() -> None:
    nodes = [make.node("a", pool_name="l4", gpus=4), make.node("b", pool_name="l4", gpus=3)]
    pool = pool_of(cost={"perNodeHour": "3.22"}, nodes=None, with_nodes=nodes)
    assert (pool.stock_gpus, pool.node_price) == (4, NodePrice(4, 3.22, max_nodes=1))


def test_spot_zones_and_nodes_reach_the_planner() -> None:
    assert pool_of() == Pool("l4", stock_gpus=16, node_gpus=(4, 4, 4, 4))
    assert pool_of(nodes=None, kind="Elastic") == Pool("l4")
    spot = pool_of(provisioning="Spot", zones=["b", "a"])
    assert (spot.spot, spot.zones) == (True, ("a", "b"))


def test_zones_are_read_from_the_selector_or_the_nodes() -> None:
    def node(name: str, zone: str | None) -> NodeView:
        labels = {"gpu": "l4"} if zone is None else {"gpu": "l4", ZONE_LABEL: zone}
        return NodeView(name=name, labels=labels, allocatable={"nvidia.com/gpu": 4})

    nodes = [node("n1", "z2"), node("n2", "z1"), node("n3", "z2"), node("n4", None)]
    assert pool_of(with_nodes=nodes).zones == ("z1", "z2")
    assert pool_of(with_nodes=nodes, zones=["named"]).zones == ("named",)
    assert pool_of(with_nodes=nodes, nodeSelector={"gpu": "l4", ZONE_LABEL: "z1"}).zones == ("z1",)
    assert pool_of(with_nodes=[node("n4", None)]).zones == ()


def test_replicas_that_do_not_pack_are_planned_without_nodes() -> None:
    config = (
        '{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 3072, "num_hidden_layers": 16, '
        '"num_attention_heads": 24, "num_key_value_heads": 6, "intermediate_size": 8192, "vocab_size": 128256}'
    )
    model = {"uri": "hf://nobody/knows-this", "configJson": config}

    def odd(degree: int) -> Any:
        spec = {"model": model, "variants": [{"poolRef": "l4", "tensorParallel": degree}]}
        return make.service(f"tp{degree}", spec=spec)

    pool: dict[str, Any] = {"gpus_per_node": 6}
    assert pool_of(odd(3), odd(6), **pool).node_gpus == (6, 6, 6, 6)
    assert pool_of(odd(3), odd(2), **pool).node_gpus is None
    assert pool_of(odd(3), odd(2), **pool).stock_gpus == 24
    services = problem_of(make.snapshot(odd(3), odd(2), pools=[make.pool(gpus_per_node=7)])).services
    assert [service.variants[0].max_replicas for service in services] == [4 * 3, 4 * 2]
    # Where whole nodes are paid, the one that cannot be planned is reported; the other is planned.
    snapshot = make.snapshot(odd(3), odd(2), pools=[make.pool(cost={"perNodeHour": "4.83"}, **pool)])
    done = run(snapshot)
    assert [service.name for service in problem_of(snapshot).services] == ["demo/tp2"]
    assert done.condition("PlanReady", "tp2").reason == "Optimal"
    condition = done.condition("PlanReady", "tp3")
    assert condition.reason == "InvalidSpec"
    for words in ("spec.variants[0].tensorParallel 3", 'GPUPool "l4"', "1, 2, 4, 8", "spec.cost.perHour"):
        assert words in condition.message


@pytest.mark.parametrize(
    ("row", "gpus"),
    [
        pytest.param({"gpus": 4, "tensorParallel": 2}, 4, id="not its degree"),
        pytest.param({"tensorParallel": 2}, 2, id="written before there was a figure of its own"),
        pytest.param({}, 1, id="of one GPU"),
    ],
)
def test_what_is_held_takes_the_gpus_that_its_status_says(row: dict[str, int], gpus: int) -> None:
    held = {"name": "gone", "pool": "l4", "gpu": "L4", "desired": 3, **row}
    candidate = ServiceCandidate(
        service=make.service(status={"variants": [held]}), disposition=Disposition.HELD, last_replicas={"gone": 3}
    )
    assert reserved_replicas([candidate], Ledger()) == {"l4": {gpus: 3}}


@pytest.mark.parametrize("row", [{"gpus": 0}, {"gpus": -4}, {"tensorParallel": -1}])
def test_a_status_that_makes_no_sense_takes_nothing(row: dict[str, int]) -> None:
    held = {"name": "gone", "pool": "l4", "gpu": "L4", "desired": 3, **row}
    candidate = ServiceCandidate(
        service=make.service(status={"variants": [held]}), disposition=Disposition.HELD, last_replicas={"gone": 3}
    )
    assert reserved_replicas([candidate], Ledger()) == {}


def test_the_status_says_gpus_and_degree() -> None:
    spec = {"variants": [{"poolRef": "l4", "tensorParallel": 2}]}
    (row,) = run(make.snapshot(make.service(spec=spec))).status()["variants"]
    assert (row["gpus"], row["tensorParallel"]) == (2, 2)


def test_a_rejected_service_takes_its_gpus_and_its_power() -> None:
    pools = [make.pool(nodes=2, power={"budgetWatts": 500})]
    spec = {"variants": [{"poolRef": "l4", "tensorParallel": 2, "minReplicas": 3}]}
    steady = settle(make.snapshot(make.service(spec=spec), pools=pools))
    assert steady.candidate().last_replicas == {"l4-tp2": 3}
    broken = make.service(spec={**spec, "runtime": {"profileRef": "trt"}}, generation=2)
    problem = run(changed(steady.snapshot, broken, make.service("other")), steady.memory).prepared.problem
    assert problem is not None
    assert problem.pools == (Pool("l4", stock_gpus=2, node_gpus=(0, 2), power_domain="l4"),)
    assert problem.power_domains == (PowerBudget("l4", 500.0 - 6 * 72.0),)


def test_a_pool_price_of_nothing_names_its_field() -> None:
    done = run(make.snapshot(make.service(), pools=[make.pool(), make.pool("free", cost={"perNodeHour": "0"})]))
    write = next(write for write in done.decision.statuses if write.key.name == "free")
    (ready,) = write.status["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert 'spec.cost.perNodeHour "0" must be above 0' in ready["message"]
