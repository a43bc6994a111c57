"""The requests of a simulated row: three kinds of work at a load that follows the day, drawn from a seed.

Sizes are those of POLCA's evaluation as later analyses give them (docs/power.md): summaries of low priority, search of
high priority, chat of both. Times are those of BLOOM-176B on eight A100.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medley_planner.model import Priority

DAY_SECONDS = 86400
TOKEN_SECONDS = 0.05
"""Time of one output token at the highest clock."""
SLOTS = 4
"""Requests that a server decodes at once."""
_BIN_SECONDS = 900
_NOISE = 0.03
_LOAD_LOW, _LOAD_HIGH = 0.40, 0.70
_BURST_SHAPE = 2.0
"""Arrivals of one second come at a rate that a gamma distribution of this shape scatters. With it the row is a little
rougher than the one that POLCA's authors saw: power rises by 14 % within 40 s, theirs by 12 %."""
_PEAK_HOUR = 14.0
_WEEKEND = 0.9


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of work: its part of all requests, and the ranges of its tokens, which are drawn evenly."""

    part: float
    priority: Priority
    prompt_tokens: tuple[int, int]
    output_tokens: tuple[int, int]


_KINDS = (
    _Kind(0.25, Priority.LOW, (2048, 8192), (256, 512)),
    _Kind(0.25, Priority.HIGH, (512, 2048), (1024, 2048)),
    _Kind(0.25, Priority.HIGH, (2048, 4096), (128, 2048)),
    _Kind(0.25, Priority.LOW, (2048, 4096), (128, 2048)),
)


@dataclass(frozen=True, slots=True)
class RowRequests:
    """Requests in order of arrival. All arrays have one entry for each: seconds, except `high` (whether of high
    priority). `prompt_seconds` and `decode_seconds` are the work of each at the highest clock.
    """

    arrival_seconds: NDArray[np.float64]
    prompt_seconds: NDArray[np.float64]
    decode_seconds: NDArray[np.float64]
    high: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.arrival_seconds)


def prompt_seconds(tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    """The prompt phase of one request: a fit of the measured 0.54, 1.35 and 3.6 s at 2048, 4096 and 8192 tokens."""
    short = 0.05 + 0.00024 * tokens
    middle = 0.54 + 0.0004 * (tokens - 2048.0)
    return np.where(tokens <= 2048.0, short, np.where(tokens <= 4096.0, middle, 1.35 + 0.00055 * (tokens - 4096.0)))


def _work_seconds(kind: _Kind) -> float:
    """The mean time for which one request of the kind takes a server that is full."""
    prompts = np.linspace(*kind.prompt_tokens, 1000)
    return float(prompt_seconds(prompts).mean()) + sum(kind.output_tokens) / 2.0 * TOKEN_SECONDS / SLOTS


def work_by_priority() -> dict[Priority, float]:
    """Server-seconds that a mean request brings, by priority, both counted for every request."""
    found = {Priority.LOW: 0.0, Priority.HIGH: 0.0}
    for kind in _KINDS:
        found[kind.priority] += kind.part * _work_seconds(kind)
    return found


def draw_requests(servers: int, *, days: int, seed: int) -> RowRequests:
    """The requests that load so many servers by 40 to 70 % over the day, 10 % less at the weekend, with noise."""
    random = np.random.default_rng((seed, servers))
    starts = np.arange(0, days * DAY_SECONDS, _BIN_SECONDS)
    hours = (starts + _BIN_SECONDS / 2) / 3600.0
    swing = np.cos((hours - _PEAK_HOUR) * 2.0 * np.pi / 24.0)
    load = (_LOAD_HIGH + _LOAD_LOW) / 2.0 + (_LOAD_HIGH - _LOAD_LOW) / 2.0 * swing
    load = load * np.where(starts // DAY_SECONDS % 7 >= 5, _WEEKEND, 1.0) * random.normal(1.0, _NOISE, len(starts))
    rates = load * servers / sum(work_by_priority().values())
    seconds = np.arange(days * DAY_SECONDS)
    bursts = random.gamma(_BURST_SHAPE, 1.0 / _BURST_SHAPE, len(seconds))
    counts = random.poisson(np.repeat(rates, _BIN_SECONDS) * bursts)
    arrivals = np.sort(np.repeat(seconds, counts) + random.random(int(counts.sum())))
    kinds = random.choice(len(_KINDS), size=len(arrivals), p=[kind.part for kind in _KINDS])
    prompts, outputs = np.zeros(len(arrivals)), np.zeros(len(arrivals))
    for index, kind in enumerate(_KINDS):
        mine = kinds == index
        prompts[mine] = random.integers(*kind.prompt_tokens, size=int(mine.sum()), endpoint=True)
        outputs[mine] = random.integers(*kind.output_tokens, size=int(mine.sum()), endpoint=True)
    high = np.array([kind.priority is Priority.HIGH for kind in _KINDS])[kinds]
    return RowRequests(arrivals.astype(np.float64), prompt_seconds(prompts), outputs * TOKEN_SECONDS, high)
