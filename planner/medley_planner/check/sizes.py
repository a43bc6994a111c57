"""The sizes of a trace as a demand: its own joint distribution, not two marginals. Pure.

Apart: the check takes any demand; this makes one for callers that have a trace.
"""

from __future__ import annotations

import numpy as np

from medley_planner.engine import Trace
from medley_planner.model import Bucket, Demand, SizeSource


def engine_edges(max_model_len: int) -> tuple[float, ...]:
    """Finite bucket edges of the size histograms of an engine: 1, 2, 5, 10, ... up to its longest request (vLLM,
    `build_1_2_5_buckets`)."""
    found: list[float] = []
    power = 1
    while power <= max_model_len:
        found.extend(float(mantissa * power) for mantissa in (1, 2, 5) if mantissa * power <= max_model_len)
        power *= 10
    return tuple(found)


def demand_of_trace(trace: Trace, rate_rps: float, *, max_model_len: int) -> Demand:
    """`rate_rps` of the trace's requests (at least one), cut to `max_model_len`, in cells of an engine's edges.

    Each cell has the mean generation of its requests and the mean prompt of its row, since routers tell prompts apart.
    """
    prompts = np.minimum(trace.prompt_tokens, max_model_len - 1)
    generations = np.minimum(trace.generation_tokens, max_model_len - prompts)
    edges = engine_edges(max_model_len)
    row, column = np.searchsorted(edges, prompts), np.searchsorted(edges, generations)
    buckets: list[Bucket] = []
    shares: list[float] = []
    for each in np.unique(row):
        prompt = float(prompts[row == each].mean())
        for other in np.unique(column[row == each]):
            cell = (row == each) & (column == other)
            buckets.append(Bucket(prompt, float(generations[cell].mean())))
            shares.append(float(cell.mean()))
    return Demand(rate_rps, tuple(buckets), tuple(shares), SizeSource.STATIC)
