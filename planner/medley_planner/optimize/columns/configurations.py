"""Configurations that pricing found, and the cheapest of them by service with what they prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from medley_planner.optimize.columns.service_arrays import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Configurations:
    """`counts[n, j]` replicas beyond the minima of the service in row `row[n]`, the part of demand left out, the price.

    `bound[s]` is below what any configuration of service s costs at the prices, and of those that cost less than
    `reach[s]` none is missing (but for fleets with replicas to spare). Both are empty while they are not known.
    """

    row: Ints
    counts: Ints
    unmet: Floats
    price: Floats
    bound: Floats = field(default_factory=lambda: np.empty(0))
    reach: Floats = field(default_factory=lambda: np.empty(0))


def best_of(found: Configurations, services: int, *, floor: Floats, within: Floats, keep: int) -> Configurations:
    """The `keep` cheapest of each service, none above `within`; all cheaper than `floor` have been found."""
    order = np.lexsort((found.price, found.row))
    row, price = found.row[order], found.price[order]
    size = np.bincount(row, minlength=services)
    starts = size.cumsum() - size
    some = size > 0
    cheapest = np.full(services, np.inf)
    cheapest[some] = price[starts[some]]
    reach = np.minimum(floor, within)
    crowded = size > keep
    reach[crowded] = np.minimum(reach[crowded], price[starts[crowded] + keep - 1])
    rank = np.arange(len(row)) - starts[row]
    most = np.maximum(within, cheapest)
    kept = order[(rank < keep) & (price <= most[row] * (1 + 1e-9) + 1e-9)]
    bound = np.minimum(cheapest, floor)
    return Configurations(found.row[kept], found.counts[kept], found.unmet[kept], found.price[kept], bound, reach)


def joined(pieces: Sequence[Configurations]) -> Configurations:
    """Configurations of different services, each with its rows numbered as in the whole, in the order of the
    services."""
    return Configurations(
        *(np.concatenate([getattr(piece, field.name) for piece in pieces]) for field in fields(Configurations))
    )


def merged(found: Configurations, other: Configurations, rows: Ints) -> Configurations:
    """`found` with what it has of the services `rows` replaced by `other`, whose rows are positions in `rows`."""
    kept = ~np.isin(found.row, rows)
    bound, reach = found.bound.copy(), found.reach.copy()
    bound[rows], reach[rows] = other.bound, other.reach
    return Configurations(
        np.concatenate([found.row[kept], rows[other.row]]),
        np.concatenate([found.counts[kept], other.counts]),
        np.concatenate([found.unmet[kept], other.unmet]),
        np.concatenate([found.price[kept], other.price]),
        bound,
        reach,
    )
