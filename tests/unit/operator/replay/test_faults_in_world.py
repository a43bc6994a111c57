"""Faults of the world under the operator: nothing goes to zero, and attainment recovers where stock allows."""

from __future__ import annotations

import pytest

from medley_operator.replay.faults import fault_of
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.settings import WorldSettings
from tests.unit.operator import factories as make
from tests.unit.operator.replay.worlds import scenario

LEAD_SECONDS = 150.0
"""Start-up in the median and a round."""


def played(load: str, *faults: str, **more: object) -> PolicyOutcome:
    world = scenario(load, faults=tuple(fault_of(text) for text in faults), **more)  # type: ignore[arg-type]
    return POLICIES["medley"](Replay(world, {}))


def attained(outcome: PolicyOutcome, start: float, end: float) -> float:
    """The mean of the minutes between these times."""
    shares = [
        share
        for point, share in zip(outcome.timeline, outcome.minutes, strict=True)
        if start <= point.seconds < end and share is not None
    ]
    return sum(shares) / len(shares)


def never_to_zero(outcome: PolicyOutcome) -> bool:
    return all(point.ready > 0 for point in outcome.timeline)


def test_pods_that_crash_are_replaced_and_their_requests_are_lost() -> None:
    outcome = played("constant:12x40m", "crash:l4@15m:0.5", own_pools=[make.pool("l4", gpu="L4", nodes=8)])
    assert outcome.unfinished > 0
    assert attained(outcome, 900 + 2 * LEAD_SECONDS, 2400) > 0.97
    assert never_to_zero(outcome)


def test_a_pool_that_is_out_of_stock_for_an_hour_is_made_up_for_by_others() -> None:
    """The load rises while the cheap pool gives nothing more: the other pool takes it."""
    pools = [
        make.pool("l4", gpu="L4", nodes=8),
        make.pool("l40s", gpu="L40S", price="2.5", nodes=8),
    ]
    outcome = played("steps:4x15m,16x60m", "out-of-stock:l4@14m+60m", own_pools=pools)
    assert any("l40s" in point.replicas for point in outcome.timeline if point.seconds > 1200)
    assert attained(outcome, 2400, 4500) > 0.95
    assert never_to_zero(outcome)


def test_half_of_the_spot_nodes_are_taken_back_with_notice() -> None:
    spot = make.pool("spot", gpu="L4", price="0.3", nodes=20, kind="Elastic", gpus_per_node=1, provisioning="Spot")
    outcome = played("constant:12x40m", "reclaim:spot@15m:0.5", own_pools=[spot])
    assert attained(outcome, 900 + 2 * LEAD_SECONDS, 2400) > 0.97
    assert never_to_zero(outcome)


def test_prometheus_gone_for_twenty_minutes_holds_the_fleet() -> None:
    outcome = played("constant:10x50m", "prometheus@10m+20m")
    during = {tuple(sorted(point.replicas.items())) for point in outcome.timeline if 660 <= point.seconds < 1800}
    assert len(during) == 1
    assert attained(outcome, 600, 3000) > 0.97
    assert never_to_zero(outcome)


def test_a_price_that_changes_moves_the_fleet() -> None:
    pools = [make.pool("a", gpu="L4", price="0.8", nodes=8), make.pool("b", gpu="L4", price="1.0", nodes=8)]
    outcome = played("constant:6x60m", "price:a@10m:4", own_pools=pools)
    first, last = outcome.timeline[5].replicas, outcome.timeline[-2].replicas
    assert all(name.startswith("a") for name in first)
    assert all(name.startswith("b") for name in last)
    assert attained(outcome, 0, 3600) > 0.97


@pytest.mark.parametrize("factor", [1.2])
def test_engines_that_are_slower_than_believed_keep_serving(factor: float) -> None:
    settings = WorldSettings(step_factors={"L4": factor, "H100": factor})
    outcome = played("constant:12x60m", settings=settings)
    assert never_to_zero(outcome)
    assert attained(outcome, 1800, 3600) > 0.95
