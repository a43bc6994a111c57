"""GPU pools found in the nodes of a cluster: one for nodes of one GPU type, GPUs per node and kind of purchase. Pure.

A pool's node selector takes exactly its nodes, so that no node is in two pools. Where no label tells two groups of
nodes apart, both are left out and named.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from medley_operator.domain.cluster.prices import INSTANCE_TYPE
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.printable import first_few
from medley_operator.domain.values.views import GPU_PRODUCT_LABELS, GPU_RESOURCES, NodeView, Taint, selects
from medley_planner.catalog import CATALOGUE

PRODUCT_LABELS = (
    *GPU_PRODUCT_LABELS,
    "cloud.google.com/gke-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "medley.dev/gpu",
)
"""Labels by which a node says its GPU type, the most exact first: GPU feature discovery, AMD's node labeller, GKE,
Karpenter on AWS, and our own examples."""
MEMORY_LABEL = "karpenter.k8s.aws/instance-gpu-memory"
"""Memory of one GPU in MiB beside Karpenter's name, which says a100 of both sizes."""
CLOUD_NAMES = {
    "nvidia-l4": "L4",
    "nvidia-tesla-t4": "T4",
    "nvidia-tesla-v100": "V100",
    "nvidia-tesla-a100": "A100-40",
    "nvidia-a100-80gb": "A100-80",
    "nvidia-h100-80gb": "H100",
    "nvidia-h100-mega-80gb": "H100",
    "nvidia-h200-141gb": "H200",
    "nvidia-b200": "B200",
    "nvidia-gb200": "GB200",
    "nvidia-rtx-pro-6000": "RTX-PRO-6000",
}
"""GKE's accelerator names (cloud.google.com/kubernetes-engine/docs, "GPU platforms") by the catalogue's."""
A100_MIB = 45_000
"""Between the 40 GB and the 80 GB A100."""
SPOT_LABELS = {
    "karpenter.sh/capacity-type": "spot",
    "cloud.google.com/gke-spot": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
TELLING = (
    "nvidia.com/gpu.count",
    *SPOT_LABELS,
    INSTANCE_TYPE,
    "karpenter.sh/nodepool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
)
"""Labels that may tell nodes with equal GPUs apart, in the order in which a person would choose them."""
PASSING_TAINTS = "node.kubernetes.io/"
"""Taints of a state of a node, such as not-ready: no pod of ours is to tolerate them."""


@dataclass(frozen=True, slots=True)
class FoundPool:
    """Nodes with equal GPUs. `gpu` is the catalogue's name; "" where the catalogue lacks `product`."""

    name: str
    gpu: str
    product: str
    resource: str
    gpus_per_node: int
    spot: bool
    selector: Mapping[str, str]
    tolerations: tuple[Taint, ...]
    nodes: tuple[NodeView, ...] = field(repr=False)

    @property
    def title(self) -> str:
        """The GPU type for people."""
        return self.gpu or self.product


@dataclass(frozen=True)
class Discovery:
    """The pools of a cluster, and what stands in none, in words."""

    pools: tuple[FoundPool, ...]
    left_out: tuple[str, ...]

    @cached_property
    def by_node(self) -> Mapping[str, FoundPool]:
        return {node.name: pool for pool in self.pools for node in pool.nodes}


@dataclass(frozen=True, slots=True, order=True)
class _NodeKind:
    """All that makes nodes one pool."""

    label: str
    product: str
    resource: str
    gpus: int
    spot: bool


def discover(nodes: Iterable[NodeView]) -> Discovery:
    """Pools by name. Nodes without a GPU count nowhere; those whose GPU no label names are left out and named."""
    every = list(nodes)
    groups: dict[_NodeKind, list[NodeView]] = defaultdict(list)
    nameless: list[str] = []
    for node in every:
        resource = next((name for name in GPU_RESOURCES if node.allocatable.get(name, 0) > 0), None)
        if resource is None:
            continue
        label = next((name for name in PRODUCT_LABELS if node.labels.get(name)), None)
        if label is None:
            nameless.append(node.name)
            continue
        spot = any(node.labels.get(name, "") == value for name, value in SPOT_LABELS.items())
        groups[_NodeKind(label, node.labels[label], resource, node.allocatable[resource], spot)].append(node)
    left_out = []
    if nameless:
        left_out.append(
            f"Node {first_few(sorted(nameless))}: no label names the GPU type; install GPU feature discovery, or "
            f"label the nodes with {PRODUCT_LABELS[0]}"
        )
    pools: list[FoundPool] = []
    names: set[str] = set()
    for kind, found in sorted(groups.items()):
        selector = _selector(kind, found, every)
        if selector is None:
            left_out.append(
                f"Node {first_few(sorted(node.name for node in found))}: other nodes have the same {kind.label} "
                f"{kind.product} and their labels do not differ ({kind.gpus} GPUs each here); label them"
            )
            continue
        name = _name(kind, found, groups, names)
        names.add(name)
        pools.append(
            FoundPool(
                name=name,
                gpu=catalogue_name(kind.product, found[0].labels),
                product=kind.product,
                resource=kind.resource,
                gpus_per_node=kind.gpus,
                spot=kind.spot,
                selector=selector,
                tolerations=_taints(found),
                nodes=tuple(sorted(found, key=lambda node: node.name)),
            )
        )
    return Discovery(tuple(sorted(pools, key=lambda pool: pool.name)), tuple(left_out))


def catalogue_name(product: str, labels: Mapping[str, str]) -> str:
    """The catalogue's name of a GPU as a label writes it; "" where the catalogue lacks it."""
    name = CLOUD_NAMES.get(product.casefold(), product)
    if name.casefold() == "a100":
        memory = labels.get(MEMORY_LABEL, "")
        if not memory.isdecimal():
            return ""
        name = "A100-40" if int(memory) < A100_MIB else "A100-80"
    row = find_gpu(name, CATALOGUE)
    return row.name if row is not None else ""


def _selector(kind: _NodeKind, found: Sequence[NodeView], every: Sequence[NodeView]) -> Mapping[str, str] | None:
    """The fewest labels, of those that people go by, that all found nodes have and no other node has."""
    inside = {node.name for node in found}
    selector = {kind.label: kind.product}
    others = [node for node in every if node.name not in inside and selects(selector, node.labels)]
    for label in TELLING:
        if not others:
            return selector
        values = {node.labels.get(label) for node in found}
        value = next(iter(values))
        if len(values) == 1 and value is not None:
            kept = [node for node in others if node.labels.get(label) == value]
            if len(kept) < len(others):
                selector[label], others = value, kept
    return selector if not others else None


def _taints(found: Sequence[NodeView]) -> tuple[Taint, ...]:
    """Taints that keep pods off some of the nodes: engine pods must tolerate each of them."""
    return tuple(
        sorted(
            {
                taint
                for node in found
                for taint in node.taints
                if taint.effect != "PreferNoSchedule" and not taint.key.startswith(PASSING_TAINTS)
            }
        )
    )


def _name(kind: _NodeKind, found: Sequence[NodeView], groups: Iterable[_NodeKind], taken: set[str]) -> str:
    """Such as l4, h100-8x, l4-spot: no longer than pools of one type need to differ."""
    gpu = catalogue_name(kind.product, found[0].labels) or kind.product
    name = re.sub(r"[^a-z0-9]+", "-", gpu.casefold()).strip("-")[:40] or "gpu"
    alike = [other for other in groups if other.product == kind.product]
    if len({other.gpus for other in alike}) > 1:
        name += f"-{kind.gpus}x"
    if kind.spot:
        name += "-spot"
    numbered = name
    count = 2
    while numbered in taken:
        numbered, count = f"{name}-{count}", count + 1
    return numbered
