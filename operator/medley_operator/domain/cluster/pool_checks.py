"""Checks that a GPUPool must pass to be planned with: `POOL_CHECKS`, in the order in which they are asked. Pure.

A pool that is refused shows so in its own status. A service that names it in `spec.variants` is refused too; for all
others the pool does not exist. Apart: a list of what an object must satisfy is read and changed by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.values.catalogue import find_gpu, known_gpu_names
from medley_planner.refusal import Refusal


def gpu_is_known(pool: GPUPool) -> Refusal | None:
    """Speed, memory and watts of the GPU type come from the catalogue."""
    if find_gpu(pool.spec.gpu) is not None:
        return None
    known = ", ".join(known_gpu_names())
    return Refusal("UnknownGpu", f'spec.gpu "{pool.spec.gpu}" is not in the catalogue; use one of {known}')


def price_is_above_zero(pool: GPUPool) -> Refusal | None:
    """A GPU without a price cannot be planned with: any number of them would cost the same."""
    cost = pool.spec.cost
    if not cost.is_given:
        return Refusal(
            "PriceUnknown",
            "spec.cost is not set, and Prometheus has no price of the pool's nodes from Karpenter or OpenCost; set "
            "spec.cost.perHour to the price of one GPU per hour",
        )
    if pool.spec.gpu_cost_per_hour() > 0:
        return None
    field, value, unit = (
        ("perHour", cost.per_hour, "GPU") if cost.per_node_hour is None else ("perNodeHour", cost.per_node_hour, "node")
    )
    return Refusal(
        "InvalidSpec", f'spec.cost.{field} "{value}" must be above 0; set it to the price of one {unit} per hour'
    )


POOL_CHECKS: tuple[Callable[[GPUPool], Refusal | None], ...] = (gpu_is_known, price_is_above_zero)
