"""The stock of each pool, from nodes and pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUPool, GPUPoolStatus
from medley_operator.domain.cluster.ledger import stock_ledger
from medley_operator.domain.values.stock import Ledger, NodeStock, PoolStock
from medley_operator.domain.values.views import NodeView, PodView
from tests.unit.operator import factories as make
from tests.unit.operator.placing import foreign, nodes, on, pod, service, with_seen, without_pods
from tests.unit.operator.rounds.play import run


def ledger_of(
    *pods: PodView,
    nodes: list[NodeView],
    running: int = 0,
    places: tuple[str, ...] = (),
    known: bool = True,
    declared: int | None = None,
    **pool: Any,
) -> Ledger:
    """Of one pool, with the service `llama` of so many replicas of one GPU, whose pods stand at `places`."""
    pools = [make.pool(nodes=declared, **pool)]
    snapshot = make.snapshot(
        service(rate="1", variants=[on("l4", minReplicas=max(running, 1))]), pools=pools, nodes=nodes
    )
    if running:
        first = run(replace(snapshot, pools=(make.pool(nodes=100),)))
        children = make.carried_out(first.snapshot, first.decision).children
        snapshot = replace(snapshot, children=children)
        (deployment,) = (each for each in children.values() if each["kind"] == "Deployment")
        pods += tuple(pod(f"own-{index}", place, deployment=deployment) for index, place in enumerate(places))
    return stock_ledger(with_seen(snapshot, pods) if known else without_pods(snapshot))


def stock_of(*pods: PodView, **given: Any) -> PoolStock:
    return ledger_of(*pods, **given).pools["l4"]


def figures(stock: PoolStock) -> tuple[int | None, int | None, int | None]:
    return stock.stock_gpus, stock.free_gpus, stock.foreign_gpus


def test_pods_of_anybody_take_gpus() -> None:
    stock = stock_of(foreign("a", "l4-0", gpus=3), foreign("b", "other"), nodes=nodes("l4", 2))
    assert figures(stock) == (5, 5, 3)
    assert stock.node_gpus == (1, 4)


def test_own_pods_are_stock_and_not_free() -> None:
    stock = stock_of(nodes=nodes("l4", 2), running=3, places=("l4-0", "l4-0", "l4-1"))
    assert figures(stock) == (8, 5, 0)
    assert stock.free_by_node == (2, 3)


def test_own_pods_that_end_hold_gpus_and_are_no_stock() -> None:
    ledger = ledger_of(nodes=nodes("l4", 1), running=2, places=("l4-0", "l4-0"))
    (node,) = ledger.pools["l4"].nodes
    assert node.free_gpus == 2
    ending = replace(node, running=node.running[:1], ending_gpus=1)
    assert (ending.free_gpus, ending.stock_gpus) == (2, 3)


@pytest.mark.parametrize(
    "change", [{"cordoned": True}, {"ready": False}, {"leaving": True}, {"allocatable": {}}], ids=str
)
def test_what_runs_on_a_node_that_takes_no_pods_is_stock(change: dict[str, Any]) -> None:
    seen = nodes("l4", 2)
    seen[0] = replace(seen[0], **change)
    stock = stock_of(foreign("a", "l4-0"), nodes=seen, running=2, places=("l4-0", "l4-0"))
    assert figures(stock) == (6, 4, 1)
    assert stock.node_gpus == (2, 4)


def test_what_runs_on_a_node_that_is_gone_or_relabelled_is_stock() -> None:
    other = make.node("moved", pool_name="other")
    stock = stock_of(nodes=[*nodes("l4", 1), other], running=3, places=("gone", "moved", "moved"))
    assert figures(stock) == (7, 4, 0)
    assert [node.name for node in stock.nodes] == ["l4-0", "gone", "moved"]


@pytest.mark.parametrize("kind", ["Fixed", "Elastic"])
def test_declared_nodes_that_are_not_seen_are_empty_ones(kind: str) -> None:
    seen = [replace(each, allocatable={"nvidia.com/gpu": 3}) for each in nodes("l4", 2)]
    stock = stock_of(foreign("a", "l4-0"), nodes=seen, kind=kind, declared=4)
    assert stock.node_gpus == (2, 3, 4, 4)
    # A node whose pods are seen is not one more.
    stock = stock_of(nodes=seen, running=1, places=("gone",), kind=kind, declared=4)
    assert stock.node_gpus == (3, 3, 1, 4)


def test_seen_nodes_beyond_those_declared_keep_what_runs() -> None:
    stock = stock_of(nodes=nodes("l4", 4), running=3, places=("l4-3", "l4-3", "l4-1"), declared=1)
    assert stock.node_gpus == (0, 1, 0, 4)
    assert [node.name for node in stock.nodes if node.open] == ["l4-3"]


def test_nodes_made_without_a_limit_have_none() -> None:
    stock = stock_of(foreign("a", "l4-0"), nodes=nodes("l4", 1), kind="Elastic")
    assert figures(stock) == (None, None, 1)


def test_where_no_node_is_seen_those_of_own_pods_are_there() -> None:
    stock = stock_of(foreign("a", "n1"), foreign("b", "n2"), nodes=[], running=1, places=("n1",))
    assert figures(stock) == (3, 2, 1)
    stock = stock_of(foreign("a", "n1"), nodes=[], running=1, places=("n1",), declared=3)
    assert stock.node_gpus == (3, 4, 4)


def test_where_nodes_cannot_be_listed_the_stock_is_what_was_last_seen() -> None:
    """Nodes of our own pods are some of it; what is declared and what has no limit is as ever."""
    seen = make.pool(nodes=None).model_copy(update={"status": GPUPoolStatus(ready_nodes=3, stock_gpus=10)})

    def stock(pool: GPUPool, *pods: PodView) -> PoolStock:
        snapshot = make.snapshot(pools=[pool], pods=pods)
        return stock_ledger(replace(snapshot, unreadable={"Node": "nodes are forbidden"})).pools["l4"]

    assert (figures(stock(seen)), stock(seen).ready_nodes) == ((10, 10, 0), 3)
    assert stock(seen).node_gpus == (4, 4, 2)
    assert figures(stock(make.pool(nodes=2))) == (8, 8, 0)
    assert figures(stock(make.pool(nodes=None, kind="Elastic"))) == (None, None, 0)
    assert figures(stock(make.pool(nodes=None))) == (0, 0, 0)


def test_nodes_of_own_pods_are_part_of_what_was_last_seen() -> None:
    seen = make.pool(nodes=None).model_copy(update={"status": GPUPoolStatus(ready_nodes=3, stock_gpus=10)})
    first = run(make.snapshot(service(rate="1", variants=[on("l4", minReplicas=2)]), pools=[make.pool()]))
    snapshot = make.carried_out(first.snapshot, first.decision)
    (deployment,) = (each for each in snapshot.children.values() if each["kind"] == "Deployment")
    snapshot = with_seen(replace(snapshot, pools=(seen,)), [pod("a", "n1", deployment=deployment)])
    unlisted = replace(snapshot, unreadable={"Node": "nodes are forbidden"})
    assert stock_ledger(unlisted).pools["l4"].node_gpus == (4, 4, 2)


def test_pods_of_two_layouts_of_a_variant_each_count_for_their_deployment() -> None:
    ledger = ledger_of(nodes=nodes("l4", 2), running=5, places=("l4-0", "l4-0", "l4-1"))
    (workload,) = ledger.workloads
    assert (workload.replicas, workload.placed, ledger.lacking(workload)) == (5, 3, 2)
    former = replace(workload, deployment="former", placed=0)
    assert ledger.lacking(former) == 5


def test_where_no_pod_is_seen_deployments_count_by_what_they_ask_for() -> None:
    stock = stock_of(nodes=nodes("l4", 2), running=5, known=False)
    assert figures(stock) == (8, 3, None)
    assert stock.free_by_node == (0, 3)
    # Ready replicas without a node known for them run somewhere.
    stock = stock_of(nodes=nodes("l4", 1), running=6, known=False)
    assert figures(stock) == (6, 0, None)


def test_the_ledger_answers_for_the_rollout() -> None:
    ledger = ledger_of(nodes=nodes("l4", 2), running=5, places=("l4-0", "l4-0", "l4-0", "l4-1", "l4-1"))
    assert ledger.room_for("l4", 2)
    assert not ledger.room_for("l4", 3)
    assert ledger.gpus_of_others([]) == {"l4": 5}
    (holder,) = ledger.bound
    assert ledger.bound[holder] == 5
    assert ledger.gpus_of_others([holder.service]) == {"l4": 0}
    unseen = ledger_of(nodes=nodes("l4", 1), running=6, known=False)
    assert unseen.gpus_of_others([]) == {"l4": 6}
    unlimited = ledger_of(nodes=[], kind="Elastic")
    assert unlimited.room_for("l4", 64)


def test_a_nominated_pod_of_others_takes_its_place() -> None:
    assert figures(stock_of(foreign("a", "", nominated="l4-0", gpus=4), nodes=nodes("l4", 1))) == (0, 0, 4)


def test_other_resources_of_a_node_are_others() -> None:
    node = NodeView("n", {"gpu": "l4"}, {"nvidia.com/gpu": 4, "nvidia.com/mig-1g.10gb": 7})
    mig = make.pool("mig", nodes=None, nodeSelector={"gpu": "l4"}, resourceName="nvidia.com/mig-1g.10gb")
    pod = replace(foreign("a", "n"), gpus={"nvidia.com/mig-1g.10gb": 3})
    snapshot = make.snapshot(pools=[make.pool(nodes=None), mig], nodes=[node])
    pools = stock_ledger(with_seen(snapshot, (pod,))).pools
    assert (figures(pools["l4"]), figures(pools["mig"])) == ((4, 4, 0), (4, 4, 3))
    assert pools["mig"].shares_with == ()
    assert pools["l4"].nodes == (NodeStock("n", 4, open=True),)
