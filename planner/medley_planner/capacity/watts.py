"""The watts of a replica by what it does: prompts, decoding, nothing, at the clock that its GPUs are held to. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.capacity.speed import Speed
from medley_planner.capacity.step_time import StepTime
from medley_planner.layout import UNCAPPED_PERCENT, Layout
from medley_planner.model import Demand

# Splitwise's measured power fractions (A100, H100): prompts 0.9 to 1 of the limit, decoding 0.5 to 0.7.
PREFILL_POWER, DECODE_POWER = 0.95, 0.60
IDLE_POWER = 0.12
"""Idle board power over the limit; a guess (70 to 90 W of 700 W were seen on H100)."""
CLOCK_EXPONENT = 1.2
"""Of the clock in what a GPU draws beyond idle, as the capping policy has it (`power.tree`)."""


def mean_watts(layout: Layout, *, prefill_share: float, busy_share: float, limit_watts: float | None = None) -> float:
    """Mean watts of one replica; `busy_share` of the time steps run, `prefill_share` of it on prompts. `limit_watts`:
    what one GPU draws at its limit; None: as its type has it."""
    limit = layout.gpu.watts if limit_watts is None else limit_watts
    active = busy_share * (prefill_share * PREFILL_POWER + (1.0 - prefill_share) * DECODE_POWER)
    active *= _draw_at_clock(layout)
    return layout.gpus * limit * (IDLE_POWER + (1.0 - IDLE_POWER) * active)


def _draw_at_clock(layout: Layout) -> float:
    return math.pow(layout.clock_percent / UNCAPPED_PERCENT, CLOCK_EXPONENT)


def idle_watts(limit_watts: float) -> float:
    """What one GPU draws that does nothing."""
    return IDLE_POWER * limit_watts


def clock_under_cap(fraction: float) -> float:
    """The clock, as a fraction of the highest one, to which a cap at that fraction of a GPU's limit holds it while it
    would draw the most."""
    above_idle = max((fraction - IDLE_POWER) / (1.0 - IDLE_POWER), 0.0)
    return math.pow(min(above_idle, 1.0), 1.0 / CLOCK_EXPONENT)


def planned_watts(
    layout: Layout,
    step: StepTime,
    demand: Demand,
    capacity_rps: Sequence[float],
    *,
    speed: Speed,
    limit_watts: float,
) -> float:
    """The watts that a plan counts for one replica: expected at its full planned load of the demand's mix, and as much
    nearer to its limit as its capacity is derated.

    `capacity_rps`: the derated largest rate of each bucket; sizes that it does not serve do not count. Prompts take the
    time of the tokens beyond what an empty step takes; the rest of a busy engine's time is decoding.
    """
    served = [
        (share, share / rate, bucket.prompt_tokens)
        for share, rate, bucket in zip(demand.shares, capacity_rps, demand.buckets, strict=True)
        if share > 0.0 and rate > 0.0
    ]
    clock = _draw_at_clock(layout)
    limit = layout.gpus * limit_watts * (IDLE_POWER + (1.0 - IDLE_POWER) * clock)
    if not served:
        return limit
    requests = sum(share for share, _, _ in served)
    tokens = sum(share * prompt for share, _, prompt in served) * (1.0 - demand.prefix_hit_rate)
    # The rate of the mix at which a replica is full, without the derate.
    rate = requests / (sum(work for _, work, _ in served) * speed.derate)
    size = max(tokens / requests, 1.0)
    prompt_seconds = step.seconds(
        prefill_tokens=size, prefill_attended=size * size / 2.0, decode_sequences=0.0, kv_tokens=0.0
    ) - step.seconds(prefill_tokens=0.0, prefill_attended=0.0, decode_sequences=0.0, kv_tokens=0.0)
    expected = mean_watts(
        layout, prefill_share=min(rate * prompt_seconds, 1.0), busy_share=1.0, limit_watts=limit_watts
    )
    return expected + (limit - expected) * (1.0 - speed.derate)
