"""The replayed world beside its objects and arrivals: start-up times, true speeds, scrapes, seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """`startup_seconds`: from a bound pod to Ready, in the median; `startup_spread`: standard deviation of its
    logarithm, half of whose square is shared by the pods that start in the same minute. `pool_startups`: other medians,
    by pool. `node_seconds`: to make a node
    of an elastic pool. `step_factors`: how many times as long an engine step truly takes as the data sheet says, by GPU
    type; 1 where a type is not in it. `scrape_seconds`: between two scrapes of Prometheus. `resync_seconds`: between
    two rounds of the operator. `calibrates`: whether the operator learns step times from the counters of engines.
    `seed` draws all that is left to chance."""

    startup_seconds: float = 120.0
    startup_spread: float = 0.1
    pool_startups: Mapping[str, float] = field(default_factory=dict)
    node_seconds: float = 0.0
    step_factors: Mapping[str, float] = field(default_factory=dict)
    scrape_seconds: float = 15.0
    resync_seconds: float = 30.0
    calibrates: bool = True
    seed: int = 0

    def startup_of(self, pool: str) -> float:
        """The median start-up in that pool."""
        return self.pool_startups.get(pool, self.startup_seconds)
