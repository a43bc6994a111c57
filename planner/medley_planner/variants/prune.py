"""Leaves out variants that no plan needs: those that serve nothing, and those that another of their pool dominates.

Exact: the cheapest plan without them costs no more, whatever is asked beside cost (stock, nodes, power, budgets, spot
share, zones, the loss of a replica). A replica is replaced by another of the same pool in its place, one for one, or by
m smaller ones together; where more replicas could break a limit, replacing by copies is not tried. A variant that
serves nothing within the targets does not replace a minimum of replicas either. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medley_planner.load import load_in_replicas
from medley_planner.model import Service, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.units import per_hour

Matrix = npt.NDArray[np.float64]

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Pruned:
    """The variants that stay, in their order, and why the others do not."""

    variants: tuple[Variant, ...]
    dropped: tuple[Omitted, ...]


def prune(service: Service, *, keep: Collection[str]) -> Pruned:
    """The variants of `service` that a plan of it may need. Those named in `keep` (running or requested) stay.

    The first by name of equal variants stays. Where none serves anything, all stay: the reason is reported elsewhere.
    """
    variants = service.variants
    demanded = demanded_buckets(service)
    capacity = np.array([variant.capacity_rps for variant in variants], float).reshape(len(variants), -1)[:, demanded]
    able = (capacity > 0).sum(axis=1) > 0
    if not np.any(able):
        return Pruned(variants, ())
    work = effective_work(service, capacity, demanded)
    merit = capacity if service.routing.blind else np.where(np.isfinite(work), 1.0 / work, 0.0)
    copies = copies_allowed(service, work)
    leaving = [variant.name not in keep and variant.min_replicas == 0 for variant in variants]
    dropped: dict[int, Omitted] = {}
    for pool in dict.fromkeys(variant.pool for variant in variants):
        here = [index for index, variant in enumerate(variants) if variant.pool == pool]
        for index in here:
            if leaving[index] and not able[index]:
                message = "it cannot serve any size of this load within the targets"
                dropped[index] = Omitted(
                    variants[index].name, variants[index].pool, OmittedReason.CANNOT_SERVE, message
                )
        here = [index for index in here if able[index]]
        if not here:
            continue
        own = [variants[index] for index in here]
        number = _dominators(own, capacity[here], merit[here], copies=copies)
        beaten = [leaving[index] and bool(number[:, at].any()) for at, index in enumerate(here)]
        for at, index in enumerate(here):
            if beaten[at]:
                # Dominance is transitive: one that stays is among those that dominate it.
                by = min((rival for rival in range(len(here)) if number[rival, at]), key=lambda rival: beaten[rival])
                count = int(number[by, at])
                message = _message(own[at], own[by], count, count * capacity[here[by]], capacity[index])
                dropped[index] = Omitted(own[at].name, own[at].pool, OmittedReason.DOMINATED, message)
    return Pruned(
        variants=tuple(variant for index, variant in enumerate(variants) if index not in dropped),
        dropped=tuple(dropped[index] for index in sorted(dropped)),
    )


def _dominators(variants: list[Variant], capacity: Matrix, merit: Matrix, *, copies: bool) -> npt.NDArray[np.int64]:
    """How many replicas of variant i (row) do all that one of variant j (column) does; 0: it takes more, or never."""
    gpus = np.array([variant.gpus_per_replica for variant in variants])
    cost, watts, startup = (
        np.array([getattr(variant, field) for variant in variants], float)
        for field in ("cost_per_hour", "watts", "startup_seconds")
    )
    number = gpus[None, :] // gpus[:, None]
    if not copies:
        number = np.minimum(number, 1)
    # Money and power may allow fewer replicas than the GPUs do.
    with np.errstate(divide="ignore", invalid="ignore"):
        for limit in (cost, watts):
            affordable = np.nan_to_num(np.floor(limit[None, :] / limit[:, None] + _ROUNDING), nan=np.inf)
            number = np.minimum(number, affordable).astype(np.int64)
    unlimited = np.array([variant.max_replicas is None for variant in variants])
    allowed = unlimited[:, None] & (startup[:, None] <= startup[None, :]) & (number > 0)
    does = np.ones_like(allowed)
    for figure in (capacity, merit):
        does &= (number[:, :, None] * figure[:, None, :] >= figure[None, :, :]).all(axis=2)
    beats = allowed & does
    names = [variant.name for variant in variants]
    later = np.array([[one > other for other in names] for one in names])
    np.fill_diagonal(beats, val=False)
    return np.where(beats & ~(beats.T & later), number, 0)


def demanded_buckets(service: Service) -> list[int]:
    """The buckets that have a share of the load; all of them where there is no load."""
    demand = service.demand
    asked = [bucket for bucket, share in enumerate(demand.shares) if share > 0 and demand.rate_rps > 0]
    return asked or list(range(len(demand.buckets)))


def effective_work(service: Service, capacity: Matrix, demanded: list[int]) -> Matrix:
    """Replicas that each bucket's demand is worth, by variant (`Service.staffing_beta`); inf where it is not served."""
    rates = np.array([service.demand.bucket_rate_rps(bucket) for bucket in demanded])
    if not rates.any():
        rates = np.ones(len(demanded))
    return load_in_replicas(
        rates, capacity, utilisation_limit=service.utilisation_limit, staffing_beta=service.staffing_beta
    )


def copies_allowed(service: Service, work: Matrix) -> bool:
    """Whether a replica may be replaced by several smaller ones without a look at limits on the number of replicas.

    Not where pods get equal shares (a smaller pod then limits the others), where two replicas must be in two zones,
    where the loss of one counts, or where the share of spot replicas does. The service's `max_replicas` cannot bind if
    it is not below what a fleet holds from which no replica can be taken: its load in replicas, one more for each
    variant, and the minima.
    """
    if service.routing.equal_pods or service.counts_replicas:
        return False
    if service.max_replicas is None:
        return True
    most = float(np.where(np.isfinite(work), work, 0.0).max(axis=0).sum()) + len(service.variants)
    minima = sum(variant.min_replicas for variant in service.variants) + service.on_demand_min_replicas
    return most + max(minima, service.min_replicas) <= service.max_replicas


def _message(variant: Variant, rival: Variant, number: int, theirs: Matrix, ours: Matrix) -> str:
    served = ours > 0
    ratio = theirs[served] / ours[served]
    who = rival.name if number == 1 else f"{number} replicas of {rival.name}"
    verb, serve = ("takes", "serves") if number == 1 else ("take", "serve")
    gpus = number * rival.gpus_per_replica
    return (
        f"{who} {verb} {gpus} GPU{'s' * (gpus > 1)} at {per_hour(number * rival.cost_per_hour)} against "
        f"{variant.gpus_per_replica} at {per_hour(variant.cost_per_hour)}, and {serve} "
        f"{_range(float(ratio.min()), float(ratio.max()))} its rate of each size"
    )


def _range(least: float, most: float) -> str:
    return f"{least:.2f} times" if f"{least:.2f}" == f"{most:.2f}" else f"{least:.2f} to {most:.2f} times"
