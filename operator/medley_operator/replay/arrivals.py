"""Arrivals that are made up: a rate over time, requests by it, and their sizes, which may drift. Pure; seeds are given.

A rate is written as `constant:5x1h`, `steps:2x330s,4x360s`, `ramp:1-8x1h`, `diurnal:2-10x24h` (lowest at the start and
at the end) or `spike:2-10x1h` (the middle tenth of the time); sizes as `500x150` or, where they drift from the first to
the last request, `500x150-4000x300`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medley_planner.engine import Trace
from medley_planner.units import duration_seconds

SLICE_SECONDS = 60.0
"""The rate is constant within such a slice, and noise is drawn for each, however long the curve's own slices are."""
NOISE_MEMORY = 0.8
"""How much of a slice's noise stays in the next one."""
MOST_REQUESTS = 20_000_000
_FORMS = "constant:5x1h, steps:2x330s,4x360s, ramp:1-8x1h, diurnal:2-10x24h or spike:2-10x1h"
_PIECE = re.compile(r"([0-9.]+)(?:-([0-9.]+))?x([0-9.]+(?:ms|s|m|h))")
_SIZE = re.compile(r"([0-9]+)x([0-9]+)(?:-([0-9]+)x([0-9]+))?")


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Requests per second, constant in each slice of so many seconds."""

    slices: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        return math.fsum(seconds for seconds, _ in self.slices)

    @property
    def requests(self) -> float:
        """As many are expected."""
        return math.fsum(seconds * rate for seconds, rate in self.slices)


@dataclass(frozen=True, slots=True)
class RequestSizes:
    """Tokens of prompt and generation at the first and at the last request; `spread`: standard deviation of their
    logarithms around that, the mean staying."""

    first: tuple[float, float]
    last: tuple[float, float]
    spread: float = 0.0


def rate_curve(text: str) -> RateCurve:
    """Raises ValueError with the value and the accepted forms."""
    kind, _, rest = text.partition(":")
    pieces = [_piece(part, text) for part in rest.split(",")]
    single = len(pieces) == 1
    low, high, seconds = pieces[0]
    if kind == "steps" or (kind == "constant" and single):
        curve = RateCurve(tuple((length, rate) for rate, _, length in pieces))
    elif kind == "ramp" and single:
        curve = _sampled(seconds, lambda share: low + (high - low) * share)
    elif kind == "diurnal" and single:
        days = max(seconds / 86400.0, 1.0)
        curve = _sampled(seconds, lambda share: low + (high - low) * (1 - math.cos(2 * math.pi * share * days)) / 2)
    elif kind == "spike" and single:
        curve = RateCurve(((0.45 * seconds, low), (0.1 * seconds, high), (0.45 * seconds, low)))
    else:
        raise ValueError(f'"{text}" is not a load; write {_FORMS}')
    if not 1.0 <= curve.requests <= MOST_REQUESTS:
        raise ValueError(f'"{text}" comes to {curve.requests:g} requests; make it 1 to {MOST_REQUESTS:,}')
    return curve


def request_sizes(text: str, *, spread: float = 0.0) -> RequestSizes:
    """Raises ValueError with the value and the accepted form."""
    match = _SIZE.fullmatch(text)
    numbers = [float(number) for number in match.groups() if number is not None] if match else []
    if not numbers or not all(1 <= number < 2**31 for number in numbers):
        raise ValueError(
            f'"{text}" is not a pair of sizes; write prompt x generation tokens, as in 500x150 or 500x150-4000x300'
        )
    first = numbers[0], numbers[1]
    return RequestSizes(first, (numbers[-2], numbers[-1]), spread)


def made_up(curve: RateCurve, sizes: RequestSizes, *, seed: int, noise: float = 0.0, poisson: bool = True) -> Trace:
    """Requests by the curve. `noise`: standard deviation of the rate's logarithm in each slice. Not `poisson`: they
    come at equal distances while the rate stays the same, as load generators send them."""
    rng = np.random.default_rng([seed, 0])
    arrivals = _arrivals(curve, rng, noise=noise, poisson=poisson)
    share = arrivals / curve.seconds
    prompt, generation = (
        _drawn(first, last, share, sizes.spread, rng) for first, last in zip(sizes.first, sizes.last, strict=True)
    )
    return Trace.of(arrivals, prompt, generation)


def with_sizes_of(curve: RateCurve, source: Trace, *, seed: int, noise: float = 0.0, poisson: bool = True) -> Trace:
    """Requests by the curve, with sizes drawn from those of a trace."""
    rng = np.random.default_rng([seed, 0])
    arrivals = _arrivals(curve, rng, noise=noise, poisson=poisson)
    which = rng.integers(0, len(source), arrivals.size)
    return Trace.of(arrivals, source.prompt_tokens[which], source.generation_tokens[which])


def _arrivals(curve: RateCurve, rng: np.random.Generator, *, noise: float, poisson: bool) -> NDArray[np.float64]:
    found: list[NDArray[np.float64]] = []
    start, level, owed = 0.0, 0.0, 0.0
    for length, rate in _noisy_slices(curve) if noise > 0.0 else curve.slices:
        level = NOISE_MEMORY * level + math.sqrt(1 - NOISE_MEMORY**2) * float(rng.standard_normal())
        expected = length * rate * math.exp(noise * level - noise * noise / 2)
        if poisson:
            found.append(np.asarray(start + np.sort(rng.random(rng.poisson(expected))) * length, dtype=np.float64))
        else:
            count = math.floor(owed + expected)
            places = (np.arange(1, count + 1) - owed) / expected if expected > 0.0 else np.zeros(0)
            owed += expected - count
            found.append(np.asarray(start + places * length, dtype=np.float64))
        start += length
    return np.concatenate(found)


def _noisy_slices(curve: RateCurve) -> Iterator[tuple[float, float]]:
    """The slices, none longer than one that has a noise of its own."""
    for length, rate in curve.slices:
        parts = max(math.ceil(length / SLICE_SECONDS), 1)
        yield from ((length / parts, rate) for _ in range(parts))


def _drawn(
    first: float, last: float, share: NDArray[np.float64], spread: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    mean = first + (last - first) * share
    factor = np.exp(spread * rng.standard_normal(share.size) - spread * spread / 2) if spread > 0.0 else 1.0
    return np.maximum(np.rint(mean * factor), 1.0).astype(np.int64)


def _piece(part: str, text: str) -> tuple[float, float, float]:
    """(rate, second rate or the same, seconds)."""
    match = _PIECE.fullmatch(part.strip())
    try:
        if match is None:
            raise ValueError(part)
        low = float(match.group(1))
        high = low if match.group(2) is None else float(match.group(2))
        return low, high, duration_seconds(match.group(3))
    except ValueError:
        raise ValueError(f'"{part}" in "{text}" is not a rate with its time; write {_FORMS}') from None


def _sampled(seconds: float, rate_at: Callable[[float], float]) -> RateCurve:
    count = max(round(seconds / SLICE_SECONDS), 1)
    return RateCurve(tuple((seconds / count, rate_at((at + 0.5) / count)) for at in range(count)))
