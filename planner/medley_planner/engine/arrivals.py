"""Arrival times of random processes with a given rate. Pure: the seed is given."""

from __future__ import annotations

import math

import numpy as np

from medley_planner.engine.trace import Floats


def poisson_arrivals(rate_rps: float, *, count: int, seed: int) -> Floats:
    """`count` arrivals in seconds from 0 on, with exponential gaps. Raises ValueError for a bad rate."""
    return gamma_arrivals(rate_rps, cv=1.0, count=count, seed=seed)


def gamma_arrivals(rate_rps: float, *, cv: float, count: int, seed: int) -> Floats:
    """`count` arrivals in seconds from 0 on, whose gaps are Gamma with coefficient of variation `cv` (1: Poisson,
    above: bursts, below: smoother). Raises ValueError for a rate or cv that is not finite and positive."""
    for name, value in (("rate_rps", rate_rps), ("cv", cv)):
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} of the arrivals is {value}; give a finite number above 0")
    shape = 1.0 / cv**2
    gaps = np.random.default_rng(seed).gamma(shape, 1.0 / (rate_rps * shape), count)
    return np.cumsum(gaps)
