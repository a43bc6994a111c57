"""The loads of a load test: which sizes, how many clients or what rate, and when each request is sent. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from medley_planner.units import req_per_second


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Tokens of one request."""

    prompt_tokens: int
    generation_tokens: int

    def __post_init__(self) -> None:
        if self.prompt_tokens < 1 or self.generation_tokens < 2:
            raise ValueError(
                f"size {self} has no time per token; give at least 1 prompt and 2 generation tokens, as in 512x128"
            )

    def __str__(self) -> str:
        return f"{self.prompt_tokens}x{self.generation_tokens}"


@dataclass(frozen=True, slots=True)
class LoadRun:
    """`requests` are measured, those before them that warm the engine up come on top.

    Each request has one of `sizes`, all equally often. Exactly one of `concurrency` (clients, each with one request at
    a time) and `rate_rps` (Poisson arrivals) is given. Raises ValueError otherwise.
    """

    sizes: tuple[Size, ...]
    requests: int
    concurrency: int | None = None
    rate_rps: float | None = None

    def __post_init__(self) -> None:
        if (self.concurrency is None) == (self.rate_rps is None):
            raise ValueError(f"load of {self.sizes}: give either concurrency or rate_rps")
        if self.rate_rps is not None and not (math.isfinite(self.rate_rps) and self.rate_rps > 0):
            raise ValueError(f"rate {self.rate_rps} req/s is not a rate; give a number above 0")
        if (self.concurrency is not None and self.concurrency < 1) or self.requests < 1 or not self.sizes:
            raise ValueError(f"load {self}: give at least one size, one client and one request")

    def __str__(self) -> str:
        how = req_per_second(self.rate_rps) if self.rate_rps is not None else f"{self.concurrency} at once"
        return f"{'+'.join(map(str, self.sizes))}, {how}"


MEASURED_RATES = (0.3, 0.6, 0.8)
"""Shares of the largest throughput seen: from a load of single requests to one just short of queues."""


def grid(
    sizes: Sequence[Size], *, concurrencies: Sequence[int], rates_rps: Sequence[float], requests: int
) -> tuple[LoadRun, ...]:
    """Each size with each load. Those of one size follow each other and rise, so that it is seen where it saturates.

    As many requests as clients at least, so that all clients are measured.
    """
    return tuple(
        load
        for size in dict.fromkeys(sizes)
        for load in (
            *(
                LoadRun((size,), max(requests, clients), concurrency=clients)
                for clients in sorted(dict.fromkeys(concurrencies))
            ),
            *(LoadRun((size,), requests, rate_rps=rate) for rate in sorted(dict.fromkeys(rates_rps))),
        )
    )


@dataclass(frozen=True, slots=True)
class Shot:
    """One request to send. `after_seconds`: since the one before (0 where clients decide)."""

    number: int
    size: Size
    after_seconds: float


def shots(load: LoadRun, *, seed: int) -> Iterator[Shot]:
    """Requests without end: those that are sent until the last measured one is answered keep the load up.

    Clients that all start at once would go on in step, and every prefill would meet the same batch. So the first
    request of each, which is not measured, is shorter, and their ends spread evenly.
    """
    random = Random(seed)  # noqa: S311 -- load, no secrets
    clients = load.concurrency or 0
    number = 0
    while True:
        order = list(load.sizes)
        random.shuffle(order)
        for size in order:
            after = random.expovariate(load.rate_rps) if load.rate_rps else 0.0
            if number < clients:
                share = (number + 1) / clients
                size = Size(size.prompt_tokens, max(2, round(size.generation_tokens * share)))
            yield Shot(number, size, after)
            number += 1


def saturated(*, sent: int, waiting: int) -> bool:
    """Whether requests pile up: more than a quarter of all that were `sent` still wait for their first token.

    A replica that keeps up has only those in prefill waiting; the first few arrivals say nothing.
    """
    return waiting > 8 and waiting > sent / 4
