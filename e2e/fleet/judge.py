"""The results that a service's users saw: counts, latency percentiles, and the share of requests within the targets.
Pure.

Judged from the requests themselves, not from the metrics that the operator reads. A request that got no pod, failed,
or has waited longer than the TTFT target without a first token counts as a miss; one that is merely under way is left
out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.fleet.requests import Failure, Request

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Targets:
    """Seconds; infinite where only counts are asked for."""

    ttft_seconds: float = math.inf
    tpot_seconds: float = math.inf


def report(requests: Iterable[Request], *, targets: Targets, now: float) -> dict[str, Any]:
    """The report on these requests as plain JSON values; times in seconds, None where there is no sample."""
    taken = list(requests)
    by_variant: dict[str, list[Request]] = {}
    for request in taken:
        if request.variant:
            by_variant.setdefault(request.variant, []).append(request)
    routed = sum(len(group) for group in by_variant.values())
    return {
        **_summary(taken, targets=targets, now=now),
        "failures": {reason.value: sum(request.failure is reason for request in taken) for reason in Failure},
        "prompt_tokens_mean": _mean([request.prompt_tokens for request in taken]),
        "generation_tokens_mean": _mean([request.generation_tokens for request in taken]),
        "variants": {
            variant: {**_summary(group, targets=targets, now=now), "share": len(group) / routed}
            for variant, group in sorted(by_variant.items())
        },
    }


def _summary(requests: Sequence[Request], *, targets: Targets, now: float) -> dict[str, Any]:
    verdicts = [_met(request, targets=targets, now=now) for request in requests]
    judged = [verdict for verdict in verdicts if verdict is not None]
    ttft = [value for request in requests if (value := _ttft(request, targets=targets, now=now)) is not None]
    tpot = [value for request in requests if (value := request.tpot_seconds) is not None]
    return {
        "requests": len(requests),
        "finished": sum(request.finished_at is not None and request.failure is None for request in requests),
        "failed": sum(request.failure is not None for request in requests),
        "in_flight": sum(request.finished_at is None for request in requests),
        "judged": len(judged),
        "met": sum(judged),
        "met_share": sum(judged) / len(judged) if judged else None,
        "ttft_seconds": _percentiles(ttft),
        "tpot_seconds": _percentiles(tpot),
    }


def _met(request: Request, *, targets: Targets, now: float) -> bool | None:
    """None: not to be judged yet."""
    if request.failure is not None:
        return False
    ttft = request.ttft_seconds
    if ttft is None:
        return False if now - request.arrival > targets.ttft_seconds else None
    if ttft > targets.ttft_seconds:
        return False
    if request.finished_at is None:
        return None
    tpot = request.tpot_seconds
    return tpot is None or tpot <= targets.tpot_seconds


def _ttft(request: Request, *, targets: Targets, now: float) -> float | None:
    """Seconds that an overdue request has waited so far."""
    if request.ttft_seconds is not None:
        return request.ttft_seconds
    waited = now - request.arrival
    return waited if request.failure is None and waited > targets.ttft_seconds else None


def _percentiles(values: list[float]) -> dict[str, float] | None:
    """Nearest rank."""
    if not values:
        return None
    values = sorted(values)
    return {f"p{rank}": values[max(0, math.ceil(rank / 100 * len(values)) - 1)] for rank in PERCENTILES}


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None
