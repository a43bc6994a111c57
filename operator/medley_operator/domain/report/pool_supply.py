"""Statuses of GPUPools, as far as they are of devices, quotas and limits of other systems. Pure.

Apart: the other conditions of pools rest on nodes and pods, these on what a cluster may lack.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import StockLimitStatus
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.conditions import ConditionStatus, Draft
from medley_operator.domain.values.stock import PoolStock, StockLimit
from medley_operator.domain.values.supply import CLUSTER_QUEUE

STOCK_LIMITED = "StockLimited"
"""The condition of a pool whose stock Kueue or Karpenter bounds; present only then."""
DEVICES_OFFERED = "DevicesOffered"
"""The condition of a pool with GPUs of a DRA driver that pods cannot ask for; present only then."""


def stock_limits(stock: PoolStock) -> list[StockLimitStatus]:
    return [StockLimitStatus(kind=each.kind, name=each.name, gpus=each.gpus) for each in stock.limits]


def supply_drafts(state: PoolState) -> dict[str, Draft]:
    drafts: dict[str, Draft] = {}
    limits = sorted(state.stock.limits, key=lambda each: (not each.problem, each.gpus))
    if limits:
        told = [_limit(each) for each in limits]
        drafts[STOCK_LIMITED] = Draft(ConditionStatus.TRUE, told[0][0], "; ".join(message for _, message in told))
    if state.stock.idle_devices:
        resource = state.pool.spec.resource_name
        message = (
            f"ResourceSlices offer {state.stock.idle_devices} GPUs on the pool's nodes, but no DeviceClass has "
            f"spec.extendedResourceName {resource} and a selector on device.driver, so that pods cannot ask for them; "
            "set it (Kubernetes 1.36 or newer), or run the device plugin on these nodes"
        )
        drafts[DEVICES_OFFERED] = Draft(ConditionStatus.FALSE, "NoDeviceClass", message)
    return drafts


def _limit(limit: StockLimit) -> tuple[str, str]:
    """Reason and message."""
    if limit.problem == "missing":
        return "QueueNotFound", (
            f'there is no ClusterQueue "{limit.name}", so that Kueue admits no new pod of this pool; create it, or '
            "correct spec.queue.clusterQueue"
        )
    if limit.problem:
        return "QueueStopped", (
            f'ClusterQueue "{limit.name}" is stopped (spec.stopPolicy) and admits no new pod of this pool; set '
            "stopPolicy to None"
        )
    if limit.kind == CLUSTER_QUEUE:
        return "QueueQuota", (
            f'ClusterQueue "{limit.name}" leaves replicas of this pool {limit.gpus} GPUs together; raise its quota for '
            "more"
        )
    return "NodePoolLimits", (
        f"the limits of NodePool {limit.name} leave replicas of this pool {limit.gpus} GPUs together, with nodes that "
        "are still to be made; raise spec.limits there for more"
    )
