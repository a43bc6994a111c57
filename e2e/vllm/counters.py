"""Calibrates from what Prometheus scraped while the engine served traffic: the operator's own query and filter.

The filter starts from an estimate that is wrong by `WRONG` as a whole; it sees nothing but counters and gauges.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import httpx

from e2e.vllm.serve import TOKEN_BUDGET
from medley_operator.metrics.calibration import figures_of
from medley_operator.metrics.calibration_queries import calibration_query
from medley_operator.metrics.engine_names import VLLM
from medley_operator.metrics.prometheus import Prometheus
from medley_planner.capacity.calibrate import Calibration, Prior, learn
from medley_planner.capacity.speed import StepFactors
from medley_planner.capacity.window import SkipReason, Window

WRONG = 3.0
WINDOW_SECONDS = 10
"""As short as ten scrapes: the whole run takes minutes, where an operator has hours."""
REQUEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class FromCounters:
    """The learned calibration, and the number of windows that were left out, by reason."""

    calibration: Calibration
    skipped: Counter[SkipReason]


async def windows(url: str, *, start: float, end: float) -> list[Window | SkipReason]:
    """The answers of the operator's query for one window after the other, in Unix seconds. Raises `MetricsError`."""
    query = calibration_query(VLLM, window_seconds=WINDOW_SECONDS)
    found: list[Window | SkipReason] = []
    async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as client:
        prometheus = Prometheus(base_url=url, client=client)
        at = start + WINDOW_SECONDS
        while at <= end:
            groups = figures_of(await prometheus.vector(query, at=at), window_seconds=WINDOW_SECONDS)
            found.append(next((each.window for each in groups.values()), SkipReason.YOUNG_POD))
            at += WINDOW_SECONDS
    return found


def calibrated(found: list[Window | SkipReason], prior: Prior) -> FromCounters:
    """`prior` is the wrong one."""
    calibration, skipped = Calibration(), Counter[SkipReason]()
    for window in found:
        if isinstance(window, SkipReason):
            skipped[window] += 1
            continue
        learned = learn(calibration, replace(window, token_budget=TOKEN_BUDGET), prior)
        calibration = learned.calibration
        if learned.skipped is not None:
            skipped[learned.skipped] += 1
    return FromCounters(calibration, skipped)


def product(one: StepFactors, other: StepFactors) -> StepFactors:
    return StepFactors(
        fixed=one.fixed * other.fixed,
        compute=one.compute * other.compute,
        sequence=one.sequence * other.sequence,
        kv=one.kv * other.kv,
    )


def common_factor(factor: float) -> StepFactors:
    return StepFactors(fixed=factor, compute=factor, sequence=factor, kv=factor)
