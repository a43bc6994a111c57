"""Power as the fleet operator sees it: domains, events, and what holds the GPUs of each node now. Values only.

The controller of power and the agents of the nodes write all of it; the fleet operator reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
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
class NodeCaps:
    """The caps of a node: its GPUs, none where caps are only shown, and the domains above it. `leased_until`: when the
    controller's lease on them ends, in Unix seconds; caps that differ in it alone are equal."""

    gpus: tuple[GpuHeld, ...] = ()
    domains: tuple[str, ...] = ()
    leased_until: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """Objects in the order of their names. `caps`: the GPUs of each node whose caps are enforced, by its name.
    `leased_until`: the last time, in Unix seconds, until which the controller of power answers for a domain, by its
    name; none of domains on whose nodes it never wrote caps."""

    domains: tuple[PowerDomain, ...] = ()
    events: tuple[PowerEvent, ...] = ()
    caps: Mapping[str, tuple[GpuHeld, ...]] = field(default_factory=dict)
    leased_until: Mapping[str, float] = field(default_factory=dict)


NO_POWER = PowerFacts()


def leases_by_domain(caps: Iterable[NodeCaps]) -> dict[str, float]:
    """`PowerFacts.leased_until` of these caps: the newest lease of a domain's nodes counts, since one controller renews
    them all."""
    found: dict[str, float] = {}
    for each in caps:
        until = -math.inf if each.leased_until is None else each.leased_until
        for name in each.domains if until > -math.inf else ():
            found[name] = max(found.get(name, -math.inf), until)
    return found


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
