"""Scores of earlier predictions and the margin that is read off them."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.workload.conformal import MAX_SCORE, margin_at, scores, with_margin


def test_scores_are_capped_and_their_inverse_is_the_margin() -> None:
    actual, predicted = np.array([12.0, 1000.0]), np.array([10.0, 10.0])
    capped = scores(actual, predicted, usual_rps=10.0)
    assert capped.tolist() == pytest.approx([2 / 11, MAX_SCORE])
    assert with_margin(10.0, float(capped[0]), usual_rps=10.0) == pytest.approx(12.0)
    weights = np.ones(2)
    assert margin_at(0.1, capped, weights) == pytest.approx(2 / 11)
    assert margin_at(0.9, capped, weights) == MAX_SCORE
