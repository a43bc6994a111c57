"""Nodes that are going, as cordons, deletion and taints show it, and the pods that stand there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.leaving import LeavingNodes
from medley_operator.domain.values import labels
from medley_operator.domain.values.views import PodView, Taint
from tests.unit.operator import factories as make

POD = PodView("demo", "llama-1", "u", node="l4-0", labels={labels.POOL: "l4"}, ready=True)


def leaving(pool: dict[str, Any] | None = None, **fields: Any) -> LeavingNodes:
    node = replace(make.node("l4-0", pool_name="l4"), **fields)
    other = make.node("l4-1", pool_name="l4")
    return LeavingNodes.of(make.snapshot(pools=[make.pool(**(pool or {}))], nodes=[node, other]))


@pytest.mark.parametrize(
    "fields",
    [
        {"cordoned": True},
        {"leaving": True},
        {"taints": (Taint("maintenance", "", "NoExecute"),)},
        {"taints": (Taint("karpenter.sh/disrupted", "", "NoSchedule"),)},
        {"taints": (Taint("ToBeDeletedByClusterAutoscaler", "1764475200", "NoSchedule"),)},
    ],
)
def test_a_node_that_is_going_holds_the_pods_that_stand_there(fields: dict[str, Any]) -> None:
    nodes = leaving(**fields)
    assert nodes.hold(POD)
    assert not nodes.hold(replace(POD, node="l4-1"))
    assert nodes.ready_pods([POD, replace(POD, ready=False), replace(POD, terminating=True)]) == (POD,)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ready": False},
        {"taints": (Taint("nvidia.com/gpu", "", "NoSchedule"), Taint("a", "", "PreferNoSchedule"))},
        {"taints": (Taint("DeletionCandidateOfClusterAutoscaler", "1", "PreferNoSchedule"),)},
    ],
)
def test_a_node_that_only_takes_no_more_pods_is_not_going(fields: dict[str, Any]) -> None:
    assert not leaving(**fields).hold(POD)


def test_a_taint_that_the_pool_tolerates_says_nothing_about_its_pods() -> None:
    taint = Taint("maintenance", "", "NoExecute")
    tolerations = [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute"}]
    assert not leaving({"tolerations": tolerations}, taints=(taint,)).hold(POD)
    assert leaving({"tolerations": tolerations}, taints=(taint,), cordoned=True).hold(POD)


def test_a_pod_of_no_pool_is_nothing_to_move() -> None:
    assert not leaving(cordoned=True).hold(replace(POD, labels={}))
