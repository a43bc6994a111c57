"""Durations and money in and out."""

from __future__ import annotations

import math

import pytest

from medley_planner.units import duration_seconds, format_duration, format_money, format_percent, money


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("50ms", 0.05), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("1.5s", 1.5), ("1m5s20ms", 65.02)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "-1s", "1 s", "5s1m", "1,5s"])
def test_bad_durations_name_value_and_form(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" is no duration.*"250ms"'):
        duration_seconds(text)


def test_money() -> None:
    assert money("0.805") == 0.805
    for text in ("", "$1", "-1", "1,000", "1e3", ".5"):
        with pytest.raises(ValueError, match=r'plain decimal, such as "0\.805"'):
            money(text)


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (12.34, "$12.34"),
        (0.805, "$0.805"),
        (3, "$3.00"),
        (0.01256, "$0.0126"),
        (-1.5, "-$1.50"),
        (-1e-9, "$0.00"),
        (math.inf, "-"),
    ],
)
def test_money_is_written_with_two_to_four_digits(dollars: float, text: str) -> None:
    assert format_money(dollars) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.25, "25 %"), (0.025, "2.5 %"), (0.0, "0 %"), (1.0, "100 %"), (math.nan, "-")]
)
def test_percent(share: float, text: str) -> None:
    assert format_percent(share) == text


@pytest.mark.parametrize("text", ["50ms", "1s", "1.5s", "5m", "2h", "90s"])
def test_written_durations_read_back(text: str) -> None:
    assert duration_seconds(format_duration(duration_seconds(text))) == pytest.approx(duration_seconds(text))
