"""The load in the status: where its sizes come from, the headroom for them, and prefix hits."""

from __future__ import annotations

from medley_operator.domain.load.figures import load_status
from medley_operator.domain.values.candidates import DemandChoice, LoadSource
from medley_operator.domain.values.snapshot import MetricsReason
from medley_planner.model import Bucket, Demand, SizeSource


def choice(source: SizeSource, *, rate_rps: float = 2.0, hits: float = 0.0) -> DemandChoice:
    return DemandChoice(
        demand=Demand(rate_rps, (Bucket(100.0, 10.0),), (1.0,), source, prefix_hit_rate=hits),
        source=LoadSource.PROMETHEUS,
        hold=False,
        had_metrics=True,
        reason=MetricsReason.FOUND,
        message="",
    )


def test_the_status_tells_it() -> None:
    status = load_status(choice(SizeSource.INDEPENDENT, hits=0.35))
    assert (status.size_source, status.size_headroom_percent, status.prefix_hit_percent) == ("Independent", 10, 35)


def test_nothing_is_told_without_traffic() -> None:
    status = load_status(choice(SizeSource.TILTED, rate_rps=0.0, hits=0.35))
    assert (status.size_source, status.size_headroom_percent, status.prefix_hit_percent) == ("", None, None)
