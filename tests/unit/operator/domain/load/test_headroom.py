"""Less certain sizes get more headroom, on top of what the service asks for."""

from __future__ import annotations

import pytest

from medley_operator.domain.load.headroom import SIZE_HEADROOM_PERCENT, utilisation_limit
from medley_planner.model import SizeSource


def test_every_source_has_a_figure() -> None:
    assert set(SIZE_HEADROOM_PERCENT) == set(SizeSource)


def test_the_less_certain_the_more() -> None:
    limits = [utilisation_limit(10.0, source) for source in (SizeSource.INDEPENDENT, SizeSource.TILTED)]
    assert limits == pytest.approx([1 / (1.1 * 1.1), 1 / (1.1 * 1.02)])
    assert utilisation_limit(25.0, SizeSource.GATEWAY) == pytest.approx(0.8)
