"""What a replica of a variant adds to the power domains that feed its pool. Pure.

Apart: a plan's watts are decided here alone, for pools that a domain feeds.
"""

from __future__ import annotations

from dataclasses import replace

from medley_operator.domain.variants.requested import Ask
from medley_planner.capacity.watts import planned_watts
from medley_planner.model import Demand, Variant
from medley_planner.variants import Row


def with_added_watts(variant: Variant, row: Row, ask: Ask, demand: Demand) -> Variant:
    """The variant with the watts that one replica is expected to add by what it does, beyond idle GPUs. In a pool that
    no domain feeds, or that has a budget of its own, replicas count at their limits."""
    feed, replica = ask.state.feed, row.replica
    if feed is None or ask.state.has_budget:
        return variant
    expected = planned_watts(
        replica.layout,
        replica.step(),
        demand,
        row.capacity.capacity_rps,
        speed=replica.speed,
        limit_watts=ask.source.limit_watts,
    )
    added = expected + replica.layout.gpus * (feed.node_watts - feed.base_watts)
    return replace(variant, watts=added)


def drawn_watts(variant: Variant, ask: Ask) -> float | None:
    """What a replica of such a variant draws in all; None where no domain feeds it."""
    feed = ask.state.feed
    if feed is None:
        return None
    if ask.state.has_budget:
        return variant.watts
    return variant.watts + variant.gpus_per_replica * (feed.base_watts - feed.node_watts)
