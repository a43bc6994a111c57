"""Which numbers a problem may hold, and quick answers for many at once: a fleet has millions of them. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np

from medley_planner.model import Service, Variant

MOST = 10**12
"""The largest count taken. Far above any fleet, and far below where whole numbers stop being exact as floats."""

MOST_RPS = 1e9
LEAST_RPS = 1e-9
"""The largest rate, and the least capacity above 0: what lies between them a solver can still count in replicas."""
MOST_PRICE = 1e9
LEAST_PRICE = 1e-9
"""Price of a replica or a node, in US dollars per hour, bounded for the same reason."""


def is_count(value: object, *, least: int) -> bool:
    return type(value) is int and least <= value <= MOST


def is_quantity(value: float) -> bool:
    """Finite and 0 or more."""
    return 0 <= value < math.inf


def are_quantities(values: Sequence[float]) -> bool:
    """Whether all are finite and 0 or more, at a glance: False may be a sum above all floats as well."""
    return not values or (math.isfinite(sum(values)) and min(values) >= 0)


def is_price(value: float) -> bool:
    return LEAST_PRICE <= value <= MOST_PRICE


def is_capacity(value: float) -> bool:
    return value == 0 or LEAST_RPS <= value < math.inf


def with_odd_capacities(services: Sequence[Service]) -> frozenset[int]:
    """Services (by index) with a capacity out of its range, or not one for each bucket."""
    found: set[int] = set()
    for first in range(0, len(services), _BATCH):
        batch = services[first : first + _BATCH]
        widths = {len(service.demand.buckets) for service in batch}
        if len(widths) > 1 or not _sound_capacities(batch, buckets=max(widths)):
            found.update(
                index
                for index, service in enumerate(batch, first)
                if not _sound_capacities([service], buckets=len(service.demand.buckets))
            )
    return frozenset(found)


_BATCH = 50
"""Services looked at in one go: many enough to hide what a call of numpy costs, few enough for the cache."""


def _sound_capacities(services: Sequence[Service], *, buckets: int) -> bool:
    rows = [variant.capacity_rps for service in services for variant in service.variants]
    if not (rows and buckets):
        return all(len(row) == buckets for row in rows)
    pack = struct.Struct(f"{buckets}d").pack  # twice as fast as what numpy makes of tuples
    try:
        given = np.frombuffer(b"".join([pack(*row) for row in rows]))
    except (struct.error, OverflowError):  # another number of them, or no numbers
        return False
    # A minimum or maximum that has met a NaN is NaN, and fails both.
    if not (given.min() >= 0 and given.max() < math.inf):
        return False
    return not bool(((given > 0) & (given < LEAST_RPS)).any())


def sound_figures(variants: Sequence[Variant]) -> bool:
    """Whether all single figures of the variants are in their range, at a glance; what is not is found one by one."""
    # One list for each field: much quicker than a look at each variant.
    costs = [variant.cost_per_hour for variant in variants]
    return not variants or (
        _are_counts([variant.gpus_per_replica for variant in variants], least=1)
        and _are_counts([variant.min_replicas for variant in variants], least=0)
        and _are_counts([variant.current_replicas for variant in variants], least=0)
        and _are_counts([variant.placed_replicas or 0 for variant in variants], least=0)
        and _are_counts([variant.max_replicas for variant in variants if variant.max_replicas is not None], least=0)
        and are_quantities(costs)
        and is_price(min(costs))
        and is_price(max(costs))
        and are_quantities([variant.watts for variant in variants])
        and are_quantities([variant.startup_seconds for variant in variants])
        and are_quantities([variant.drain_seconds for variant in variants])
    )


def _are_counts(values: Sequence[int], *, least: int) -> bool:
    return not values or (set(map(type, values)) == {int} and min(values) >= least and max(values) <= MOST)
