"""The requests of one service on their way: routed to pods, served by their engines, finished or lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medley_planner.engine import EngineSpec, LiveFleet, StepTable, Trace

NOBODY = -1
BROKEN = -2
"""From this number down: engines that never started though their pods are Ready; what comes to them is lost."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Engines that stand behind one weight; without any, requests that come here are lost."""

    weight: float
    engines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PromptPool:
    """Engines that are preferred for prompts of these lengths, both ends included."""

    shortest: int
    longest: int
    engines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests go. By weights to `backends` and there to any engine; or, where there are `pools`, to the engine
    that a picker scores best by its queue and KV cache (`LiveFleet.serve_picked`), of those that are preferred for the
    prompt, or of all where none is."""

    backends: tuple[Backend, ...] = ()
    pools: tuple[PromptPool, ...] = ()

    @property
    def pooled(self) -> tuple[int, ...]:
        """All engines of the pools."""
        return tuple(dict.fromkeys(engine for pool in self.pools for engine in pool.engines))


class Traffic:
    """`engine_of`: the engine of each request; NOBODY while it has not arrived, and NOBODY or a BROKEN one where it was
    lost on arrival."""

    def __init__(self, trace: Trace, *, seed: int) -> None:
        self.trace = trace
        self.live = LiveFleet(trace)
        self.engine_of: NDArray[np.int32] = np.full(len(trace), NOBODY, dtype=np.int32)
        self.route = Route()
        self.arrived = 0
        self.specs: list[EngineSpec] = []
        """Those of all engines by number, also of such as have gone."""
        self._draws = np.random.default_rng([seed, 2])
        self._which_backend, self._which_engine = self._draws.random(len(trace)), self._draws.random(len(trace))

    @property
    def ends_at(self) -> float:
        """The last arrival, in seconds; 0 without any."""
        return float(self.trace.arrival_seconds[-1]) if len(self.trace) else 0.0

    def extend(self, more: Trace) -> None:
        """Adds requests that arrive no earlier than those that are there, and than the time that was reached."""
        self.trace = Trace.joined((self.trace, more))
        self.live.extend(more)
        self.engine_of = np.concatenate((self.engine_of, np.full(len(more), NOBODY, dtype=np.int32)))
        # By rows, so that it does not matter in how many pieces a trace comes.
        drawn = self._draws.random((len(more), 2))
        self._which_backend = np.concatenate((self._which_backend, drawn[:, 0]))
        self._which_engine = np.concatenate((self._which_engine, drawn[:, 1]))

    def begin(self, spec: EngineSpec, table: StepTable) -> int:
        self.specs.append(spec)
        return self.live.start(spec, table)

    def advance(self, until_seconds: float) -> None:
        """Serves what arrives before that time by the route as it is, and moves all engines on."""
        first = self.arrived
        last = int(np.searchsorted(self.trace.arrival_seconds, until_seconds, side="left"))
        if last > first:
            self.arrived = last
            if self.route.pools:
                self._to_picked(first, last)
            elif self.route.backends:
                self._by_weights(first, last)
        self.live.advance(until_seconds)

    def _by_weights(self, first: int, last: int) -> None:
        backends = self.route.backends
        edges = np.cumsum([backend.weight for backend in backends])
        # The last edge is left out, so that rounding never leads past the last backend.
        chosen = np.searchsorted(edges[:-1] / edges[-1], self._which_backend[first:last], side="right")
        engines = np.full(last - first, NOBODY, dtype=np.int32)
        for index, backend in enumerate(backends):
            mine = np.flatnonzero(chosen == index)
            if backend.engines and mine.size:
                members = np.asarray(backend.engines, dtype=np.int32)
                engines[mine] = members[(self._which_engine[first + mine] * members.size).astype(np.int64)]
        self.engine_of[first:last] = engines
        order = np.argsort(engines, kind="stable")
        ordered = engines[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), ordered.size], strict=True):
            engine = int(ordered[start])
            if engine >= 0:
                self.live.serve(engine, (first + order[start:stop]).tolist())

    def _to_picked(self, first: int, last: int) -> None:
        pools = self.route.pools
        if len({pool.engines for pool in pools}) == 1 or len(pools) == 1:
            self._run(pools[0].engines, first, last)
            return
        prompts = self.trace.prompt_tokens[first:last]
        preferred = [tuple(pool.shortest <= length <= pool.longest for pool in pools) for length in prompts.tolist()]
        start = 0
        for at in range(1, len(preferred) + 1):
            if at == len(preferred) or preferred[at] != preferred[start]:
                mine = [
                    engine
                    for pool, fits in zip(pools, preferred[start], strict=True)
                    if fits
                    for engine in pool.engines
                ]
                self._run(tuple(dict.fromkeys(mine)) or self.route.pooled, first + start, first + at)
                start = at

    def _run(self, engines: Sequence[int], first: int, last: int) -> None:
        if engines:
            self.engine_of[first:last] = self.live.serve_picked(engines, range(first, last))
