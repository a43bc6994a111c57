"""Measurements of one replica under load: what profiles are fitted from, whichever tool made them. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One load on one replica and the latency that its requests had, in the mean.

    Sizes are mean tokens of the requests. The load is `concurrency` clients, each with one request at a time, or
    Poisson arrivals at `rate_rps`; the other one is None. `tpot_seconds` is None where no request generated a second
    token, `ttft_seconds` None where the tool does not report it. `requests` were measured.
    """

    prompt_tokens: float
    generation_tokens: float
    concurrency: float | None
    rate_rps: float | None
    ttft_seconds: float | None
    tpot_seconds: float | None
    requests: int
