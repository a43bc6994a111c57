"""The checks of `medley doctor` on what plans are made from: nodes with GPUs, pools, prices and profiles. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from medley_operator.cli.advise.pools import PRODUCT_LABELS
from medley_operator.cli.doctor.findings import Finding, Health, SeenCluster
from medley_operator.cli.doctor.objects import (
    condition_of,
    edit_command,
    price_source_of,
    said_of,
    selector_of,
    some_nodes,
)
from medley_operator.domain.values.views import GPU_PRODUCT_LABELS, GPU_RESOURCES, selects
from medley_operator.kube.resources import GPU_POOLS, RUNTIME_PROFILES, Resource

POOLS, NODES_ABOUT, PRICES, PROFILES = "GPU pools", "GPU nodes", "prices", "profiles"


def pools(seen: SeenCluster) -> Iterator[Finding]:
    fix = "medley pools discover > pools.yaml, then kubectl apply --server-side -f pools.yaml"
    none = Finding(POOLS, Health.FAULT, "there is no GPUPool, so nothing can be planned", fix)
    if seen.listed(GPU_POOLS):
        well = Finding(POOLS, Health.OK, f"all {len(seen.of(GPU_POOLS))} are Ready, and no node is in two of them")
        yield from [*_not_ready(seen, GPU_POOLS, none), *_overlaps(seen)] or [well]


def profiles(seen: SeenCluster) -> Iterator[Finding]:
    fix = "kubectl apply -f examples/quickstart/runtime-profile.yaml, with your image"
    none = Finding(PROFILES, Health.FAULT, "there is no RuntimeProfile, so no engine can be started", fix)
    if seen.listed(RUNTIME_PROFILES):
        number = len(seen.of(RUNTIME_PROFILES))
        well = Finding(PROFILES, Health.OK, f"{number} RuntimeProfile{'s' if number > 1 else ''}, all Ready")
        yield from list(_not_ready(seen, RUNTIME_PROFILES, none)) or [well]


def _not_ready(seen: SeenCluster, resource: Resource, none: Finding) -> Iterator[Finding]:
    """Objects of the kind that the operator refuses; `none` where there are none at all."""
    if not seen.of(resource):
        yield none
    for each in seen.of(resource):
        if condition_of(each, "Ready") == "False":
            message = f"{resource.kind} {each['metadata']['name']}: {said_of(each, 'Ready')}"
            yield Finding(none.about, Health.FAULT, message, edit_command(each))


def prices(seen: SeenCluster) -> Iterator[Finding]:
    """Whether the sources of prices still say them; a pool that never had a price is not Ready."""
    found = seen.of(GPU_POOLS)
    if not found:
        return
    old = [pool for pool in found if condition_of(pool, "PriceKnown") == "False"]
    for pool in old:
        fix = "see that its source is scraped (docs/prices.md), or set spec.cost: " + edit_command(pool)
        yield Finding(PRICES, Health.WARNING, f"GPUPool {pool['metadata']['name']}: {said_of(pool, 'PriceKnown')}", fix)
    if not old:
        sources = Counter(source for pool in found if (source := price_source_of(pool)))
        said = ", ".join(f"{number} by {source}" for source, number in sorted(sources.items()))
        yield Finding(PRICES, Health.OK, f"no price is old ({said or 'none is said yet'})")


def gpu_nodes(seen: SeenCluster) -> Iterator[Finding]:
    """Nodes whose GPUs nobody can use: without a device plugin, without labels, in no pool."""
    with_gpus = [node for node in seen.nodes if any(node.allocatable.get(name) for name in GPU_RESOURCES)]
    named = [node for node in seen.nodes if any(node.labels.get(label) for label in GPU_PRODUCT_LABELS)]
    without = [node.name for node in named if node not in with_gpus]
    if without:
        yield Finding(
            NODES_ABOUT,
            Health.FAULT,
            f"{some_nodes(without)}: labelled with a GPU type, but no GPU to allocate",
            "check the device plugin's pods on them (nvidia.com/gpu or amd.com/gpu in status.allocatable)",
        )
    if not seen.listed(GPU_POOLS):
        return
    selectors = [selector_of(pool) for pool in seen.of(GPU_POOLS)]
    outside = [node for node in with_gpus if not any(selects(selector, node.labels) for selector in selectors)]
    unlabelled = [node.name for node in outside if not any(node.labels.get(label) for label in PRODUCT_LABELS)]
    if unlabelled:
        fix = f"install GPU feature discovery, or label them with {PRODUCT_LABELS[0]}"
        yield Finding(NODES_ABOUT, Health.WARNING, f"{some_nodes(unlabelled)}: no label names the GPU type", fix)
    unpooled = [node.name for node in outside if node.name not in unlabelled]
    if unpooled:
        fix = "medley pools discover shows the GPUPools that would take them"
        yield Finding(NODES_ABOUT, Health.WARNING, f"{some_nodes(unpooled)}: in no GPUPool, so not planned with", fix)
    if seen.nodes and not (without or outside):
        yield Finding(NODES_ABOUT, Health.OK, f"{len(with_gpus)} nodes with GPUs, all in pools")


def _overlaps(seen: SeenCluster) -> Iterator[Finding]:
    """Nodes that two pools select; each pair of pools once."""
    selectors = {
        pool["metadata"]["name"]: (pool.get("spec") or {}).get("nodeSelector") or {} for pool in seen.of(GPU_POOLS)
    }
    shared: dict[tuple[str, ...], list[str]] = {}
    for node in seen.nodes:
        taking = tuple(sorted(name for name, selector in selectors.items() if selects(selector, node.labels)))
        if len(taking) > 1:
            shared.setdefault(taking, []).append(node.name)
    for names, nodes in sorted(shared.items()):
        yield Finding(
            POOLS,
            Health.FAULT,
            f"GPUPools {', '.join(names)} all select {some_nodes(nodes)}: their GPUs count for the first alone",
            "make their nodeSelectors differ; medley pools discover writes some that do",
        )
