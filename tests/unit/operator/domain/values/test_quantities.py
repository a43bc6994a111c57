"""Quantities are read as Kubernetes and the API's patterns mean them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from medley_operator.api.v1alpha1.fields import figure_of
from medley_operator.domain.values.quantities import quantity, scaled_quantity, whole_count
from medley_planner.units import money, rate, unit_price


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("4", "4000m"),
        ("16Gi", "16384Mi"),
        ("1", 1),
        ("1E", "1e18"),
        ("1Ei", str(2**60)),
        ("2k", "2000"),
        ("0.5", "500m"),
    ],
)
def test_equal_quantities(left: str, right: str | int) -> None:
    assert quantity(left) == quantity(right)


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "4X"])
def test_a_bad_quantity_names_itself(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        quantity(text)


def test_written_forms() -> None:
    assert scaled_quantity("16Gi", 2) == "32Gi"
    assert scaled_quantity("500m", 4) == "2000m"
    assert scaled_quantity("1.5", 2) == "3"
    assert (money(1.605), money(0.0), money(7 * 0.805), money(5.6349999999)) == ("1.61", "0.00", "5.64", "5.64")
    assert (unit_price(0.10845), unit_price(0.0), unit_price(-0.0), unit_price(12.3)) == (
        "0.1085",
        "0.0000",
        "0.0000",
        "12.3000",
    )
    assert (rate(4.0), rate(11.2), rate(0.0), rate(100.0)) == ("4", "11.2", "0", "100")
    assert quantity("8Gi") == Decimal(8) * 2**30


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "1e999", "-1", "1e15"])
def test_a_figure_of_a_status_that_is_none_counts_as_nothing(text: str) -> None:
    assert figure_of(text) == 0.0
    assert figure_of("4.25") == 4.25


@pytest.mark.parametrize(
    ("value", "count"),
    [("8", 8), (8, 8), ("1k", 1000), ("2e1", 20), ("1000m", 1), (4.0, 4), ("0", 0), (2**31 - 1, 2**31 - 1)],
)
def test_whole_counts(value: object, count: int) -> None:
    assert whole_count(value) == count


@pytest.mark.parametrize(
    "value",
    [
        *("", "many", "²", "8\n", "1.5", "500m", "-1", "1E", "1e99999999", "1e9999999999999999999", "9" * 5000),
        *(2**31, math.nan, math.inf, True, None, [8], {"a": 1}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_whole_count_is_none_and_raises_nothing(value: object) -> None:
    assert whole_count(value) is None
