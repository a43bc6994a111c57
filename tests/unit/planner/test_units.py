"""Durations in, as Kubernetes objects write them."""

from __future__ import annotations

import re

import pytest

from medley_planner.units import duration_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("50ms", 0.05), ("250ms", 0.25), ("5m", 300), ("24h", 86400), ("1.5s", 1.5), ("0s", 0.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "-1s", "1 s", "5sec", "1.2.3s", "1h30m", "1,5s"])
def test_bad_durations_name_value_and_form(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{re.escape(text)}" is no duration.*"250ms"'):
        duration_seconds(text)
