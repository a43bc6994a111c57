"""From a NodePowerCap to the orders of each GPU, on the agent's own clock. Pure.

The lease is in Unix time and ends on the agent's monotonic clock: a renewal counts from when it was made, not from when
it came in, and never for longer than its duration, so a clock that is wrong shortens a lease and lengthens none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from medley_operator.api.v1alpha1.power import CapMode, GpuLimit, GpuPowerStatus, NodePowerCap
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.power.agent.machine import NEW_GPU, GpuMemory, GpuOrder
from medley_planner.power import CHANGE_SECONDS, GpuSetting

LEASE_MARGIN_SECONDS = 0.5
"""A lease is over this much earlier, for the time that drivers take."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: Unix time, and the monotonic one that the agent counts by."""

    unix_seconds: float
    monotonic_seconds: float


@dataclass(frozen=True, slots=True)
class NodeOrders:
    """The order of each GPU. One without an order is left as it is."""

    gpus: Mapping[str, GpuOrder] = field(default_factory=lambda: MappingProxyType({}))
    others: GpuOrder | None = None
    lease_ends_seconds: float = -math.inf

    def of(self, uuid: str) -> GpuOrder | None:
        return self.gpus.get(uuid, self.others)


NO_ORDERS = NodeOrders()


def orders_of(cap: NodePowerCap, seen: Moment) -> NodeOrders:
    """`seen`: when this version of the object came in."""
    spec = cap.spec
    ends = _lease_end(cap, seen)
    if spec.mode is CapMode.SHADOW:
        return NodeOrders(lease_ends_seconds=ends)
    release = spec.mode is CapMode.RELEASE
    orders = {gpu.uuid: GpuOrder(_setting(gpu.limit), _setting(gpu.safe), release) for gpu in spec.gpus}
    others = GpuOrder(_setting(spec.others.limit), _setting(spec.others.safe), release)
    return NodeOrders(orders, others, ends)


def _lease_end(cap: NodePowerCap, seen: Moment) -> float:
    lease = cap.spec.lease
    renewed = unix_seconds(lease.renew_time)
    if renewed is None:
        return -math.inf
    left = min(renewed + lease.duration_seconds - seen.unix_seconds, float(lease.duration_seconds))
    return seen.monotonic_seconds + left - LEASE_MARGIN_SECONDS


def _setting(limit: GpuLimit) -> GpuSetting:
    return GpuSetting(limit.fraction, None if limit.cap_watts is None else float(limit.cap_watts))


def remembered(cap: NodePowerCap, seen: Moment) -> dict[str, GpuMemory]:
    """Knowledge that the agent before this one left in the status: when it changed a GPU, and whether that is released.

    An agent that starts anew changes no GPU within 5 s of the last change either, and releases nothing twice.
    """
    released = cap.spec.mode is CapMode.RELEASE and cap.status.observed_revision == cap.spec.revision
    return {gpu.uuid: _memory(gpu, seen, released=released) for gpu in cap.status.gpus}


def _memory(gpu: GpuPowerStatus, seen: Moment, *, released: bool) -> GpuMemory:
    applied = unix_seconds(gpu.applied_at)
    ago = math.inf if applied is None else max(seen.unix_seconds - applied, 0.0)
    # Statuses give whole seconds, so that the change may be almost one second later than it says.
    changed = seen.monotonic_seconds - ago + 1.0 if ago <= CHANGE_SECONDS + 1.0 else NEW_GPU.changed_seconds
    return GpuMemory(changed_seconds=min(changed, seen.monotonic_seconds), released=released)
