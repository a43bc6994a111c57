"""The load of rates in replicas."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.load import load_in_replicas

RATES = np.array([3.0, 0.0, 2.0])
CAPACITY = np.array([[4.0, 2.0, 1.0], [8.0, 0.0, 0.0]])


def test_a_load_is_the_rate_over_the_allowed_part_of_the_capacity() -> None:
    load = load_in_replicas(RATES, CAPACITY, utilisation_limit=0.5)
    assert load.tolist() == [[1.5, 0.0, 4.0], [0.75, np.inf, np.inf]]


def test_staffing_adds_the_square_root_of_the_whole_load_in_proportion() -> None:
    load = load_in_replicas(RATES, CAPACITY, utilisation_limit=0.5, staffing_beta=2.0)
    assert load[0].sum() == pytest.approx(5.5 + 2.0 * np.sqrt(5.5))
    assert load[0, 0] / load[0, 2] == pytest.approx(1.5 / 4.0)
    assert load[1, 0] == pytest.approx(0.75 + 2.0 * np.sqrt(0.75))
    assert np.isinf(load[1, 1:]).all()


def test_without_requests_there_is_no_load_to_staff() -> None:
    load = load_in_replicas(np.zeros(3), CAPACITY, utilisation_limit=1.0, staffing_beta=2.0)
    assert load.tolist() == [[0.0, 0.0, 0.0], [0.0, np.inf, np.inf]]
