"""Which of several pools that select the same nodes a node counts for."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.cluster.held import HeldGpus
from medley_operator.domain.cluster.node_shares import NodeShares, node_shares
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder
from medley_operator.domain.values.views import Taint
from medley_planner.catalog import Catalogue
from tests.unit.operator import factories as make
from tests.unit.operator.placing import GPU, nodes

HOLDER = Holder(ServiceKey("demo", "llama"), "x")


def pool(name: str, **spec: Any) -> GPUPool:
    return make.pool(name, **{"nodeSelector": {"gpu": "l4"}, **spec})


def shares(*pools: GPUPool, held: dict[str, list[HeldGpus]] | None = None, **node: Any) -> NodeShares:
    return node_shares(pools, nodes("l4", 2, **node), held or {}, Catalogue())


def held_by(pool_name: str, gpus: int = 1) -> HeldGpus:
    return HeldGpus({GPU: gpus}, HOLDER, pool_name, ending=False)


def own(found: NodeShares) -> dict[str, list[str]]:
    return {name: sorted(nodes) for name, nodes in found.own.items() if nodes}


def test_the_first_by_name_has_the_nodes_that_no_pod_is_on() -> None:
    found = shares(pool("a"), pool("b"))
    assert own(found) == {"a": ["l4-0", "l4-1"]}
    assert found.shares_with == {"a": {"b"}, "b": {"a"}}
    assert found.second == {"b"}


def test_the_pool_whose_pods_hold_most_of_a_node_has_it() -> None:
    held = {"l4-0": [held_by("b", 2), held_by("a"), HeldGpus({GPU: 1}, None, "", ending=False)], "l4-1": [held_by("a")]}
    assert own(shares(pool("a"), pool("b"), held=held)) == {"b": ["l4-0"], "a": ["l4-1"]}


def test_a_pool_that_is_refused_has_nodes_only_where_no_other_selects_them() -> None:
    held = {"l4-0": [held_by("a")]}
    assert own(shares(pool("a", gpu="RTX-1"), pool("b"), held=held)) == {"b": ["l4-0", "l4-1"]}
    assert own(shares(pool("a", gpu="RTX-1"))) == {"a": ["l4-0", "l4-1"]}


def test_a_pool_whose_pods_may_start_there_comes_before_one_whose_may_not() -> None:
    found = shares(pool("a"), pool("b", tolerations=[{"key": "team"}]), taints=(Taint("team", "", "NoSchedule"),))
    assert own(found) == {"b": ["l4-0", "l4-1"]}


@pytest.mark.parametrize(
    "other", [{"resourceName": "amd.com/gpu"}, {"nodeSelector": {"gpu": "h100"}}], ids=["resource", "selector"]
)
def test_pools_without_a_common_gpu_share_nothing(other: dict[str, Any]) -> None:
    found = shares(pool("a"), pool("b", **other))
    assert set(found.shares_with.values()) == {frozenset()}
    assert found.second == frozenset()


def test_selectors_that_overlap_share_the_nodes_that_match_both() -> None:
    found = shares(pool("a"), pool("b", nodeSelector={"zone": "z"}), labels={"gpu": "l4", "zone": "z"})
    assert found.shares_with == {"a": {"b"}, "b": {"a"}}
    assert found.second == frozenset()
