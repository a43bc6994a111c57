"""The sizes of a trace as a demand: its own joint distribution, not two marginals. Pure.

Apart: the check takes any demand; this makes one for callers that have a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

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
    buckets, cells = _cells(trace, max_model_len)
    return Demand(rate_rps, buckets, _shares(cells, len(buckets)), SizeSource.STATIC)


def demands_of_trace(trace: Trace, edges_seconds: Sequence[float], *, max_model_len: int) -> list[Demand]:
    """The demand between each of these times and the next, all in the cells of the whole trace (at least one request).

    Where no request arrives, the rate is 0 and the sizes are those of the whole trace.
    """
    buckets, cells = _cells(trace, max_model_len)
    whole = _shares(cells, len(buckets))
    places = np.searchsorted(trace.arrival_seconds, edges_seconds).tolist()
    found = []
    for at, (first, last) in enumerate(pairwise(places)):
        rate_rps = (last - first) / (edges_seconds[at + 1] - edges_seconds[at])
        shares = _shares(cells[first:last], len(buckets)) if last > first else whole
        found.append(Demand(rate_rps, buckets, shares, SizeSource.STATIC))
    return found


def _cells(trace: Trace, max_model_len: int) -> tuple[tuple[Bucket, ...], NDArray[np.int64]]:
    """The cells that hold requests, and the cell of each request by its index."""
    prompts = np.minimum(trace.prompt_tokens, max_model_len - 1)
    generations = np.minimum(trace.generation_tokens, max_model_len - prompts)
    edges = engine_edges(max_model_len)
    row, column = np.searchsorted(edges, prompts), np.searchsorted(edges, generations)
    buckets: list[Bucket] = []
    cells: NDArray[np.int64] = np.zeros(len(trace), np.int64)
    for each in np.unique(row):
        prompt = float(prompts[row == each].mean())
        for other in np.unique(column[row == each]):
            cell = (row == each) & (column == other)
            cells[cell] = len(buckets)
            buckets.append(Bucket(prompt, float(generations[cell].mean())))
    return tuple(buckets), cells


def _shares(cells: NDArray[np.int64], count: int) -> tuple[float, ...]:
    return tuple((np.bincount(cells, minlength=count) / cells.size).tolist())
