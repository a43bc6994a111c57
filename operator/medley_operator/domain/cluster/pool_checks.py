"""Checks that a GPUPool must pass to be planned with: `POOL_CHECKS`, in the order in which they are asked. Pure.

A pool that is refused shows so in its own status. A service that names it in `spec.variants` is refused too; for all
others the pool does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.values.catalogue import find_gpu, unknown_gpu
from medley_planner.catalog import Catalogue
from medley_planner.refusal import Refusal, first_refusal


@dataclass(frozen=True, slots=True)
class PoolInput:
    """A pool, and the GPU types that there are."""

    pool: GPUPool
    catalogue: Catalogue


def gpu_is_known(given: PoolInput) -> Refusal | None:
    """Speed, memory and watts of the GPU type come from the catalogue or from a GPUType."""
    name = given.pool.spec.gpu
    return None if find_gpu(name, given.catalogue) is not None else unknown_gpu("spec.gpu", name, given.catalogue)


def price_is_above_zero(given: PoolInput) -> Refusal | None:
    """A GPU without a price cannot be planned with: any number of them would cost the same."""
    cost = given.pool.spec.cost
    if not cost.is_given:
        return Refusal(
            "PriceUnknown",
            "spec.cost is not set, and neither Karpenter nor OpenCost (in Prometheus) nor a price list says a price of "
            "the pool's nodes; set spec.cost.perHour to that of one GPU per hour",
        )
    if given.pool.spec.gpu_cost_per_hour() > 0:
        return None
    field, value, unit = (
        ("perHour", cost.per_hour, "GPU") if cost.per_node_hour is None else ("perNodeHour", cost.per_node_hour, "node")
    )
    return Refusal(
        "InvalidSpec", f'spec.cost.{field} "{value}" must be above 0; set it to the price of one {unit} per hour'
    )


POOL_CHECKS: tuple[Callable[[PoolInput], Refusal | None], ...] = (gpu_is_known, price_is_above_zero)


def pool_refusal(pool: GPUPool, catalogue: Catalogue) -> Refusal | None:
    """Why the pool cannot be planned with; None where it can."""
    return first_refusal(POOL_CHECKS, PoolInput(pool, catalogue))
