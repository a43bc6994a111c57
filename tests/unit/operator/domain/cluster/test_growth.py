"""Quotas of Kueue and limits of Karpenter bound what may start, and take nothing that runs or was admitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.cluster.ledger import stock_ledger
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.stock import PoolStock
from medley_operator.domain.values.supply import FlavorQuota, NodePoolView, QueueView, Supply
from medley_operator.domain.values.views import NodeView, PodView
from tests.unit.operator import factories as make
from tests.unit.operator.placing import GPU, foreign, nodes, on, pod, service, with_seen
from tests.unit.operator.rounds.play import run

QUEUE = {"name": "serving", "clusterQueue": "gpus"}


def queue(nominal: int, used: int = 0, *, name: str = "gpus", flavor: str = "l4", **fields: Any) -> QueueView:
    quotas = {"borrowing": fields.pop("borrowing", None), "lending": fields.pop("lending", None)}
    row = FlavorQuota(nominal, used=used, **quotas)
    return replace(QueueView(name, "", stopped=False, quotas={(flavor, GPU): row}), **fields)


def queues(*found: QueueView) -> Supply:
    return Supply(queues={each.name: each for each in found})


def with_replicas(
    supply: Supply, *, running: int = 0, waiting: int = 0, gated: bool = False, pools: Iterable[GPUPool] = ()
) -> Snapshot:
    """Two nodes of four GPUs, and a service with so many replicas of one GPU that run, and others that have no node."""
    pools = tuple(pools) or (make.pool(nodes=None, queue=QUEUE),)
    count = running + waiting
    snapshot = make.snapshot(
        service(rate="1", variants=[on("l4", minReplicas=max(count, 1))]), pools=pools, nodes=nodes("l4", 2)
    )
    pods: list[PodView] = []
    if count:
        first = run(replace(snapshot, pools=(make.pool(nodes=100),)))
        children = make.carried_out(first.snapshot, first.decision).children
        snapshot = replace(snapshot, children=children)
        (deployment,) = (each for each in children.values() if each["kind"] == labels.DEPLOYMENT)
        pods = [
            pod(f"own-{index}", "l4-0" if index < running else "", deployment=deployment, gated=gated)
            for index in range(count)
        ]
    return with_seen(replace(snapshot, supply=supply), pods)


def stock(snapshot: Snapshot, name: str = "l4") -> PoolStock:
    return stock_ledger(snapshot).pools[name]


def figures(snapshot: Snapshot, name: str = "l4") -> tuple[int | None, int | None, int]:
    """Stock, free GPUs, and what the limit says."""
    found = stock(snapshot, name)
    return found.stock_gpus, found.free_gpus, found.limits[0].gpus


def test_a_quota_bounds_what_is_free() -> None:
    assert figures(with_replicas(queues(queue(3)))) == (3, 3, 3)
    assert figures(with_replicas(queues(queue(100)))) == (8, 8, 100)
    found = stock(with_replicas(queues(queue(3))))
    assert found.free_by_node == (0, 3), "what is left is on one node, where a large replica finds it"


def test_without_kueue_or_without_a_queue_nothing_is_bounded() -> None:
    assert stock(with_replicas(Supply())).limits == ()
    plain = with_replicas(queues(queue(1)), pools=[make.pool(nodes=None)])
    assert (stock(plain).stock_gpus, stock(plain).limits) == (8, ())


def test_what_others_use_of_a_quota_is_theirs() -> None:
    assert figures(with_replicas(queues(queue(6, used=4)))) == (2, 2, 2)
    assert figures(with_replicas(queues(queue(6, used=4)), running=3)) == (5, 2, 5)
    assert figures(with_replicas(queues(queue(6, used=9)))) == (0, 0, 0)


def test_what_runs_is_stock_whatever_the_quota_says() -> None:
    assert figures(with_replicas(queues(queue(2, used=3)), running=3)) == (3, 0, 3)
    # Kueue counts a pod that starts a little later than it is seen.
    assert figures(with_replicas(queues(queue(4)), running=3)) == (4, 1, 4)


def test_replicas_that_were_admitted_and_have_no_node_yet_are_ours() -> None:
    """Without them, a plan would shrink as soon as Kueue has admitted what it asked for."""
    admitted = queues(queue(4, used=4))
    assert figures(with_replicas(admitted, running=2, waiting=2)) == (4, 2, 4)
    assert figures(with_replicas(admitted, running=2, waiting=2, gated=True)) == (2, 0, 2)


def test_pods_with_our_labels_are_ours_only_as_far_as_our_deployments_ask_for_them() -> None:
    snapshot = with_replicas(queues(queue(4, used=4)), running=1, waiting=1)
    fakes = [replace(each, name=f"fake-{index}") for index, each in enumerate(snapshot.pods * 4) if not each.node]
    assert figures(with_seen(snapshot, [*snapshot.pods, *fakes])) == (2, 1, 2)


@pytest.mark.parametrize(
    ("found", "problem"),
    [(queues(), "missing"), (queues(queue(8, stopped=True)), "stopped")],
    ids=["missing", "stopped"],
)
def test_a_queue_that_admits_nothing_leaves_what_runs(found: Supply, problem: str) -> None:
    snapshot = with_replicas(found, running=2)
    assert figures(snapshot) == (2, 0, 2)
    assert stock(snapshot).limits[0].problem == problem


def test_the_flavor_of_the_pool_counts() -> None:
    both = QueueView(
        "gpus", "", stopped=False, quotas={("l4", GPU): FlavorQuota(2), ("h100", GPU): FlavorQuota(3, used=1)}
    )
    assert figures(with_replicas(queues(both))) == (4, 4, 4)
    named = make.pool(nodes=None, queue={**QUEUE, "flavor": "h100"})
    assert figures(with_replicas(queues(both), pools=[named])) == (2, 2, 2)
    other = make.pool(nodes=None, queue={**QUEUE, "flavor": "none"})
    assert figures(with_replicas(queues(both), pools=[other])) == (0, 0, 0)
    unnamed = make.pool(nodes=None, queue={"name": "gpus"})
    assert figures(with_replicas(queues(both), pools=[unnamed])) == (4, 4, 4)


@pytest.mark.parametrize(
    ("own", "other", "most"),
    [
        ({"nominal": 2}, {"nominal": 4}, 6),
        ({"nominal": 2, "borrowing": 1}, {"nominal": 4}, 3),
        ({"nominal": 2}, {"nominal": 4, "used": 3}, 3),
        ({"nominal": 2}, {"nominal": 4, "lending": 1}, 3),
        ({"nominal": 2}, {"nominal": 4, "lending": 1, "used": 3}, 3),
        ({"nominal": 2}, {"nominal": 4, "lending": 1, "used": 4}, 2),
        ({"nominal": 2}, {"nominal": 0, "used": 3}, 2),
    ],
    ids=str,
)
def test_a_cohort_lends_what_it_does_not_use(own: dict[str, Any], other: dict[str, Any], most: int) -> None:
    found = queues(queue(**own, cohort="all"), queue(**other, name="batch", cohort="all"), queue(99, name="apart"))
    assert figures(with_replicas(found))[2] == most


def test_a_quota_of_two_pools_is_planned_once() -> None:
    first, second = make.pool("a", nodes=2, queue=QUEUE), make.pool("l4", nodes=None, queue=QUEUE)
    shared = with_replicas(queues(queue(10)), pools=[first, second])
    assert [stock(shared, name).stock_gpus for name in ("a", "l4")] == [8, 2]
    waiting = with_replicas(queues(queue(3)), waiting=2, gated=True, pools=[first, second])
    assert [stock(waiting, name).stock_gpus for name in ("a", "l4")] == [1, 2]


def test_an_elastic_pool_has_the_nodes_that_its_quota_pays() -> None:
    elastic = make.pool(nodes=None, kind="Elastic", queue=QUEUE)
    found = stock(with_replicas(queues(queue(18)), pools=[elastic]))
    assert (found.unlimited, found.stock_gpus, found.node_gpus) == (False, 18, (4, 4, 4, 4, 2))


def maker(limits: dict[str, str], used: dict[str, str] | None = None, **said: str) -> NodePoolView:
    known = {"gpu": "l4", **said}
    return NodePoolView(
        "gpu-nodes",
        {key: frozenset([value]) for key, value in known.items()},
        {name: Decimal(text) for name, text in limits.items()},
        {name: Decimal(text) for name, text in (used or {}).items()},
    )


def made(found: NodePoolView, *more: NodePoolView, seen: list[NodeView] | None = None, **pool: Any) -> Snapshot:
    given = {"nodes": None, "kind": "Elastic", **pool}
    snapshot = make.snapshot(pools=[make.pool(**given)], nodes=nodes("l4", 2) if seen is None else seen)
    return with_seen(replace(snapshot, supply=Supply(node_pools=(found, *more))))


@pytest.mark.parametrize(
    ("limits", "used", "left"),
    [
        ({GPU: "16"}, {GPU: "8"}, 2),
        ({GPU: "15"}, {GPU: "8"}, 1),
        ({GPU: "8"}, {GPU: "8"}, 0),
        ({GPU: "8"}, {GPU: "12"}, 0),
        ({"nodes": "5"}, {"nodes": "2"}, 3),
        ({"cpu": "100"}, {"cpu": "32", "nodes": "2"}, 4),
        ({"cpu": "32"}, {"cpu": "32"}, 0),
        ({GPU: "40", "cpu": "48"}, {GPU: "8", "cpu": "32", "nodes": "2"}, 1),
    ],
    ids=str,
)
def test_limits_of_a_node_pool_bound_the_nodes_that_are_made(
    limits: dict[str, str], used: dict[str, str], left: int
) -> None:
    seen = nodes("l4", 2, labels={"gpu": "l4", "karpenter.sh/nodepool": "gpu-nodes"})
    found = stock(made(maker(limits, used), seen=seen))
    assert (found.unlimited, found.stock_gpus) == (False, 8 + 4 * left)
    assert [(each.kind, each.name, each.gpus) for each in found.limits] == [("NodePool", "gpu-nodes", 8 + 4 * left)]


def test_a_node_that_is_being_made_is_still_to_come() -> None:
    """Karpenter counts it as used: what waits for it must not be planned away."""
    used = {GPU: "8", "nodes": "2"}
    labelled = nodes("l4", 2, labels={"gpu": "l4", "karpenter.sh/nodepool": "gpu-nodes"})
    unready = [labelled[0], replace(labelled[1], ready=False)]
    for seen in (labelled, labelled[:1], unready):
        assert stock(made(maker({GPU: "12"}, used), seen=seen)).stock_gpus == 12
    cordoned = [labelled[0], replace(labelled[1], cordoned=True)]
    assert stock(made(maker({GPU: "12"}, used), seen=cordoned)).stock_gpus == 8


@pytest.mark.parametrize(
    "found",
    [
        [maker({})],
        [maker({"memory": "1000"})],
        [maker({GPU: "8"}, gpu="h100")],
        [maker({GPU: "8"}), replace(maker({}), name="other")],
        [maker({GPU: "1000000"})],
    ],
    ids=["no limit", "no node to go by", "nodes of another kind", "another without limit", "beyond any plan"],
)
def test_where_no_limit_is_known_there_is_none(found: list[NodePoolView]) -> None:
    assert stock(made(*found)).unlimited


def test_limits_of_several_node_pools_add_up_and_bound_declared_nodes_too() -> None:
    other = replace(maker({GPU: "4"}), name="spare")
    assert stock(made(maker({GPU: "8"}), other)).stock_gpus == 8 + 8 + 4
    assert stock(made(maker({GPU: "4"}), nodes=5)).stock_gpus == 12
    assert stock(made(maker({GPU: "4"}), nodes=5, kind="Fixed")).stock_gpus == 20


def test_a_quota_bounds_an_elastic_pool_beside_its_node_pool() -> None:
    snapshot = made(maker({GPU: "8"}), queue=QUEUE)
    both = replace(snapshot, supply=replace(snapshot.supply, queues={"gpus": queue(10)}))
    assert stock(both).stock_gpus == 10
    assert [each.kind for each in stock(both).limits] == ["NodePool", "ClusterQueue"]


def test_pods_of_others_take_none_of_a_quota_by_themselves() -> None:
    snapshot = with_replicas(queues(queue(3)))
    assert figures(with_seen(snapshot, [foreign("a", "l4-0", gpus=2)])) == (3, 3, 3)
