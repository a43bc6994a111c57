"""Rounding of the relaxation: what does not fit is mended by swaps, and by swaps that first exceed another limit."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.optimize.columns.choose import Options, round_off

_HEAVIEST = [(6.0, 0.0), (6.0, 4.0)]
"""What the heaviest column of each of two services takes of two limits of 10."""


def chosen(*others: tuple[float, float], stock: tuple[float, float] = (10.0, 10.0)) -> list[int] | None:
    """The columns that are taken, where each service has one more column, twice as dear."""
    use = [each for pair in zip(_HEAVIEST, others, strict=True) for each in pair]
    row, number = np.array([0, 0, 1, 1]), np.arange(4)
    given = Options(number, row, np.array([1.0, 2.0, 1.0, 2.0]), np.array(use))
    weights = np.array([0.9, 0.1, 0.9, 0.1])
    found = round_off(
        given, weights, np.array(stock), services=2, prices=np.zeros(2), enough=0.0, seconds_left=lambda: 10.0
    )
    return None if found is None else found.tolist()


def test_a_swap_that_relieves_is_made() -> None:
    assert chosen((3.0, 0.0), (5.0, 9.0)) == [1, 2]


def test_limits_that_no_single_swap_relieves_are_mended_by_two() -> None:
    """Each swap alone exceeds one of the limits by more than both were exceeded before."""
    assert chosen((0.0, 10.0), (10.0, 0.0)) == [1, 3]


@pytest.mark.parametrize("stock", [(5.0, 10.0), (9.0, 9.0)])
def test_what_cannot_fit_ends(stock: tuple[float, float]) -> None:
    assert chosen((0.0, 10.0), (10.0, 0.0), stock=stock) is None
