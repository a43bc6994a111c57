"""A load to simulate: when each request arrives and how long it is, and arrivals of random processes. Values only.

Pure: the seed is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medley_planner.engine.spec import EngineSpec

_SCATTER = 2.0 / 3.0
"""With it the 99th percentile of TTFT is as far above the mean as in open-loop runs of vLLM 0.15."""
_GOLDEN_SECTION = (math.sqrt(5.0) - 1.0) / 2.0

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival. All three arrays are as long as there are requests."""

    arrival_seconds: Floats
    prompt_tokens: Ints
    generation_tokens: Ints

    @classmethod
    def of(
        cls,
        arrival_seconds: Sequence[float] | Floats,
        prompt_tokens: Sequence[int] | Ints,
        generation_tokens: Sequence[int] | Ints,
    ) -> Trace:
        """Sorted by arrival (equal arrivals keep their order). Raises ValueError naming the first bad request."""
        arrivals = np.asarray(arrival_seconds, dtype=np.float64)
        prompts = np.asarray(prompt_tokens, dtype=np.int64)
        generations = np.asarray(generation_tokens, dtype=np.int64)
        if arrivals.ndim != 1 or not arrivals.shape == prompts.shape == generations.shape:
            raise ValueError(
                f"trace has {arrivals.shape} arrivals, {prompts.shape} prompts and {generations.shape} generations; "
                "give one-dimensional columns of one length"
            )
        bad = np.flatnonzero(~np.isfinite(arrivals) | (prompts < 1) | (generations < 1))
        if bad.size:
            i = int(bad[0])
            raise ValueError(
                f"request {i} of the trace arrives at {arrivals[i]} s with {prompts[i]} prompt and {generations[i]} "
                "generation tokens; arrivals must be finite and both sizes at least 1"
            )
        order = np.argsort(arrivals, kind="stable")
        return cls(arrivals[order], prompts[order], generations[order])

    def __len__(self) -> int:
        return int(self.arrival_seconds.size)

    @classmethod
    def joined(cls, parts: Sequence[Trace]) -> Trace:
        """All requests of parts that follow each other in time."""
        return cls(
            np.concatenate([part.arrival_seconds for part in parts]),
            np.concatenate([part.prompt_tokens for part in parts]),
            np.concatenate([part.generation_tokens for part in parts]),
        )

    def cut_to(self, max_model_len: int) -> Trace:
        """The same requests, cut to the longest sequence that engines take, as clients must."""
        prompt = np.minimum(self.prompt_tokens, max_model_len - 1)
        return Trace(self.arrival_seconds, prompt, np.minimum(self.generation_tokens, max_model_len - prompt))


@dataclass(frozen=True, slots=True, eq=False)
class FittedSizes:
    """The sizes of all requests as one engine takes them."""

    prompt: list[int]
    generation: list[int]
    hit: list[int]
    """Prompt tokens that the prefix cache has; the last prompt token is always computed."""
    front_seconds: list[float]
    """Seconds of the request in front of the engine."""

    @classmethod
    def of(cls, trace: Trace, spec: EngineSpec) -> FittedSizes:
        sizes = cls([], [], [], [])
        sizes.extend(trace, spec)
        return sizes

    def extend(self, more: Trace, spec: EngineSpec) -> None:
        """Adds requests, of the same engine, that come after those that are there."""
        cut = more.cut_to(spec.max_model_len)
        hit = np.minimum((cut.prompt_tokens * spec.prefix_hit_rate).astype(np.int64), cut.prompt_tokens - 1)
        scattered = _scattered(len(self.prompt), len(self.prompt) + len(more))
        front = spec.api_seconds * scattered + spec.prompt_token_seconds * cut.prompt_tokens
        self.prompt.extend(cut.prompt_tokens.tolist())
        self.generation.extend(cut.generation_tokens.tolist())
        self.hit.extend(hit.tolist())
        self.front_seconds.extend(front.tolist())


def _scattered(first: int, end: int) -> Floats:
    """Factors of mean 1, `_SCATTER` of it exponentially distributed, of the requests from `first` up to `end`. That of
    request 0 is 1; the quantiles go in steps of the golden section, so that any stretch of requests has its share of
    each."""
    shares = (1.0 - math.exp(-1.0) + np.arange(first, end) * _GOLDEN_SECTION) % 1.0
    return np.asarray(1.0 - _SCATTER - _SCATTER * np.log1p(-shares))


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
