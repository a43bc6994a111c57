"""Less certain sizes get more headroom, on top of what the service asks for, and the status tells both."""

from __future__ import annotations

import pytest

from medley_operator.domain.load.figures import load_status
from medley_operator.domain.load.headroom import SIZE_HEADROOM_PERCENT, utilisation_limit
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


def test_every_source_has_a_figure() -> None:
    assert set(SIZE_HEADROOM_PERCENT) == set(SizeSource)


def test_the_less_certain_the_more() -> None:
    limits = [utilisation_limit(10.0, source) for source in (SizeSource.INDEPENDENT, SizeSource.TILTED)]
    assert limits == pytest.approx([1 / (1.1 * 1.1), 1 / (1.1 * 1.02)])
    assert utilisation_limit(25.0, SizeSource.GATEWAY) == pytest.approx(0.8)


def test_the_status_tells_it() -> None:
    status = load_status(choice(SizeSource.INDEPENDENT, hits=0.35))
    assert (status.size_source, status.size_headroom_percent, status.prefix_hit_percent) == ("Independent", 10, 35)


def test_nothing_is_told_without_traffic() -> None:
    status = load_status(choice(SizeSource.TILTED, rate_rps=0.0, hits=0.35))
    assert (status.size_source, status.size_headroom_percent, status.prefix_hit_percent) == ("", None, None)
