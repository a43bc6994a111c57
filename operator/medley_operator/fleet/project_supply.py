"""Projections of what DRA drivers, Kueue and Karpenter say of GPUs. Pure.

Apart from `fleet.project`: these kinds are of systems that a cluster may lack, and each is read by rules of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.quantities import quantity, whole_count
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.supply import (
    Device,
    DeviceClaim,
    DeviceClassView,
    DeviceSlice,
    FlavorQuota,
    NodePoolView,
    QueueView,
)

OF_REQUEST = "resource.kubernetes.io/extended-resource-claim"
"""Annotation of claims that the scheduler makes (k8s.io/api, resource/v1)."""
_TAINTS = ("NoSchedule", "NoExecute")
_DRIVER = re.compile(r"""device\.driver\s*==\s*["']([^"']+)["']""")
_KIND = re.compile(r"""\.type\s*==\s*["']([^"']+)["']""")


def device_slice(manifest: Manifest) -> DeviceSlice | None:
    """None for devices that are not of one node, as of a fabric: no driver of GPUs offers these."""
    spec = manifest["spec"]
    if not spec.get("nodeName"):
        return None
    return DeviceSlice(
        driver=spec["driver"],
        pool=spec["pool"]["name"],
        generation=spec["pool"].get("generation", 0),
        slices=spec["pool"].get("resourceSliceCount", 1),
        node=spec["nodeName"],
        devices=tuple(_device(each) for each in spec.get("devices") or []),
    )


def _device(device: Mapping[str, Any]) -> Device:
    attributes = {_plain(name): value for name, value in (device.get("attributes") or {}).items()}
    capacity = {_plain(name): value for name, value in (device.get("capacity") or {}).items()}
    memory = _amount((capacity.get("memory") or {}).get("value"))
    return Device(
        name=device["name"],
        kind=str((attributes.get("type") or {}).get("string", "")),
        product=str((attributes.get("productName") or {}).get("string", "")),
        memory_bytes=None if memory is None else float(memory),
        tainted=any(taint.get("effect") in _TAINTS for taint in device.get("taints") or []),
    )


def _plain(name: str) -> str:
    """The name of an attribute or capacity without its domain: a driver may leave its own out."""
    return name.rpartition("/")[2]


def device_class(manifest: Manifest) -> DeviceClassView:
    spec = manifest["spec"]
    selectors = " && ".join(str((each.get("cel") or {}).get("expression", "")) for each in spec.get("selectors") or [])
    driver, kind = _DRIVER.search(selectors), _KIND.search(selectors)
    return DeviceClassView(
        name=manifest["metadata"]["name"],
        resource=spec.get("extendedResourceName") or "",
        driver=driver.group(1) if driver else "",
        kind=kind.group(1) if kind else "",
        created_at=unix_seconds(manifest["metadata"].get("creationTimestamp")),
    )


def device_claim(manifest: Manifest) -> DeviceClaim | None:
    """None for one that holds nothing: nothing is allocated, or only the access of an administrator."""
    metadata = manifest["metadata"]
    allocation = (manifest.get("status") or {}).get("allocation") or {}
    results = (allocation.get("devices") or {}).get("results") or []
    devices = {(each["driver"], each["pool"], each["device"]): None for each in results if not each.get("adminAccess")}
    if not devices:
        return None
    of_request = (metadata.get("annotations") or {}).get(OF_REQUEST) == "true"
    return DeviceClaim(metadata["namespace"], metadata["name"], tuple(devices), of_request)


def queue_view(manifest: Manifest) -> QueueView:
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    used = {key: _count(row.get("total")) or 0 for key, row in _by_flavor(status.get("flavorsUsage") or [])}
    flavors = [flavor for group in spec.get("resourceGroups") or [] for flavor in group.get("flavors") or []]
    return QueueView(
        name=manifest["metadata"]["name"],
        cohort=spec.get("cohortName") or "",
        stopped=spec.get("stopPolicy") in ("Hold", "HoldAndDrain"),
        quotas={
            key: FlavorQuota(
                nominal=_count(row.get("nominalQuota")) or 0,
                borrowing=_count(row.get("borrowingLimit")),
                lending=_count(row.get("lendingLimit")),
                used=used.get(key, 0),
            )
            for key, row in _by_flavor(flavors)
        },
    )


def _by_flavor(flavors: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for flavor in flavors:
        for row in flavor.get("resources") or []:
            # Others, such as memory, are not counted in whole units.
            if "/" in row["name"]:
                yield (flavor["name"], row["name"]), row


def node_pool(manifest: Manifest) -> NodePoolView:
    spec = manifest.get("spec") or {}
    template = spec.get("template") or {}
    labels = {
        name: frozenset([value]) for name, value in ((template.get("metadata") or {}).get("labels") or {}).items()
    }
    required = {
        each["key"]: frozenset(each.get("values") or [])
        for each in (template.get("spec") or {}).get("requirements") or []
        if each.get("operator") == "In"
    }
    name = manifest["metadata"]["name"]
    return NodePoolView(
        name=name,
        labels={**required, **labels, "karpenter.sh/nodepool": frozenset([name])},
        limits=_amounts(spec.get("limits") or {}),
        used=_amounts((manifest.get("status") or {}).get("resources") or {}),
    )


def _amounts(resources: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: amount for name, text in resources.items() if (amount := _amount(text)) is not None}


def _amount(text: object) -> Decimal | None:
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        return None
    try:
        return quantity(text)
    except ValueError:
        return None


def _count(text: object) -> int | None:
    return None if text is None else whole_count(text)
