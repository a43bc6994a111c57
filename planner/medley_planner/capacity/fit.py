"""From a few measured loads of one replica to the factors on its step time: what a `ModelProfile` holds. Pure.

The latency model is the closed form that `medley estimate` uses, read at each point's load; the factors are those at
which it gives the measured latencies. Few points cannot tell the four parts of a step apart, so the fit starts from the
belief that the data sheet's estimate is wrong by one common factor and its parts differ little: one point then moves
all parts alike, and each further one lets them differ where it shows that they do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medley_planner.capacity.latency import Latency, Load, at_concurrency, at_rate
from medley_planner.capacity.least_squares import Vector, least_squares
from medley_planner.capacity.memory import memory_fit
from medley_planner.capacity.point_checks import refusal
from medley_planner.capacity.points import LoadPoint
from medley_planner.capacity.speed import StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

LEAST_FACTOR, MOST_FACTOR = 0.05, 20.0
"""Factors beyond these come from another model, GPU or unit, not from a fast or slow engine."""

# In natural logarithms, as standard deviations of what is believed and of what is measured. TTFT counts little: it
# hangs on how a load test starts and on queues, which the mean of a step does not show.
_COMMON, _APART = 1.5, 0.4
_TPOT_NOISE, _TTFT_NOISE = 0.04, 0.4
_PERCENTILE = 95.0


@dataclass(frozen=True, slots=True)
class Fit:
    """The factors, and how far the model with them is off the points that were used, as shares of the measured.

    `error`: mean absolute relative error of TPOT (of TTFT where no point has TPOT), `ttft_error` of TTFT (None where no
    point has it).
    """

    factors: StepFactors
    error: float
    ttft_error: float | None
    used: int
    refused: tuple[tuple[LoadPoint, str], ...]


@dataclass(frozen=True, slots=True)
class NoFit:
    """Why there are no factors, with field, value and way out; `refused` as in `Fit`."""

    reason: str
    refused: tuple[tuple[LoadPoint, str], ...]


def fit_points(
    points: Sequence[LoadPoint],
    *,
    shape: ModelShape,
    layout: Layout,
    token_budget: int = 8192,
    max_sequences: int = 1024,
    kv_tokens: int | None = None,
    first_wave: bool = False,
    spread_experts: bool = False,
) -> Fit | NoFit:
    """Factors on the step time of `shape` that runs as `layout` says, from 1 to about 50 points of one engine.

    `token_budget` and `max_sequences` are those of the engine that was measured, `kv_tokens` what its cache holds
    (None: estimated with vLLM's default memory share). `first_wave`: the points are load tests whose clients all start
    at once, see `at_concurrency`. `spread_experts`: see `engine_refusal`. Points that no engine can have measured are
    refused, the others still count.
    """
    if not points:
        return NoFit("there are no points; give at least one measured load", ())
    memory = memory_fit(shape, layout, max_model_len=1, engine_kv_tokens=kv_tokens, spread_experts=spread_experts)
    if not memory.fits:
        return NoFit(memory.reason, ())
    # States and windows weigh on a cache by the sequence, so its tokens are those of sequences as long as the measured.
    longest = _longest(points, shape)
    memory = memory_fit(shape, layout, max_model_len=longest, engine_kv_tokens=kv_tokens)
    checked = [(point, refusal(point, shape, layout, memory=memory)) for point in points]
    usable = [point for point, reason in checked if not reason]
    refused = tuple((point, reason) for point, reason in checked if reason)
    if not usable:
        return NoFit(f"none of {len(points)} points can be used; the first: {refused[0][1]}", refused)

    def predict(factors: StepFactors) -> list[Latency]:
        step = StepTime(shape, layout, factors=factors)
        return [
            _latency(
                step,
                Load(
                    prompt_tokens=point.prompt_tokens,
                    generation_tokens=point.generation_tokens,
                    percentile=_PERCENTILE,
                    token_budget=token_budget * layout.attention_data_parallel,
                    max_sequences=max_sequences * layout.attention_data_parallel,
                    kv_tokens=memory.kv_tokens,
                ),
                point,
                first_wave=first_wave,
            )
            for point in usable
        ]

    factors = _fitted(usable, predict)
    tpot, ttft = _errors(usable, predict(factors))
    error = tpot if tpot is not None else ttft
    return Fit(factors, error or 0.0, ttft, len(usable), refused)


def _longest(points: Sequence[LoadPoint], shape: ModelShape) -> int:
    lengths = [point.prompt_tokens + point.generation_tokens for point in points]
    longest = max((math.ceil(length) for length in lengths if 1.0 <= length < math.inf), default=1)
    return longest if shape.max_position is None else min(longest, shape.max_position)


def _fitted(points: Sequence[LoadPoint], predict: Callable[[StepFactors], list[Latency]]) -> StepFactors:
    def residuals(logs: Vector) -> Vector:
        mean = float(logs.mean())
        parts = [mean / _COMMON, *((logs - mean) / _APART)]
        for point, latency in zip(points, predict(_factors(logs)), strict=True):
            if point.tpot_seconds is not None:
                parts.append(math.log(latency.tpot_seconds / point.tpot_seconds) / _TPOT_NOISE)
            if point.ttft_seconds is not None:
                parts.append(math.log(latency.ttft_seconds / point.ttft_seconds) / _TTFT_NOISE)
        return np.array(parts)

    low, high = math.log(LEAST_FACTOR), math.log(MOST_FACTOR)
    return _factors(least_squares(residuals, np.zeros(4), low=low, high=high))


def _factors(logs: Vector) -> StepFactors:
    fixed, compute, sequence, kv = np.exp(logs).tolist()
    return StepFactors(fixed=fixed, compute=compute, sequence=sequence, kv=kv)


def _latency(step: StepTime, load: Load, point: LoadPoint, *, first_wave: bool) -> Latency:
    if point.rate_rps is None:
        return at_concurrency(step, load, concurrency=point.concurrency or 1.0, first_wave=first_wave)
    found = at_rate(step, load, rate_rps=point.rate_rps)
    if found is not None:
        return found
    # Too slow for the measured rate. A full batch, made worse by as much as the rate is above what it serves, shows
    # the search which way to go.
    full = at_concurrency(step, load, concurrency=float(load.max_sequences))
    worse = max(point.rate_rps / full.rate_rps, 1.0)
    return replace(
        full,
        ttft_seconds=full.ttft_seconds * worse,
        tpot_seconds=full.tpot_seconds * worse,
        ttft_percentile_seconds=full.ttft_percentile_seconds * worse,
        tpot_percentile_seconds=full.tpot_percentile_seconds * worse,
    )


def _errors(points: Sequence[LoadPoint], latencies: Sequence[Latency]) -> tuple[float | None, float | None]:
    """Mean absolute relative errors of TPOT and TTFT, each over the points that have it."""
    pairs = list(zip(points, latencies, strict=True))
    return (
        _mean_error((point.tpot_seconds, latency.tpot_seconds) for point, latency in pairs),
        _mean_error((point.ttft_seconds, latency.ttft_seconds) for point, latency in pairs),
    )


def _mean_error(pairs: Iterable[tuple[float | None, float]]) -> float | None:
    """Mean relative error of (measured, predicted) pairs; pairs without a measurement do not count, and None where
    there is none."""
    errors = [abs(predicted / measured - 1.0) for measured, predicted in pairs if measured is not None]
    return float(np.mean(errors)) if errors else None
