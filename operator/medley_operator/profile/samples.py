"""The measurements: one request, one load, and the `LoadPoint` that a fit takes. Values and pure functions only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from medley_operator.profile.loads import MEASURED_RATES, LoadRun, Size
from medley_planner.capacity.points import LoadPoint

CUT = "cut"
"""The `failure` of a request that was still under way when its load ended: no fault of anyone."""
MOST_FAILED = 0.1
"""Share of a load's requests that may fail; with more, what is left is another load than the one meant."""


@dataclass(frozen=True, slots=True)
class RequestSample:
    """One request. Times in seconds since the load began; None where no token came. `failure` None: answered whole.

    `first_tokens` came together at `first_at`.
    """

    number: int
    sent_at: float
    prompt_tokens: int
    generation_tokens: int
    first_at: float | None = None
    first_tokens: int = 1
    last_at: float | None = None
    failure: str | None = None

    @property
    def ttft_seconds(self) -> float | None:
        return None if self.first_at is None else self.first_at - self.sent_at

    @property
    def tpot_seconds(self) -> float | None:
        """Mean time per token after the first ones; None where there is none."""
        later = self.generation_tokens - self.first_tokens
        if self.first_at is None or self.last_at is None or later < 1:
            return None
        return (self.last_at - self.first_at) / later


class Ending(StrEnum):
    """Why a load ended."""

    MEASURED = "Measured"
    SATURATED = "Saturated"
    FAILED = "Failed"
    OUT_OF_TIME = "OutOfTime"


@dataclass(frozen=True, slots=True)
class Run:
    """One load as it went. `sent`: all requests in the order sent; `measured`: the numbers of those that count."""

    load: LoadRun
    sent: tuple[RequestSample, ...]
    measured: range
    ending: Ending

    @property
    def counted(self) -> tuple[RequestSample, ...]:
        return tuple(sample for sample in self.sent if sample.number in self.measured and sample.failure is None)

    @property
    def failures(self) -> Counter[str | None]:
        """Failures of all requests, with how often each was seen."""
        return Counter(sample.failure for sample in self.sent if sample.failure not in (None, CUT))


def point_of(run: Run) -> LoadPoint | None:
    """None where the load did not run its course, or nothing is left to count.

    The rate is the one that really arrived: a hundred Poisson arrivals miss the rate meant by a tenth.
    """
    counted = run.counted
    if run.ending is not Ending.MEASURED or not counted:
        return None
    rate = None if run.load.rate_rps is None else _rate_rps(counted) or run.load.rate_rps
    return LoadPoint(
        prompt_tokens=_mean([float(sample.prompt_tokens) for sample in counted]) or 0.0,
        generation_tokens=_mean([float(sample.generation_tokens) for sample in counted]) or 0.0,
        concurrency=None if run.load.concurrency is None else float(run.load.concurrency),
        rate_rps=rate,
        ttft_seconds=_mean([sample.ttft_seconds for sample in counted]),
        tpot_seconds=_mean([sample.tpot_seconds for sample in counted]),
        requests=len(counted),
    )


def rates_below(runs: Sequence[Run], *, requests: int) -> tuple[LoadRun, ...]:
    """Loads of Poisson arrivals below the throughput that clients reached, for each size that they sent."""
    reached: dict[tuple[Size, ...], float] = {}
    for run in runs:
        if run.load.concurrency is not None and point_of(run) is not None:
            reached[run.load.sizes] = max(reached.get(run.load.sizes, 0.0), _rate_rps(run.counted) or 0.0)
    return tuple(
        LoadRun(sizes, requests, rate_rps=float(f"{share * rate:.3g}"))
        for sizes, rate in reached.items()
        if rate > 0
        for share in MEASURED_RATES
    )


def _rate_rps(counted: Sequence[RequestSample]) -> float | None:
    span = counted[-1].sent_at - counted[0].sent_at if counted else 0.0
    return (len(counted) - 1) / span if span > 0 else None


def percentile(values: Sequence[float | None], share: float) -> float:
    """NaN where nothing is known."""
    known = [value for value in values if value is not None]
    return float(np.percentile(known, 100.0 * share)) if known else math.nan


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
