"""The samples that Prometheus has of one service: counters and gauges of its engines, and rates over a window of them.

`increase` and `delta` are those of PromQL, with its extrapolation to the ends of the window (Prometheus:
`extrapolatedRate`). One scrape takes all pods at one moment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medley_operator.replay.traffic import Traffic

Floats = NDArray[np.float64]

TTFT_EDGES = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
TPOT_EDGES = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
"""Upper edges of vLLM's histograms in seconds, but for the last, which is infinite."""
LONGEST_WINDOW_SECONDS = 3600.0


def size_edges(max_model_len: int) -> tuple[float, ...]:
    """vLLM's edges of sizes in tokens: 1, 2, 5, 10, ... up to the longest request; without the infinite one."""
    edges = [base * 10.0**power for power in range(10) for base in (1.0, 2.0, 5.0)]
    return tuple(edge for edge in edges if edge <= max_model_len)


@dataclass(frozen=True, slots=True)
class CounterColumns:
    """Places of the figures in a row. Histograms hold counts of their own bucket, not of those below it too."""

    prompt_edges: tuple[float, ...]
    generation_edges: tuple[float, ...]

    COMPLETED = 0
    PROMPT_TOKENS = 1
    GENERATION_TOKENS = 2
    RUNNING = 3
    WAITING = 4
    KV_USAGE = 5
    STEPS = 6
    PREEMPTIONS = 7
    FIRST_TOKENS = 8
    PREFILLED = 9
    """Prompt tokens of requests that got their first token."""
    DECODES = 10
    DECODE_SECONDS = 11
    """Tokens after a request's first one, and the sum of the times from each to the one before."""
    FIRST = 12
    GAUGES = (RUNNING, WAITING, KV_USAGE)

    @property
    def prompt(self) -> slice:
        return slice(self.FIRST, self.FIRST + len(self.prompt_edges) + 1)

    @property
    def generation(self) -> slice:
        return slice(self.prompt.stop, self.prompt.stop + len(self.generation_edges) + 1)

    @property
    def ttft(self) -> slice:
        return slice(self.generation.stop, self.generation.stop + len(TTFT_EDGES) + 1)

    @property
    def tpot(self) -> slice:
        return slice(self.ttft.stop, self.ttft.stop + len(TPOT_EDGES) + 1)

    @property
    def width(self) -> int:
        return int(self.tpot.stop)


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """A pod that is scraped: its engine, its name and what its ReplicaSet is known by."""

    engine: int
    pod: str
    replica_set: tuple[str, str]


@dataclass(slots=True)
class _Series:
    target: ScrapeTarget
    times: list[float] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)
    live: bool = True


@dataclass(frozen=True, slots=True)
class PodWindow:
    """One pod over a window: the samples in it, what its counters rose by and gauges changed by (nothing with fewer
    than two samples), and its newest row. `live`: it was scraped the last time."""

    target: ScrapeTarget
    live: bool
    samples: int
    first_at: float
    """The first sample in the window; its start where there are samples from before it."""
    last_at: float
    newest: Floats
    increase: Floats | None
    since: float
    """Its first sample of all that are kept."""
    rows: Sequence[Floats]

    @property
    def mean(self) -> Floats:
        """Over all samples in the window; for gauges."""
        found: Floats = np.mean(self.rows, axis=0)
        return found


class Scrapes:
    """Call `scrape` at each scrape, after time was moved on, then `window` as often as needed."""

    def __init__(self, traffic: Traffic, *, max_model_len: int) -> None:
        self._traffic = traffic
        self.columns = CounterColumns(size_edges(max_model_len), size_edges(max_model_len))
        self._series: dict[int, _Series] = {}
        self._counters: dict[int, Floats] = {}
        self._seen = 0
        self._no_first_token: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._unfinished: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def scrape(self, now: float, targets: list[ScrapeTarget]) -> None:
        """`targets`: the pods that answer now."""
        self.count()
        names = {target.engine for target in targets}
        for engine, series in self._series.items():
            series.live = engine in names
        for target in targets:
            series = self._series.setdefault(target.engine, _Series(target))
            row = self._row(target.engine).copy()
            self._add_state(target.engine, row, now)
            series.times.append(now)
            series.rows.append(row)
            series.live = True
        self._forget(now)

    def window(self, now: float, seconds: float) -> list[PodWindow]:
        """All pods that have a sample in the window."""
        found = []
        for series in self._series.values():
            first, last = bisect_right(series.times, now - seconds), len(series.times) - 1
            if first > last:
                continue
            found.append(
                PodWindow(
                    target=series.target,
                    live=series.live,
                    samples=last - first + 1,
                    first_at=now - seconds if first > 0 else series.times[first],
                    last_at=series.times[last],
                    newest=series.rows[last],
                    increase=self._increase(series, first, last, now, seconds),
                    since=series.times[0],
                    rows=series.rows[first:],
                )
            )
        return found

    def _increase(self, series: _Series, first: int, last: int, now: float, seconds: float) -> Floats | None:
        if last == first:
            return None
        times, before = series.times, series.rows[first]
        risen = series.rows[last] - before
        sampled = times[last] - times[first]
        between = sampled / (last - first)
        to_start, to_end = times[first] - (now - seconds), now - times[last]
        if to_start >= 1.1 * between:
            to_start = between / 2
        if to_end >= 1.1 * between:
            to_end = between / 2
        # A counter was not below 0 before its first sample.
        with np.errstate(divide="ignore", invalid="ignore"):
            to_zero = np.where(risen > 0.0, sampled * before / risen, np.inf)
        to_zero[list(CounterColumns.GAUGES)] = np.inf
        factor: Floats = (sampled + np.minimum(to_start, to_zero) + to_end) / sampled
        return risen * factor

    def count(self) -> None:
        """Adds what happened since the last scrape to the counters of the engines."""
        traffic = self._traffic
        arrived = np.arange(self._seen, traffic.arrived)
        arrived = arrived[traffic.engine_of[self._seen : traffic.arrived] >= 0]
        self._seen = traffic.arrived
        waiting = np.concatenate((self._no_first_token, arrived))
        first = _values(traffic.live.first_token, waiting)
        begun = ~np.isnan(first)
        self._add_ttft(waiting[begun], first[begun])
        self._no_first_token = waiting[~begun]
        unfinished = np.concatenate((self._unfinished, arrived))
        last = _values(traffic.live.last_token, unfinished)
        ended = ~np.isnan(last)
        self._add_finished(unfinished[ended], last[ended])
        self._unfinished = unfinished[~ended]

    def _add_ttft(self, requests: NDArray[np.int64], first: Floats) -> None:
        if requests.size:
            traffic = self._traffic
            engines = traffic.engine_of[requests]
            ttft = first - traffic.trace.arrival_seconds[requests]
            self._add(engines, self.columns.ttft.start + np.searchsorted(TTFT_EDGES, ttft, side="left"))
            prompts = traffic.trace.prompt_tokens[requests]
            for engine in np.unique(engines).tolist():
                mine = engines == engine
                row = self._row(engine)
                row[CounterColumns.FIRST_TOKENS] += int(mine.sum())
                row[CounterColumns.PREFILLED] += int(prompts[mine].sum())

    def _add_finished(self, requests: NDArray[np.int64], last: Floats) -> None:
        if not requests.size:
            return
        traffic, columns = self._traffic, self.columns
        engines = traffic.engine_of[requests]
        prompts, generations = traffic.trace.prompt_tokens[requests], traffic.trace.generation_tokens[requests]
        first = _values(traffic.live.first_token, requests)
        several = generations > 1
        tpot = (last - first)[several] / (generations[several] - 1)
        self._add(engines, np.zeros(requests.size, dtype=np.int64) + CounterColumns.COMPLETED)
        self._add(engines, columns.prompt.start + np.searchsorted(columns.prompt_edges, prompts, side="left"))
        self._add(
            engines, columns.generation.start + np.searchsorted(columns.generation_edges, generations, side="left")
        )
        self._add(engines[several], columns.tpot.start + np.searchsorted(TPOT_EDGES, tpot, side="left"))
        for engine in np.unique(engines).tolist():
            mine = engines == engine
            row = self._row(engine)
            row[CounterColumns.PROMPT_TOKENS] += prompts[mine].sum()
            row[CounterColumns.GENERATION_TOKENS] += generations[mine].sum()
            row[CounterColumns.DECODES] += (generations[mine] - 1).sum()
            row[CounterColumns.DECODE_SECONDS] += (last - first)[mine].sum()

    def _add(self, engines: NDArray[np.int32], columns: NDArray[np.int64]) -> None:
        width = self.columns.width
        flat, counts = np.unique(engines.astype(np.int64) * width + columns, return_counts=True)
        for place, count in zip(flat.tolist(), counts.tolist(), strict=True):
            self._row(place // width)[place % width] += count

    def _row(self, engine: int) -> Floats:
        if engine not in self._counters:
            self._counters[engine] = np.zeros(self.columns.width)
        return self._counters[engine]

    def _add_state(self, engine: int, row: Floats, now: float) -> None:
        """The engine's own figures, and the part of requests that run in those of tokens."""
        live, spec = self._traffic.live, self._traffic.specs[engine]
        state = live.state(engine, at_seconds=now)
        row[CounterColumns.RUNNING] = len(state.running)
        row[CounterColumns.WAITING] = live.unfinished(engine) - len(state.running)
        row[CounterColumns.KV_USAGE] = state.blocks / spec.kv_blocks
        row[CounterColumns.STEPS], row[CounterColumns.PREEMPTIONS] = state.steps, state.preemptions
        first = live.first_token
        for request, generated in state.running:
            if generated > 1:
                row[CounterColumns.DECODES] += generated - 1
                row[CounterColumns.DECODE_SECONDS] += state.seconds - first[request]

    def _forget(self, now: float) -> None:
        """Drops samples that no window reaches any more, and series and requests of engines that have gone."""
        for engine, series in list(self._series.items()):
            while len(series.times) > 2 and series.times[1] <= now - LONGEST_WINDOW_SECONDS:
                del series.times[0], series.rows[0]
            if not series.live and series.times[-1] <= now - LONGEST_WINDOW_SECONDS:
                del self._series[engine]

    def cache_of(self, engine: int) -> tuple[int, int]:
        """Blocks of the engine's KV cache, and tokens of a block."""
        spec = self._traffic.specs[engine]
        return spec.kv_blocks, spec.block_tokens

    def lose(self, engine: int) -> list[int]:
        """The requests that an engine that ends had not finished; they are not looked for any more."""
        mine = self._traffic.engine_of[self._unfinished] == engine
        lost = self._unfinished[mine].tolist()
        self._unfinished = self._unfinished[~mine]
        self._no_first_token = self._no_first_token[self._traffic.engine_of[self._no_first_token] != engine]
        return [int(request) for request in lost]


def _values(column: list[float], requests: NDArray[np.int64]) -> Floats:
    return np.asarray([column[request] for request in requests.tolist()], dtype=np.float64)
