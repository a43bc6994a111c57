"""Which measurements a profile can rest on, and in words for their owner why the others are refused. Pure."""

from __future__ import annotations

import math

from medley_planner.capacity.memory import MemoryFit
from medley_planner.capacity.plausible import beats_the_limit
from medley_planner.capacity.points import LoadPoint
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

LONGEST_TPOT_SECONDS = 10.0
"""No engine that anyone serves from is so slow per token; milliseconds taken for seconds are."""
LONGEST_TTFT_SECONDS = 1000.0
"""Long queues in load tests do reach minutes; 100 ms taken for seconds reach hours of them."""
_SIZES = ("prompt_tokens", "generation_tokens")
_POSITIVE = (*_SIZES, "concurrency", "rate_rps", "ttft_seconds", "tpot_seconds")
_AT_LEAST_ONE = (*_SIZES, "concurrency")


def refusal(point: LoadPoint, shape: ModelShape, layout: Layout, *, memory: MemoryFit) -> str:
    """Why the point cannot be used, naming field, value and way out; empty where it can. `memory` is the engine's."""
    return _malformed(point) or _too_long(point, shape, memory) or _beyond_physics(point, shape, layout)


def _too_long(point: LoadPoint, shape: ModelShape, memory: MemoryFit) -> str:
    tokens = point.prompt_tokens + point.generation_tokens
    named = f"prompt_tokens {point.prompt_tokens:g} + generation_tokens {point.generation_tokens:g}"
    if shape.max_position is not None and tokens > shape.max_position:
        return f"{named} is more than the {shape.max_position} positions of {shape.name}; correct them or the model"
    if tokens > memory.kv_tokens:
        return f"{named} is more than the KV cache holds, {memory.kv_tokens}; correct them or the figure"
    return ""


def _malformed(point: LoadPoint) -> str:
    if point.requests < 1:
        return f"requests is {point.requests}; a point needs at least one measured request"
    for field in _POSITIVE:
        value = getattr(point, field)
        if value is not None and not (math.isfinite(value) and value > 0.0):
            return f"{field} is {value:g}; give a finite number above 0, or leave the point out"
    for field in _AT_LEAST_ONE:
        value = getattr(point, field)
        if value is not None and value < 1.0:
            return f"{field} is {value:g}; give at least 1"
    if (point.concurrency is None) == (point.rate_rps is None):
        return (
            f"concurrency is {_text(point.concurrency)} and rate_rps is {_text(point.rate_rps)}; give exactly one of "
            "them"
        )
    if point.tpot_seconds is None and point.ttft_seconds is None:
        return "tpot_seconds and ttft_seconds are both missing; give at least one of them"
    for field, longest in (("tpot_seconds", LONGEST_TPOT_SECONDS), ("ttft_seconds", LONGEST_TTFT_SECONDS)):
        value = getattr(point, field)
        if value is not None and value > longest:
            return f"{field} is {value:g}, above {longest:g}; these look like milliseconds, give seconds"
    return ""


def _beyond_physics(point: LoadPoint, shape: ModelShape, layout: Layout) -> str:
    # A missing latency does not break a limit: it counts as infinite.
    ttft = math.inf if point.ttft_seconds is None else point.ttft_seconds
    tpot = math.inf if point.tpot_seconds is None else point.tpot_seconds
    under_way = point.concurrency
    if under_way is None:
        # Little's law; where a latency is missing, so are the requests under way.
        seconds = ttft + point.generation_tokens * tpot
        under_way = (point.rate_rps or 0.0) * seconds if math.isfinite(seconds) else 1.0
    reason = beats_the_limit(
        shape,
        layout,
        prompt_tokens=point.prompt_tokens,
        generation_tokens=point.generation_tokens,
        concurrency=under_way,
        ttft_seconds=ttft,
        tpot_seconds=tpot,
    )
    if not reason:
        return ""
    return f"{reason}; it was served from a prefix cache, or units or model are wrong: measure with distinct prompts"


def _text(value: float | None) -> str:
    return "missing" if value is None else f"{value:g}"
