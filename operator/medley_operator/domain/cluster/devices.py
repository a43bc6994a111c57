"""GPUs that DRA drivers offer (ResourceSlices) as allocatable resources of their nodes, claims on them as pods. Pure.

Pods of ours ask for an extended resource. The scheduler serves such a request by devices where a DeviceClass says that
its devices are that resource (Kubernetes KEP-5004, on by default since 1.36), so that only these count: a plan must not
count on devices that its pods cannot get. A node that has the extended resource from a device plugin counts by that
alone, and what claims hold there is taken all the same: the GPUs are the same ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.snapshot import ActuatorView
from medley_operator.domain.values.supply import (
    CLASS_RESOURCE,
    DEVICE_CLASS,
    RESOURCE_CLAIM,
    Device,
    DeviceClassView,
    DeviceSlice,
    Supply,
)
from medley_operator.domain.values.views import NodeView, PodView, selects
from medley_planner.catalog import Catalogue, Gpu

WHOLE = "gpu"
"""The attribute `type` of a whole GPU; a part of one (mig) is another device."""
MEMORY_TOLERANCE = 0.15
"""Drivers keep a part of the name-plate memory to themselves; the next size of a board is a third apart or more."""


def with_devices(view: ActuatorView) -> ActuatorView:
    """The view in which nodes have the devices that pods can ask for, and claims on devices are pods of others.

    Where claims or classes cannot be listed, devices do not count: what of them is free is not known.
    """
    slices = current(view.supply.slices)
    if not slices or {RESOURCE_CLAIM, DEVICE_CLASS} & view.unreadable.keys():
        return view
    resources = sorted({pool.spec.resource_name for pool in view.pools})
    classes = {resource: found for resource in resources if (found := class_of(resource, view.supply)) is not None}
    by_node: dict[str, list[DeviceSlice]] = {}
    for each in slices:
        by_node.setdefault(each.node, []).append(each)
    nodes = tuple(_with_devices(node, by_node.get(node.name, ()), classes, view) for node in view.nodes)
    return replace(view, nodes=nodes, pods=(*view.pods, *_claims(view.supply, resources, classes)))


def idle_devices(pool: GPUPool, view: ActuatorView) -> int:
    """GPUs of drivers on the pool's nodes that its pods cannot ask for, since no DeviceClass says that they are the
    pool's resource and no device plugin offers them."""
    resource = pool.spec.resource_name
    slices = current(view.supply.slices)
    if not slices or class_of(resource, view.supply) is not None:
        return 0
    nodes = {each.name for each in view.nodes if _takes(pool, each, resource) and not each.allocatable.get(resource, 0)}
    offered = [each for each in slices if each.node in nodes and _is_of(each.driver, resource, {})]
    return sum(device.kind in ("", WHOLE) for each in offered for device in each.devices)


def current(slices: Iterable[DeviceSlice]) -> list[DeviceSlice]:
    """Those of the newest generation of each driver's pool, where all of it are there: the scheduler takes no device of
    a pool that its driver is still writing."""
    newest: dict[tuple[str, str], list[DeviceSlice]] = {}
    for each in slices:
        known = newest.setdefault((each.driver, each.pool), [])
        if known and each.generation > known[0].generation:
            known.clear()
        if not known or each.generation == known[0].generation:
            known.append(each)
    return [each for known in newest.values() if len(known) >= known[0].slices for each in known]


def class_of(resource: str, supply: Supply) -> DeviceClassView | None:
    """The DeviceClass that serves requests for that resource: the one of its name, else the newest that names it."""
    named = [each for each in supply.classes if each.driver and resource == f"{CLASS_RESOURCE}{each.name}"]
    saying = [each for each in supply.classes if each.driver and each.resource == resource]
    newest = sorted(saying, key=lambda each: (-(each.created_at or 0.0), each.name))
    return next(iter((*named, *newest)), None)


def _with_devices(
    node: NodeView, slices: Iterable[DeviceSlice], classes: Mapping[str, DeviceClassView], view: ActuatorView
) -> NodeView:
    found: dict[str, int] = {}
    for resource, known in classes.items():
        if node.allocatable.get(resource, 0) > 0:
            continue
        pools = [pool for pool in view.pools if _takes(pool, node, resource)]
        types = [gpu for pool in pools if (gpu := find_gpu(pool.spec.gpu, view.catalogue)) is not None]
        found[resource] = sum(
            1
            for each in slices
            if each.driver == known.driver
            for device in each.devices
            if _is_whole(device, known) and (not types or _is_one_of(device, types, view.catalogue))
        )
    offered = {resource: count for resource, count in found.items() if count > 0}
    return replace(node, allocatable={**node.allocatable, **offered}) if offered else node


def _takes(pool: GPUPool, node: NodeView, resource: str) -> bool:
    return pool.spec.resource_name == resource and selects(pool.spec.node_selector, node.labels)


def _is_whole(device: Device, known: DeviceClassView) -> bool:
    return not device.tainted and device.kind in (("", known.kind) if known.kind else ("", WHOLE))


def _is_one_of(device: Device, types: Iterable[Gpu], catalogue: Catalogue) -> bool:
    """Whether the product's name says so, as feature discovery writes it into labels; else its memory. Where it says
    neither, the selector of the pool has to know."""
    product = find_gpu(device.product.replace(" ", "-"), catalogue) if device.product else None
    if product is not None:
        return any(product.name == gpu.name for gpu in types)
    memory = device.memory_bytes
    return memory is None or any(abs(memory / (gpu.memory_gb * 1e9) - 1.0) <= MEMORY_TOLERANCE for gpu in types)


def _claims(supply: Supply, resources: Iterable[str], classes: Mapping[str, DeviceClassView]) -> list[PodView]:
    nodes = {(each.driver, each.pool): each.node for each in supply.slices}
    whole = {
        (each.driver, each.pool, device.name)
        for each in supply.slices
        for device in each.devices
        if device.kind in ("", WHOLE)
    }
    held: list[PodView] = []
    for claim in supply.claims:
        if claim.of_request:
            continue
        by_node: dict[str, Counter[str]] = {}
        for driver, pool, device in claim.devices:
            node = nodes.get((driver, pool))
            if node is not None and (driver, pool, device) in whole:
                taken = by_node.setdefault(node, Counter())
                taken.update(each for each in resources if _is_of(driver, each, classes))
        held += [
            PodView(namespace=claim.namespace, name=claim.name, uid="", gpus=dict(taken), node=node)
            for node, taken in by_node.items()
            if taken
        ]
    return held


def _is_of(driver: str, resource: str, classes: Mapping[str, DeviceClassView]) -> bool:
    """Whether devices of the driver are the GPUs that a resource counts: as its class says, or of the same domain, as
    gpu.nvidia.com and nvidia.com/gpu are."""
    known = classes.get(resource)
    return driver == known.driver if known is not None else driver.endswith("." + resource.partition("/")[0])
