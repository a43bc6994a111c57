"""The largest rate of requests of one size that one replica serves within its targets, found by simulating it. Pure.

The closed form says where to look; the simulator decides. Every probe of a search serves the same requests with the
same random gaps, stretched to the rate that is tried (common random numbers), so that a higher rate is hardly ever an
easier one, and equal questions have equal answers. The figure is the percentile of how much of its targets a request
used up, the worse of the two: it is at most 1 where the targets are kept, and smooth, so that a few probes by false
position suffice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from medley_planner.capacity.memory import WHOLE, SequenceCost
from medley_planner.capacity.table_key import LatencyTargets
from medley_planner.engine.routing import Balance, ReplicaGroup, Routing, SimulatedFleet
from medley_planner.engine.simulate import simulate
from medley_planner.engine.spec import EngineSpec, StepSeconds
from medley_planner.engine.step_table import StepTable
from medley_planner.engine.trace import Floats, Trace

LEAST_MEASURED = 6000
"""With these, rates of other random gaps differ by some 3 %, most where the queue for the first token decides."""
LEAST_BEYOND = 60
"""Requests that may miss the targets among those that are measured: a percentile of fewer would be a matter of luck."""
LEAST_TURNS = 8.0
"""Times that all requests under way are replaced by others while it is measured: those that meet share their luck, and
an engine that is overloaded needs time to show it."""
WARM_UP_TURNS = 1.5
LEAST_WARM_UP = 500
LONGEST_STAY_SECONDS = 600.0
MOST_REQUESTS = 24_000
TOLERANCE = 0.01
"""The search ends where the rate that keeps the targets and one that breaks them are this close, as a ratio."""
FIRST_STEP = 1.08
LARGEST_STEP = 2.0
MOST_DRIFT = 0.002
"""Seconds that the wait may grow per second: more is an engine that falls behind, which a loose target may hide."""
MOST_PROBES = 24
LOWEST_RATIO = 1e-3
"""A replica that breaks its targets at this share of the closed form's rate serves nothing."""
_SEED = 5
_ROUTING = Routing(Balance.ROUND_ROBIN)


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedEngine:
    """One replica, with its step times tabulated once for all cells."""

    fleet: SimulatedFleet
    table: StepTable

    @classmethod
    def of(
        cls,
        step: StepSeconds,
        *,
        token_budget: int,
        max_sequences: int,
        kv_tokens: int,
        max_model_len: int,
        cost: SequenceCost = WHOLE,
    ) -> SimulatedEngine:
        """Raises ValueError where such an engine would refuse to start, or the simulator refuses the step time."""
        tokens, own = cost.engine_cache(kv_tokens)
        spec = EngineSpec(step, token_budget, max_sequences, tokens, max_model_len, sequence_blocks=own)
        table = StepTable.of(step, token_budget=token_budget, max_sequences=max_sequences)
        return cls(SimulatedFleet((ReplicaGroup("replica", spec, 1),)), table)

    @property
    def spec(self) -> EngineSpec:
        return self.fleet.groups[0].spec


def simulated_rate_rps(
    engine: SimulatedEngine, *, prompt_tokens: int, generation_tokens: int, targets: LatencyTargets, guess_rps: float
) -> float:
    """Requests per second, Poisson, at which `targets.percentile` percent of requests still meet both targets.

    0 where none does, or prompt plus generation exceed the longest sequence. Not derated. `guess_rps`, above 0, is
    where the search begins: the closed form's rate. The answer keeps the targets in the simulation; a rate `TOLERANCE`
    above it does not.
    """
    if prompt_tokens + generation_tokens > engine.spec.max_model_len:
        return 0.0
    load = _Load.of(prompt_tokens, generation_tokens, targets, guess_rps)
    if _used(engine, load, targets, guess_rps * LOWEST_RATIO, requests=_LONE_REQUESTS) > 1.0:
        return 0.0
    return _search(engine, load, targets, guess_rps)


_LONE_REQUESTS = 20
"""Enough to see whether a request that has the engine to itself keeps the targets: all do, or none."""


@dataclass(frozen=True, slots=True)
class _Load:
    """The requests of one cell. `measured` of them count, after `warm_up` that fill the batch and before as many that
    keep it filled until the last one that counts is served."""

    prompt_tokens: int
    generation_tokens: int
    warm_up: int
    measured: int
    cool_down: int

    @classmethod
    def of(cls, prompt_tokens: int, generation_tokens: int, targets: LatencyTargets, guess_rps: float) -> _Load:
        # Little's law with the longest stay within the targets; a looser bound only costs time.
        stay = targets.ttft_seconds + generation_tokens * targets.tpot_seconds
        turn = guess_rps * min(stay, LONGEST_STAY_SECONDS)
        turn = min(turn, MOST_REQUESTS / (LEAST_TURNS + WARM_UP_TURNS + 1.0))
        miss = 1.0 - targets.share
        measured = min(max(LEAST_MEASURED, LEAST_BEYOND / miss, LEAST_TURNS * turn), MOST_REQUESTS)
        warm_up = max(LEAST_WARM_UP, WARM_UP_TURNS * turn)
        return cls(prompt_tokens, generation_tokens, round(warm_up), round(measured), math.ceil(turn))

    @property
    def requests(self) -> int:
        return self.warm_up + self.measured + self.cool_down


def _used(
    engine: SimulatedEngine, load: _Load, targets: LatencyTargets, rate_rps: float, *, requests: int | None = None
) -> float:
    """The percentile of the share of its targets that a request used, the worse of the two; at most 1: kept.

    Above 1 also where the engine falls behind.
    """
    count = load.requests if requests is None else requests
    trace = Trace(
        arrival_seconds=_unit_arrivals(load.requests)[:count] / rate_rps,
        prompt_tokens=np.full(count, load.prompt_tokens, dtype=np.int64),
        generation_tokens=np.full(count, load.generation_tokens, dtype=np.int64),
    )
    outcome = simulate(trace, engine.fleet, _ROUTING, seed=_SEED, tables=[engine.table])
    counted = slice(load.warm_up, load.warm_up + load.measured) if requests is None else slice(None)
    # A generation of one token has no TPOT; fmax passes over it.
    used = np.fmax(
        outcome.ttft_seconds[counted] / targets.ttft_seconds, outcome.tpot_seconds[counted] / targets.tpot_seconds
    )
    drift = 0.0 if requests is not None else _drift(outcome.ttft_seconds[counted], trace.arrival_seconds[counted])
    rank = math.ceil(targets.share * used.size - 1e-9) - 1
    return max(float(np.partition(used, rank)[rank]), drift / MOST_DRIFT)


def _drift(waits: Floats, arrivals: Floats) -> float:
    """Seconds by which the wait for the first token grows per second, from the first quarter to the last."""
    quarter = waits.size // 4
    grown = waits[-quarter:].mean() - waits[:quarter].mean()
    return float(grown / (arrivals[-quarter:].mean() - arrivals[:quarter].mean()))


@lru_cache(maxsize=64)
def _unit_arrivals(count: int) -> Floats:
    """Arrivals of a Poisson process of rate 1. The gaps are the evenly spaced quantiles of their distribution in random
    order, so that no sample is busier than its rate says."""
    quantiles = (np.arange(count) + 0.5) / count
    gaps = -np.log1p(-quantiles)
    gaps /= gaps.mean()
    arrivals = np.cumsum(np.random.default_rng(_SEED).permutation(gaps))
    arrivals.setflags(write=False)
    return arrivals


def _search(engine: SimulatedEngine, load: _Load, targets: LatencyTargets, guess_rps: float) -> float:
    """False position on logarithms, bracketed first by growing steps from the guess."""
    lowest = guess_rps * LOWEST_RATIO
    kept: tuple[float, float] | None = None
    broken: tuple[float, float] | None = None
    rate, step = guess_rps, FIRST_STEP
    for _ in range(MOST_PROBES):
        used = _used(engine, load, targets, rate)
        if used <= 1.0:
            kept = (math.log(rate), math.log(max(used, 1e-6)))
        else:
            broken = (math.log(rate), math.log(min(used, 1e6)))
        if kept is None:
            if rate <= lowest:
                return 0.0
            rate, step = max(rate / step, lowest), min(step * step, LARGEST_STEP)
        elif broken is None:
            rate, step = rate * step, min(step * step, LARGEST_STEP)
        elif broken[0] - kept[0] <= math.log1p(TOLERANCE):
            break
        else:
            rate = math.exp(_between(kept, broken))
    return math.exp(kept[0]) if kept is not None else 0.0


def _between(kept: tuple[float, float], broken: tuple[float, float]) -> float:
    """The next rate to try: where a straight line crosses the target, but well inside the bracket.

    What is used rises ever more steeply with the rate, so that only a part of what lies above the target is believed.
    """
    width = broken[0] - kept[0]
    above = min(broken[1], 0.5)
    share = -kept[1] / max(above - kept[1], 1e-12)
    margin = min(0.25, 0.4 * math.log1p(TOLERANCE) / width)
    return kept[0] + width * min(max(share, margin), 1.0 - margin)
