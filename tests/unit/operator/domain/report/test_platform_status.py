"""Pools show their stock, which taints keep replicas off, and the pools that they share nodes with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.views import Taint
from tests.unit.operator import factories as make
from tests.unit.operator.placing import foreign, nodes, with_seen
from tests.unit.operator.rounds.play import run


def status(snapshot: Snapshot, name: str = "l4") -> dict[str, Any]:
    return next(write.status for write in run(snapshot).decision.statuses if write.key.name == name)


def conditions(snapshot: Snapshot, name: str = "l4") -> dict[str, tuple[str, str, str]]:
    found = status(snapshot, name)["conditions"]
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


def test_stock_free_and_foreign_gpus() -> None:
    snapshot = make.snapshot(pools=[make.pool(nodes=None)], nodes=nodes("l4", 2))
    seen = status(with_seen(snapshot, (foreign("a", "l4-0", gpus=3),)))
    assert (seen["stockGpus"], seen["freeGpus"], seen["foreignGpus"], seen["readyNodes"]) == (5, 5, 3, 2)
    unseen = status(snapshot)
    assert (unseen["stockGpus"], unseen["freeGpus"]) == (8, 8)
    assert "foreignGpus" not in unseen
    elastic = status(replace(snapshot, pools=(make.pool(nodes=None, kind="Elastic"),)))
    assert not {"stockGpus", "freeGpus"} & set(elastic)


def test_gauges_are_absent_where_there_is_nothing_to_show() -> None:
    snapshot = make.snapshot(pools=[make.pool(nodes=None, kind="Elastic")], nodes=nodes("l4", 2))
    done = run(snapshot)
    assert [done.gauge(f"pool_{name}", "l4") for name in ("stock_gpus", "free_gpus", "foreign_gpus")] == [None] * 3
    assert done.gauge("pool_ready_nodes", "l4") == 2


def test_a_taint_on_some_nodes_is_named_and_the_rest_is_planned_with() -> None:
    taints = tuple(
        Taint(key, value, "NoSchedule") for key, value in (("gpu", ""), ("team", "ml"), ("x", ""), ("y", ""))
    )
    tainted = replace(nodes("l4", 1)[0], name="tainted", taints=taints)
    snapshot = make.snapshot(pools=[make.pool(nodes=None)], nodes=[*nodes("l4", 1), tainted])
    assert conditions(snapshot)["Ready"] == (
        "True",
        "Accepted",
        "L4: 4 GPUs; no new pod can start on 1 Ready node, because spec.tolerations does not tolerate gpu:NoSchedule, "
        "team=ml:NoSchedule, x:NoSchedule and 1 more; add the toleration, or remove the taint",
    )
    alone = conditions(replace(snapshot, nodes=(tainted,)))["Ready"]
    assert alone[:2] == ("False", "TaintNotTolerated")


def test_pools_that_share_nodes_name_each_other_and_the_way_out() -> None:
    shared: dict[str, Any] = {"nodeSelector": {"gpu": "l4"}, "nodes": None}
    pools = [make.pool("l4", **shared), make.pool("b", **shared), make.pool("c", **shared)]
    snapshot = make.snapshot(pools=pools, nodes=nodes("l4", 1))
    found = conditions(snapshot, "l4")["NodesShared"]
    assert found[:2] == ("True", "SelectorsOverlap")
    for words in (
        "spec.nodeSelector (gpu=l4)",
        'GPUPool "b", "c" selects some of the GPUs',
        "make the selectors differ",
    ):
        assert words in found[2]
    assert "NodesShared" not in conditions(replace(snapshot, pools=(pools[0],)))
