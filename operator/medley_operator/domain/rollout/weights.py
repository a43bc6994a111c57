"""Route weights: the share of each variant in the Ready capacity of its service.

A starting replica must get no traffic it cannot serve, so weights follow what is Ready and not what is planned; before
anything is Ready they follow the plan. Gateways reload on each change, so a weight moves only past a deadband. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_planner.model import Demand

TOTAL = 1000
DEADBAND = 50
"""5 % of the total: a smaller change is not worth a reload of the gateway's routes."""
OVERLOAD = 1.15
"""No variant may get more than this many times its share for that: to one that has 4 % of the capacity, 5 % of the
total more would be twice what it serves. Less is well within what capacities are derated by."""
_FEW = 5
"""Weights so small that rounding is much of them."""


def mix_capacity_rps(demand: Demand, capacity_rps: tuple[float, ...], served: frozenset[int]) -> float:
    """Rate of the demand's own size mix, over its `served` buckets, that one replica can carry; 0 if it lacks one.

    Harmonic mean of the bucket capacities by share: a request of bucket b takes 1 / capacity_rps[b] of a replica's
    second.
    """
    share_sum = sum(demand.shares[bucket] for bucket in served)
    if share_sum <= 0:
        return 0.0
    work = 0.0
    for bucket in served:
        if demand.shares[bucket] <= 0:
            continue
        if capacity_rps[bucket] <= 0:
            return 0.0
        work += demand.shares[bucket] / capacity_rps[bucket]
    return share_sum / work if work > 0 else 0.0


def ready_weights(
    *, ready: Mapping[str, int], desired: Mapping[str, int], capacity_rps: Mapping[str, float]
) -> dict[str, int]:
    """Weights that sum to 1000, or are all 0 where no replica runs or is planned. Keys are those of `capacity_rps`.

    Where no replica has capacity for the load they share it by number: slow answers are better than none.
    """
    for replicas in (ready, desired):
        capacity = {name: replicas.get(name, 0) * rps for name, rps in capacity_rps.items()}
        if sum(capacity.values()) > 0:
            return _apportion(capacity)
        number = {name: float(replicas.get(name, 0)) for name in capacity_rps}
        if sum(number.values()) > 0:
            return _apportion(number)
    return dict.fromkeys(capacity_rps, 0)


def settle(new: Mapping[str, int], current: Mapping[str, int] | None) -> dict[str, int]:
    """`current` where it has the same backends, the same zeros, no weight further off than the deadband, and none that
    overloads its variant."""
    if current is None or set(current) != set(new):
        return dict(new)
    same_zeros = all((new[name] == 0) == (current[name] == 0) for name in new)
    close = all(
        abs(new[name] - current[name]) <= DEADBAND and current[name] <= OVERLOAD * new[name] + _FEW for name in new
    )
    return dict(current) if same_zeros and close else dict(new)


def _apportion(capacity: Mapping[str, float]) -> dict[str, int]:
    """Largest remainders; a positive share never becomes 0. Ties go to the name that sorts first."""
    total = sum(capacity.values())
    exact = {name: TOTAL * value / total for name, value in capacity.items()}
    weights = {name: max(int(value), 1 if value > 0 else 0) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (int(exact[name]) - exact[name], name))
    for name in by_remainder[: max(TOTAL - sum(weights.values()), 0)]:
        weights[name] += 1
    excess = sum(weights.values()) - TOTAL
    if excess > 0:
        largest = max(sorted(weights), key=lambda name: weights[name])
        weights[largest] -= excess
    return weights
