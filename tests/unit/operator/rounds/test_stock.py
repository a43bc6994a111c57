"""What runs fits: stock limits growth and takes no Ready replica; GPUs count by the pods that hold them, whoever made
them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.in_place import held_rps
from medley_operator.domain.values.labels import SERVICE
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.views import Taint
from tests.unit.operator import factories as make
from tests.unit.operator.placing import (
    applied,
    follow_placed,
    foreign,
    nodes,
    on,
    scheduled,
    service,
    settled_placed,
    with_nodes,
    with_pods,
    with_seen,
    without_pods,
)
from tests.unit.operator.rounds.play import Round, follow, run, settle


def fifteen() -> Round:
    """15 replicas on eight nodes of two GPUs."""
    spec = service(variants=[on("l4", minReplicas=15, maxReplicas=15)])
    steady = settled_placed(
        make.snapshot(spec, pools=[make.pool(nodes=None, gpus_per_node=2)], nodes=nodes("l4", 8, gpus=2))
    )
    assert applied(steady) == {"llama-l4": 15}
    return steady


LOST: dict[str, dict[str, Any]] = {
    "cordoned": {"cordoned": True},
    "not Ready": {"ready": False},
    "being deleted": {"leaving": True},
    "device plugin blinks": {"allocatable": {"nvidia.com/gpu": 0}},
    "half of its GPUs break": {"allocatable": {"nvidia.com/gpu": 1}},
    "tainted": {"taints": (Taint("maintenance", "", "NoSchedule"),)},
    "relabelled": {"labels": {}},
}


@pytest.mark.parametrize("change", LOST.values(), ids=LOST)
@pytest.mark.parametrize("pods_known", [True, False], ids=["pods seen", "pods not seen"])
def test_a_dip_of_stock_takes_no_ready_replica(change: dict[str, Any], pods_known: bool) -> None:
    """Four nodes of eight are lost for one round: 15 replicas stay 15."""
    steady = fifteen()
    snapshot = make.carried_out(steady.snapshot, steady.decision)
    snapshot = with_nodes(snapshot, [f"l4-{index}" for index in range(4)], **change)
    if not pods_known:
        snapshot = without_pods(snapshot)
    done = run(snapshot, steady.memory)
    assert applied(done) == {"llama-l4": 15}
    assert done.condition("CapacityAvailable").reason == "Sufficient"


def test_nodes_that_are_gone_take_no_replica_with_them() -> None:
    """The pods of a node that vanished count until they do."""
    steady = fifteen()
    snapshot = replace(steady.snapshot, nodes=steady.snapshot.nodes[4:])
    assert applied(run(snapshot, steady.memory)) == {"llama-l4": 15}


@pytest.mark.parametrize("pods_known", [True, False], ids=["pods seen", "pods not seen"])
def test_a_pool_that_is_edited_down_takes_no_ready_replica(pods_known: bool) -> None:
    spec = service(variants=[on("l4", minReplicas=15, maxReplicas=15)])
    pools = [make.pool(nodes=8, gpus_per_node=2)]
    steady = settled_placed(make.snapshot(spec, pools=pools, nodes=nodes("l4", 8, gpus=2)))
    snapshot = replace(steady.snapshot, pools=(make.pool(nodes=2, gpus_per_node=2),))
    if not pods_known:
        snapshot = without_pods(snapshot)
    done = run(snapshot, steady.memory)
    assert applied(done) == {"llama-l4": 15}
    assert done.prepared.ledger.pools["l4"].free_gpus == 0


def test_stock_limits_growth() -> None:
    """On cordoned nodes what runs stays, and nothing grows."""
    spec = service(rate="8", variants=[on("l4")])
    pools = [make.pool(nodes=None)]
    steady = settled_placed(make.snapshot(spec, pools=pools, nodes=nodes("l4", 2)))
    before = applied(steady)["llama-l4"]
    assert 1 < before < 8

    def cordoned(snapshot: Snapshot) -> Snapshot:
        more = service(rate="30", variants=[on("l4")])
        more = more.model_copy(update={"status": snapshot.services[0].status})
        return with_nodes(replace(snapshot, services=(more,)), ["l4-0", "l4-1"], cordoned=True)

    grown = follow_placed(steady, cordoned)
    assert applied(grown) == {"llama-l4": before}
    assert grown.condition("CapacityAvailable").reason == "StockOut"


@pytest.mark.parametrize("ended_gpus", [1, 4], ids=["one pod", "a whole node"])
def test_a_rolling_update_on_a_full_pool_changes_no_plan(ended_gpus: int) -> None:
    """Pods that end hold their GPUs, and what replaces them waits for these: nobody else's replica goes meanwhile."""
    high = service("high", rate="1", priority="High", variants=[on("l4", minReplicas=5, maxReplicas=5)])
    low = service("low", rate="1", priority="Low", variants=[on("l4", minReplicas=3, maxReplicas=3)])
    steady = settled_placed(make.snapshot(high, low, pools=[make.pool(nodes=None)], nodes=nodes("l4", 2)))
    ours = [each for each in steady.snapshot.pods if each.name.startswith("high")]
    ending = {each.name for each in ours[:ended_gpus]}
    pods = tuple(
        replace(each, terminating=True, ready=False) if each.name in ending else each for each in steady.snapshot.pods
    )
    snapshot = scheduled(with_seen(steady.snapshot, pods))
    assert sum(1 for each in snapshot.pods if not each.node) == ended_gpus
    done = run(snapshot, steady.memory)
    assert applied(done) == {"high-l4": 5, "low-l4": 3}
    assert done.condition("CapacityAvailable", "low").reason == "Sufficient"
    # Nothing more grows on what they hold.
    more = service("more", rate="1", variants=[on("l4")])
    done = run(replace(snapshot, services=(*snapshot.services, more)), steady.memory)
    assert done.prepared.problem is not None
    assert done.prepared.problem.pools[0].stock_gpus == 8
    assert done.prepared.ledger.pools["l4"].free_gpus == 0


def test_pods_that_are_replaced_are_not_lost_to_a_service_that_serves_more_on_them() -> None:
    """On a full pool the plan gave the GPUs of three pods that were evicted at once to another tenant."""
    mine = service("mine", rate="9", variants=[on("l4")])
    short = {"source": "Static", "static": {"requestsPerSecond": "300", "promptTokens": 100, "generationTokens": 20}}
    other = make.service("other", spec={"variants": [on("l4")], "workload": short})
    steady = settled_placed(make.snapshot(mine, pools=[make.pool(nodes=None)], nodes=nodes("l4", 3)))
    steady = settled_placed(replace(steady.snapshot, services=(*steady.snapshot.services, other)))
    before = applied(steady)
    assert sum(before.values()) == 12
    ending = [each.uid for each in steady.snapshot.pods if each.name.startswith("mine")][:3]
    pods = [
        replace(each, terminating=True, ready=False) if each.uid in ending else each for each in steady.snapshot.pods
    ]
    done = run(scheduled(with_seen(steady.snapshot, pods)), steady.memory, steps=steady.steps)
    assert applied(done) == before


def test_foreign_pods_take_stock_and_the_plan_goes_elsewhere() -> None:
    """Notebooks on 20 of 32 L4: the plan uses the 12 that are left, and L40S for the rest."""
    pools = [make.pool(nodes=None), make.pool("l40s", gpu="L40S", price="30", nodes=None)]
    notebooks = [foreign(f"notebook-{n}", f"l4-{n // 4}") for n in range(20)]
    spec = service(rate="26.5", variants=[on("l4"), on("l40s")], routing={"gatewayRef": {"name": "inference"}})
    snapshot = make.snapshot(spec, pools=pools, nodes=[*nodes("l4", 8), *nodes("l40s", 4)])
    alone = settled_placed(snapshot)
    assert applied(alone)["llama-l4"] > 12
    beside = settled_placed(with_pods(snapshot, *notebooks))
    assert applied(beside)["llama-l4"] == 12
    assert applied(beside)["llama-l40s"] > 0
    assert all(each.node for each in beside.snapshot.pods)
    assert beside.condition("WorkloadsReady").reason == "AllReady"
    status = pool_status(run(with_pods(snapshot, *notebooks)), "l4")
    assert (status["stockGpus"], status["freeGpus"], status["foreignGpus"]) == (12, 12, 20)
    assert beside.gauge("pool_foreign_gpus", "l4") == 20
    assert beside.gauge("pool_free_gpus", "l4") == 0
    assert beside.gauge("pool_stock_gpus", "l4") == 12
    assert beside.gauge("pool_ready_nodes", "l4") == 8


def test_gpus_that_a_tenant_takes_from_itself_cost_no_replica_of_another() -> None:
    """Pods that a tenant relabelled kept their GPUs. Its service still counted as served by them, and the plan took a
    Ready replica of another tenant."""
    services = [service(name, rate=rate, variants=[on("l4")]) for name, rate in (("mine", "12"), ("other", "6"))]
    steady = settled_placed(make.snapshot(*services, pools=[make.pool(nodes=None)], nodes=nodes("l4", 3)))
    before = applied(steady)
    assert 6 < sum(before.values()) <= 12

    def relabelled(snapshot: Snapshot) -> Snapshot:
        pods = [
            replace(pod, labels={}, uid=f"{pod.uid}-theirs") if pod.labels.get(SERVICE) == "mine" else pod
            for pod in snapshot.pods
        ]
        return with_seen(snapshot, pods)

    done = follow_placed(steady, relabelled)
    for _ in range(6):
        assert applied(done)["other-l4"] == before["other-l4"]
        done = follow_placed(done)


@pytest.mark.parametrize(
    ("own", "others", "taken"),
    [("10.8", "4.8", 1), ("10.8", "7.3", 2), ("12.7", "3.2", 1), ("12", "3.6", 2)],
)
def test_a_service_that_lost_some_gpus_takes_no_replica_that_another_has_to_spare(
    own: str, others: str, taken: int
) -> None:
    """What the replicas that are left serve was read from the figures of the status, which are rounded and know no
    headroom: the service held a little more than they serve, and got a Ready replica of another tenant whose last one
    has little to do."""
    services = [service(name, rate=rate, variants=[on("l4")]) for name, rate in (("mine", own), ("other", others))]
    steady = settled_placed(make.snapshot(*services, pools=[make.pool(nodes=None)], nodes=nodes("l4", 3)))
    before = applied(steady)
    assert sum(before.values()) >= 11

    def relabelled(snapshot: Snapshot) -> Snapshot:
        pods = list(snapshot.pods)
        for index in [i for i, pod in enumerate(pods) if pod.labels.get(SERVICE) == "mine"][:taken]:
            pods[index] = replace(pods[index], labels={}, uid=f"{pods[index].uid}-theirs")
        return with_seen(snapshot, pods)

    done = follow_placed(steady, relabelled)
    for _ in range(3):
        assert applied(done)["other-l4"] == before["other-l4"]
        done = follow_placed(done)


def test_a_part_of_the_load_that_the_status_does_not_list_is_not_held() -> None:
    """The status lists the largest parts that are not served; the rest counted as served."""
    short = service("mine", rate="60", variants=[on("l4")])
    steady = settled_placed(make.snapshot(short, pools=[make.pool(nodes=None)], nodes=nodes("l4", 2)))
    plan = steady.snapshot.services[0].status.plan
    assert plan is not None
    assert sum(row.rate_rps for row in plan.unserved) < plan.unserved_rps - 1.0
    served = 60.0 - plan.unserved_rps
    assert held_rps(steady.candidate("mine")) == pytest.approx(served)
    assert steady.gauge("service_unserved_request_rate", make.NAMESPACE, "mine") == pytest.approx(
        plan.unserved_rps, abs=1e-5
    )


MINIMA: dict[str, dict[str, Any]] = {
    "of the service": {"scaling": {"minReplicas": 4}, "variants": [on("l4"), on("l4", name="second")]},
    "of a variant": {"variants": [on("l4", minReplicas=4)]},
    "of two variants": {"variants": [on("l4", minReplicas=2), on("l4", name="second", minReplicas=2)]},
}


@pytest.mark.parametrize("spec", MINIMA.values(), ids=MINIMA)
@pytest.mark.parametrize("left", [0, 1])
def test_a_minimum_takes_no_gpu_of_another_tenant(spec: dict[str, Any], left: int) -> None:
    """A tenant hid its pods from its own Deployment. The minima of its variants were met with GPUs on which Ready
    replicas of another tenant stood, and those of 4 went down to 1."""
    services = [service("mine", rate="0.2", **spec), service("other", rate="12", variants=[on("l4")])]
    steady = settled_placed(make.snapshot(*services, pools=[make.pool(nodes=None)], nodes=nodes("l4", 2)))
    before = applied(steady)
    assert before["other-l4"] == 4

    def hidden(snapshot: Snapshot) -> Snapshot:
        own = [pod for pod in snapshot.pods if pod.labels.get(SERVICE) == "mine"]
        lost = {pod.uid for pod in own[left:]}
        pods = [replace(pod, labels={}, uid=f"{pod.uid}-x") if pod.uid in lost else pod for pod in snapshot.pods]
        return with_seen(snapshot, pods)

    done = follow_placed(steady, hidden)
    for _ in range(6):
        assert applied(done)["other-l4"] == before["other-l4"]
        done = follow_placed(done)
    capacity, plan = (done.condition(type_, "mine") for type_ in ("CapacityAvailable", "PlanReady"))
    assert (capacity.status, capacity.reason, plan.status) == ("False", "StockOut", "False")
    assert "the pools hold too few GPUs" in plan.message or "inReplicas" in plan.message


def pool_status(done: Round, name: str) -> dict[str, Any]:
    return next(write.status for write in done.decision.statuses if write.key.name == name)


@pytest.mark.parametrize("pods_known", [True, False], ids=["pods seen", "pods not seen"])
@pytest.mark.parametrize("declared", [None, 3], ids=["counted", "declared"])
@pytest.mark.parametrize("seen", [3, 0], ids=["nodes seen", "none seen"])
def test_two_pools_on_the_same_nodes_plan_no_gpu_twice(pods_known: bool, declared: int | None, seen: int) -> None:
    selector = {"gpu": "l4"}
    pools = [
        make.pool("a", nodes=declared, nodeSelector=selector),
        make.pool("b", nodes=declared, nodeSelector=selector),
    ]
    spec = service(rate="800", variants=[on("a"), on("b")])
    snapshot = make.snapshot(spec, pools=pools, nodes=[*nodes("l4", seen), *nodes("other", 1)])
    first = run(with_seen(snapshot) if pods_known else without_pods(snapshot))
    expected = 12 if seen or declared else 0
    assert sum(applied(first).values()) == expected
    for name, other in (("a", "b"), ("b", "a")):
        shared = {each["type"]: each for each in pool_status(first, name)["conditions"]}["NodesShared"]
        assert (shared["status"], shared["reason"]) == ("True", "SelectorsOverlap")
        assert f'GPUPool "{other}"' in shared["message"]
    if seen:
        settled = settled_placed(first.snapshot) if pods_known else settle(first.snapshot)
        assert sum(applied(settled).values()) == 12


@pytest.mark.parametrize("pods_known", [True, False], ids=["pods seen", "pods not seen"])
def test_a_second_pool_on_nodes_that_are_in_use_takes_nothing(pods_known: bool) -> None:
    """Replicas of pool b stay where they are when a pool a that selects the same nodes comes."""
    selector = {"gpu": "l4"}
    old = make.pool("b", nodes=None, nodeSelector=selector)
    spec = service(variants=[on("b", minReplicas=10, maxReplicas=10)])
    steady = settled_placed(make.snapshot(spec, pools=[old], nodes=nodes("l4", 3)))
    both = (make.pool("a", nodes=None, nodeSelector=selector), *steady.snapshot.pools)
    more = service("more", rate="800", variants=[on("a")])
    snapshot = replace(steady.snapshot, pools=both, services=(*steady.snapshot.services, more))
    if not pods_known:
        snapshot = without_pods(snapshot)
    done = run(snapshot, steady.memory)
    assert applied(done)["llama-b"] == 10
    assert sum(applied(done).values()) <= 12


TAINT = Taint("dedicated", "research", "NoSchedule")


@pytest.mark.parametrize(
    ("taint", "toleration", "fits"),
    [
        (TAINT, None, False),
        (TAINT, {"key": "dedicated"}, True),
        (TAINT, {"key": "dedicated", "operator": "Equal", "value": "research"}, True),
        (TAINT, {"key": "dedicated", "operator": "Equal", "value": "other"}, False),
        (TAINT, {"key": "dedicated", "effect": "NoExecute"}, False),
        (TAINT, {"key": "other"}, False),
        (replace(TAINT, effect="NoExecute"), None, False),
        (replace(TAINT, effect="PreferNoSchedule"), None, True),
        (Taint("node.kubernetes.io/memory-pressure", "", "NoSchedule"), None, True),
    ],
)
def test_a_taint_that_the_pool_does_not_tolerate_is_no_stock(
    taint: Taint, toleration: dict[str, str] | None, fits: bool
) -> None:
    tolerations = [toleration] if toleration is not None else []
    pools = [make.pool(nodes=None, tolerations=tolerations), make.pool("l40s", gpu="L40S", price="9", nodes=None)]
    tainted = nodes("l4", 4, taints=(taint,))
    spec = service(rate="8", variants=[on("l4"), on("l40s")])
    done = run(make.snapshot(spec, pools=pools, nodes=[*tainted, *nodes("l40s", 4)]))
    assert list(applied(done)) == (["llama-l4"] if fits else ["llama-l40s"])
    ready = pool_status(done, "l4")["conditions"][0]
    if fits:
        assert (ready["status"], ready["reason"]) == ("True", "Accepted")
        return
    assert (ready["status"], ready["reason"]) == ("False", "TaintNotTolerated")
    assert f"dedicated=research:{taint.effect}" in ready["message"]
    assert "4 Ready nodes" in ready["message"]


def test_a_large_replica_is_not_planned_where_small_ones_stand() -> None:
    """Three replicas of one GPU stand on three nodes of four: a plan counts one place for four GPUs less than whole
    nodes would give, and none stays Pending for good."""
    pools = [make.pool(nodes=None), make.pool("h100", gpu="H100", price="9", gpus_per_node=4, nodes=None)]
    small = service("small", rate="1", variants=[on("l4", 1, minReplicas=3, maxReplicas=3)])
    scattered = settled_placed(
        make.snapshot(small, pools=pools, nodes=[*nodes("l4", 3), *nodes("h100", 1)]), spread=True
    )
    assert {each.node for each in scattered.snapshot.pods} == {"l4-0", "l4-1", "l4-2"}
    large = service("large", rate="30", variants=[on("l4", 4), on("h100", 4)])
    snapshot = replace(scattered.snapshot, services=(*scattered.snapshot.services, large))
    done = run(snapshot, scattered.memory)
    assert done.prepared.problem is not None
    assert sorted(done.prepared.problem.pools[1].node_gpus or ()) == [1, 1, 1, 3, 3, 3]
    assert {name for name, count in applied(done).items() if count} == {"small-l4", "large-h100-tp4"}


def test_three_small_and_two_large_replicas_on_three_nodes_all_start() -> None:
    """With small replicas packed, as the scheduler is asked to, the third node takes none of them."""
    small = service("small", rate="1", variants=[on("l4", 1, minReplicas=3, maxReplicas=3)])
    large = service("large", rate="1", variants=[on("l4", 4, minReplicas=2, maxReplicas=2)])
    snapshot = make.snapshot(small, large, pools=[make.pool(nodes=None)], nodes=nodes("l4", 3))
    packed = settled_placed(snapshot)
    assert applied(packed) == {"small-l4": 3, "large-l4-tp4": 2}
    assert all(each.node for each in packed.snapshot.pods)
    # Scattered, the plan says that one is left out, and says so in the service's conditions.
    alone = settled_placed(replace(snapshot, services=(snapshot.services[0],)), spread=True)
    beside = replace(alone.snapshot, services=(*alone.snapshot.services, snapshot.services[1]))
    assert run(beside, alone.memory).condition("CapacityAvailable", "large").status == "False"


@pytest.mark.parametrize("nodes_declared", [None, 4])
def test_a_settled_fleet_is_planned_as_if_its_pods_were_not_seen(nodes_declared: int | None) -> None:
    pools = [make.pool(nodes=nodes_declared), make.pool("l40s", gpu="L40S", price="1.9", nodes=nodes_declared)]
    services = [service(rate="12"), service("second", rate="9"), service("third", rate="3", priority="High")]
    snapshot = make.snapshot(*services, pools=pools, nodes=[*nodes("l4", 4), *nodes("l40s", 4)])
    seen, unseen = settled_placed(snapshot), settle(snapshot)
    assert applied(seen) == applied(unseen)
    plans = [[each.status.plan for each in done.snapshot.services] for done in (seen, unseen)]
    assert plans[0] == plans[1]
    again = follow(seen)
    assert not again.decision.applies
