"""The prediction of a load against its measurement, and whether that is good enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.vllm.replay import Means

BOUND = 0.15
SPREADS = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One load, sent several times alike, and what one way of predicting said of each time. `judged`: has a bound."""

    load: str
    source: str
    judged: bool
    measured: tuple[Means, ...]
    predicted: tuple[Means, ...]

    @property
    def tpot(self) -> Comparison:
        return Comparison.of([means.tpot for means in self.measured], [means.tpot for means in self.predicted])

    @property
    def ttft(self) -> Comparison:
        return Comparison.of([means.ttft for means in self.measured], [means.ttft for means in self.predicted])

    @property
    def holds(self) -> bool:
        """Only the time per token is bound: the first token's hangs on queues, which noise on the machine makes."""
        return abs(self.tpot.error) <= self.tpot.bound


@dataclass(frozen=True, slots=True)
class Comparison:
    """`measured`, `predicted`: means over the repeats, seconds. `spread`: largest less smallest repeat, over the mean.
    `error`: predicted over measured, less 1."""

    measured: float
    predicted: float
    spread: float

    @classmethod
    def of(cls, measured: Sequence[float], predicted: Sequence[float]) -> Comparison:
        mean = sum(measured) / len(measured)
        return cls(mean, sum(predicted) / len(predicted), (max(measured) - min(measured)) / mean)

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1.0

    @property
    def bound(self) -> float:
        return max(BOUND, SPREADS * self.spread)

    def document(self) -> Mapping[str, float]:
        return {
            "measured_seconds": self.measured,
            "predicted_seconds": self.predicted,
            "error": self.error,
            "spread": self.spread,
            "bound": self.bound,
        }


def document(check: Check) -> Mapping[str, Any]:
    return {
        "load": check.load,
        "source": check.source,
        "repeats": len(check.measured),
        "tpot": check.tpot.document(),
        "ttft": {key: value for key, value in check.ttft.document().items() if key != "bound"},
        "holds": check.holds if check.judged else None,
    }
