"""The load of users: Poisson arrivals with lognormal prompt and generation sizes, changed as they run. Seeded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from e2e.fleet.requests import Request


@dataclass(frozen=True, slots=True)
class Workload:
    """Mean rate and sizes; `*_cv` is the standard deviation of a size over its mean (0: all alike)."""

    rate_rps: float
    prompt_tokens_mean: float
    generation_tokens_mean: float
    prompt_cv: float = 0.5
    generation_cv: float = 0.5

    def __post_init__(self) -> None:
        for name, least in (("rate_rps", 0), ("prompt_cv", 0), ("generation_cv", 0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} is {value}: it must be a number of at least {least}")
        for name in ("prompt_tokens_mean", "generation_tokens_mean"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 1):
                raise ValueError(f"{name} is {value}: it must be a number of at least 1 token")


class Arrivals:
    """The stream of one service's requests from `start` (Unix seconds)."""

    def __init__(self, workload: Workload, *, random: Random, start: float) -> None:
        self._random = random
        self._workload = workload
        self._next = self._gap(start)

    @property
    def workload(self) -> Workload:
        return self._workload

    def change(self, workload: Workload, *, now: float) -> None:
        """From `now` on. Arrivals before `now` must have been taken."""
        self._workload = workload
        self._next = self._gap(now)

    def until(self, now: float) -> Iterator[Request]:
        """The requests that arrive up to `now`, in order, each once."""
        work = self._workload
        while self._next <= now:
            yield Request(
                arrival=self._next,
                prompt_tokens=self._size(work.prompt_tokens_mean, work.prompt_cv),
                generation_tokens=self._size(work.generation_tokens_mean, work.generation_cv),
            )
            self._next = self._gap(self._next)

    def _gap(self, after: float) -> float:
        rate = self._workload.rate_rps
        return after + self._random.expovariate(rate) if rate > 0 else math.inf

    def _size(self, mean: float, variation: float) -> int:
        if variation == 0:
            return round(mean)
        variance = math.log1p(variation * variation)
        return max(1, round(self._random.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))))
