"""Words of other systems on the stock of GPUs: devices of DRA drivers and claims on them, quotas of Kueue, limits of
Karpenter.

`fleet.project_supply` makes these values; `cluster.devices` and `cluster.growth` read them. They are other people's
objects: what of one cannot be read counts as absent. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

RESOURCE_CLAIM = "ResourceClaim"
DEVICE_CLASS = "DeviceClass"
CLUSTER_QUEUE = "ClusterQueue"
NODE_POOL = "NodePool"
CLASS_RESOURCE = "deviceclass.resource.kubernetes.io/"
"""Begins the name of the extended resource that each DeviceClass has without saying one (Kubernetes: KEP-5004)."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a driver. `kind`: its attribute `type`, such as gpu or mig. `product`: its attribute `productName`.
    `memory_bytes`: its capacity `memory`; None where it says none. A device with a taint takes no new pods."""

    name: str
    kind: str = ""
    product: str = ""
    memory_bytes: float | None = None
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class DeviceSlice:
    """A ResourceSlice of one node. The pool of devices has `slices` of that generation, older ones do not count."""

    driver: str
    pool: str
    generation: int
    slices: int
    node: str
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class DeviceClassView:
    """A DeviceClass. `resource`: the extended resource that pods may ask for its devices by, "" for none but that of
    its own name. `driver`, `kind`: what its selectors compare device.driver and the attribute `type` with; "" where
    they do not. `created_at`: Unix seconds."""

    name: str
    resource: str
    driver: str
    kind: str
    created_at: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceClaim:
    """A ResourceClaim that holds devices, each as (driver, pool, device). `of_request`: the scheduler made it for a pod
    that asks for an extended resource, which says already what the pod holds."""

    namespace: str
    name: str
    devices: tuple[tuple[str, str, str], ...]
    of_request: bool = False


@dataclass(frozen=True, slots=True)
class FlavorQuota:
    """Units of a resource of one flavor in a ClusterQueue. `borrowing`, `lending`: the most that it takes from its
    cohort, and gives to it; None: no limit."""

    nominal: int
    borrowing: int | None = None
    lending: int | None = None
    used: int = 0

    @property
    def lent(self) -> int:
        """The most that others of the cohort may use of it."""
        return self.nominal if self.lending is None else min(self.nominal, self.lending)


@dataclass(frozen=True, slots=True)
class QueueView:
    """A ClusterQueue of Kueue. `cohort`: "" for none. `stopped`: it admits nothing. `quotas` by (flavor, resource)."""

    name: str
    cohort: str
    stopped: bool
    quotas: Mapping[tuple[str, str], FlavorQuota]


@dataclass(frozen=True, slots=True)
class NodePoolView:
    """A NodePool of Karpenter. `labels`: the values that its nodes may have for a label, of those that it says.
    `limits`, `used`: quantities by resource; Karpenter counts its nodes as the resource `nodes`."""

    name: str
    labels: Mapping[str, frozenset[str]]
    limits: Mapping[str, Decimal]
    used: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Supply:
    """All of it. `queues`: by name; None where the cluster has no Kueue, or it cannot be read."""

    slices: tuple[DeviceSlice, ...] = ()
    classes: tuple[DeviceClassView, ...] = ()
    claims: tuple[DeviceClaim, ...] = ()
    queues: Mapping[str, QueueView] | None = None
    node_pools: tuple[NodePoolView, ...] = ()
