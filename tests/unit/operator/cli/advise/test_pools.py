"""Pools from nodes: GPU types by the labels of clouds and vendors, and selectors that take exactly their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.cli.advise.pools import PRODUCT_LABELS, catalogue_name, discover
from medley_operator.domain.cluster.prices import INSTANCE_TYPE
from medley_operator.domain.values.views import NodeView, Taint

GFD = PRODUCT_LABELS[0]
NOTHING: Mapping[str, str] = {}


def gpu_node(
    name: str, product_name: str, gpus: int = 8, labels: Mapping[str, str] = NOTHING, taints: tuple[Taint, ...] = ()
) -> NodeView:
    return NodeView(name, {GFD: product_name, **labels}, {"nvidia.com/gpu": gpus}, taints=taints)


@pytest.mark.parametrize(
    ("name", "labels", "found"),
    [
        ("NVIDIA-H100-80GB-HBM3", {}, "H100"),
        ("nvidia-a100-80gb", {}, "A100-80"),
        ("nvidia-tesla-a100", {}, "A100-40"),
        ("a100", {"karpenter.k8s.aws/instance-gpu-memory": "81920"}, "A100-80"),
        ("a100", {"karpenter.k8s.aws/instance-gpu-memory": "40960"}, "A100-40"),
        ("a100", {}, ""),
        ("l40s", {}, "L40S"),
        ("NVIDIA-ODD-9000", {}, ""),
    ],
)
def test_names_of_gpus(name: str, labels: dict[str, str], found: str) -> None:
    assert catalogue_name(name, labels) == found


def test_one_pool_for_each_kind_of_node() -> None:
    taint = Taint("nvidia.com/gpu", "", "NoSchedule")
    nodes = [
        gpu_node("a", "NVIDIA-L4", 4, {INSTANCE_TYPE: "g6.12xlarge"}),
        gpu_node("b", "NVIDIA-L4", 1, {INSTANCE_TYPE: "g6.xlarge"}),
        gpu_node("c", "NVIDIA-L40S", taints=(taint, Taint("node.kubernetes.io/not-ready", "", "NoExecute"))),
        NodeView("cpu", {}, {}),
    ]
    found = {pool.name: pool for pool in discover(nodes).pools}
    assert set(found) == {"l4-1x", "l4-4x", "l40s"}
    assert found["l4-4x"].selector == {GFD: "NVIDIA-L4", INSTANCE_TYPE: "g6.12xlarge"}
    assert found["l40s"].selector == {GFD: "NVIDIA-L40S"}
    assert found["l40s"].tolerations == (taint,)


def test_spot_nodes_are_a_pool_of_their_own() -> None:
    kind = "karpenter.sh/capacity-type"
    nodes = [gpu_node(kind_of, "NVIDIA-L4", labels={kind: kind_of}) for kind_of in ("spot", "on-demand")]
    assert [(pool.name, pool.spot) for pool in discover(nodes).pools] == [("l4", False), ("l4-spot", True)]


def test_nodes_that_no_label_describes_are_named() -> None:
    found = discover(
        [NodeView("bare", {}, {"nvidia.com/gpu": 8}), gpu_node("x", "NVIDIA-L4", 1), gpu_node("y", "NVIDIA-L4", 2)]
    )
    assert found.pools == ()
    assert [line.split(":")[0] for line in found.left_out] == ["Node bare", "Node x", "Node y"]


@given(
    st.lists(
        st.builds(
            lambda name, gpus, spot, kind: (name, gpus, spot, kind),
            st.sampled_from(["NVIDIA-L4", "NVIDIA-L40S", "odd"]),
            st.sampled_from([1, 4]),
            st.booleans(),
            st.sampled_from(["a", "b"]),
        ),
        max_size=8,
    )
)
def test_no_node_is_in_two_pools(kinds: list[tuple[str, int, bool, str]]) -> None:
    nodes = [
        gpu_node(
            f"n{index}",
            name,
            gpus,
            {INSTANCE_TYPE: kind} | ({"karpenter.sh/capacity-type": "spot"} if spot else {}),
        )
        for index, (name, gpus, spot, kind) in enumerate(kinds)
    ]
    found = discover(nodes)
    for pool, each in product(found.pools, nodes):
        selected = all(each.labels.get(label) == value for label, value in pool.selector.items())
        assert selected == (each in pool.nodes)
