"""Power as the fleet operator sees it: domains, events, and what holds the GPUs of each node now. Values only.

The controller of power and the agents of the nodes write all of it; the fleet operator reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
from medley_planner.model import Priority


@dataclass(frozen=True, slots=True)
class GpuHeld:
    """A GPU and the clock that it is held to, in percent of its highest one; a cap on its watts counts as the clock
    that it comes to. `pods`: namespace/name of those on it, none where the agent does not know them. `changed_at`: when
    it was last changed, in Unix seconds; None: not known, as before any change."""

    clock_percent: int
    pods: tuple[str, ...] = ()
    changed_at: float | None = None


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """Objects in the order of their names. `caps`: the GPUs of each node whose caps are enforced, by its name."""

    domains: tuple[PowerDomain, ...] = ()
    events: tuple[PowerEvent, ...] = ()
    caps: Mapping[str, tuple[GpuHeld, ...]] = field(default_factory=dict)


NO_POWER = PowerFacts()


@dataclass(frozen=True, slots=True)
class PoolFeed:
    """The power domains that feed a pool. `domain`: the lowest that feeds all of its nodes and that plans are held to;
    `domains`: all that feed some. `base_watts`: what one of its GPUs draws while no replica is on it, which is counted
    once for all GPUs that there are; `node_watts`: what a GPU brings with it where nodes are made as asked. `clocks`:
    what GPUs are held to by the priority of services, in percent; none: nothing is capped for long.
    """

    domain: str | None
    domains: tuple[str, ...] = ()
    base_watts: float = 0.0
    node_watts: float = 0.0
    clocks: Mapping[Priority, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CountedLevel:
    """The level of a domain that plans count with (0: none), and since when another one is in force, in Unix seconds;
    None where it is the one that is counted."""

    level: int = 0
    other_since: float | None = None
