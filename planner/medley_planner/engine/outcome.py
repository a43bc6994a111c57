"""The result of a simulation: the latencies of each request and what each replica did. Values only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.engine.trace import Floats, Ints, Trace


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds. NaN where no request has the figure (time per output token: all generations of one token)."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Floats) -> Percentiles:
        known = values[~np.isnan(values)]
        if not known.size:
            return cls(*(float("nan"),) * 5)
        return cls(float(known.mean()), *(float(value) for value in np.percentile(known, (50, 90, 95, 99))))


@dataclass(frozen=True, slots=True)
class ReplicaUsage:
    """`busy_seconds`: time in steps. `steps`: engine steps. `preemptions`: sequences thrown out of a full KV cache."""

    group: int
    requests: int
    busy_seconds: float
    steps: int
    preemptions: int


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """Per request, in the trace's order. `tpot_seconds` is (last token - first token) / (generation - 1), NaN for a
    generation of one token. `ttft_seconds` and `e2e_seconds` include the API server's time. `replica` is the replica
    that served it, `group` that replica's group."""

    trace: Trace
    ttft_seconds: Floats
    tpot_seconds: Floats
    e2e_seconds: Floats
    replica: Ints
    group: Ints
    usage: tuple[ReplicaUsage, ...]

    @property
    def span_seconds(self) -> float:
        """From the first arrival to the last token; 0 without requests."""
        arrivals = self.trace.arrival_seconds
        return float((arrivals + self.e2e_seconds).max() - arrivals[0]) if arrivals.size else 0.0

    def ttft(self) -> Percentiles:
        return Percentiles.of(self.ttft_seconds)

    def tpot(self) -> Percentiles:
        return Percentiles.of(self.tpot_seconds)

    def e2e(self) -> Percentiles:
        return Percentiles.of(self.e2e_seconds)

    def attainment(self, *, ttft_seconds: float, tpot_seconds: float) -> float:
        """Share of requests that meet both targets; a generation of one token has only the first. NaN without any."""
        within = (self.ttft_seconds <= ttft_seconds) & ~(self.tpot_seconds > tpot_seconds)
        return float(within.mean()) if within.size else float("nan")

    def only(self, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> SimulationResult:
        """The outcome of some of its requests, such as those of one group or those after a warm-up. `usage` stays."""
        trace = self.trace
        return SimulationResult(
            trace=Trace(trace.arrival_seconds[keep], trace.prompt_tokens[keep], trace.generation_tokens[keep]),
            ttft_seconds=self.ttft_seconds[keep],
            tpot_seconds=self.tpot_seconds[keep],
            e2e_seconds=self.e2e_seconds[keep],
            replica=self.replica[keep],
            group=self.group[keep],
            usage=self.usage,
        )
