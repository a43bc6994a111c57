"""The key of a table of simulated capacities: all that its figures follow from, as one value with a digest. Pure.

What calibration moves a little all the time (factors of the step time, the engine's own size of its cache) is rounded
to a coarse logarithmic grid, so that a table outlives such moves; it is made for the rounded values and holds ratios,
which hardly change between them.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace

from medley_planner.capacity.memory import KV_BLOCK_TOKENS, MemoryFit, sequence_cost
from medley_planner.capacity.speed import UNCORRECTED, Speed, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

FORMAT = 3
"""Goes up where the key, the simulator, the search, the closed form or the file change, so that older files count as
absent. Changes of the step time's constants and of the catalogue are in the digest anyway."""
COARSE = 1.025
"""Neighbouring values of the grid that factors and cache sizes are rounded to differ by this factor."""


@dataclass(frozen=True, slots=True)
class LatencyTargets:
    """`percentile` percent of requests, 50 to below 100, must meet both."""

    ttft_seconds: float
    tpot_seconds: float
    percentile: float

    @property
    def share(self) -> float:
        return self.percentile / 100.0


@dataclass(frozen=True, slots=True)
class TableGroup:
    """Tables that services compare with each other: the same model, targets and limits."""

    shape: ModelShape
    targets: LatencyTargets
    max_model_len: int
    max_sequences: int

    def __hash__(self) -> int:
        """Hash of the fields that tell most groups apart: a whole model shape takes ten times as long, and rounds hash
        thousands."""
        return hash((self.shape.name, self.targets, self.max_model_len, self.max_sequences))


@dataclass(frozen=True, slots=True)
class TableKey:
    """One replica and its targets; make it with `of`. `kv_tokens`: what its cache holds."""

    group: TableGroup
    layout: Layout
    token_budget: int
    factors: StepFactors
    kv_tokens: int

    @property
    def words(self) -> str:
        """For people: which engine it is of, but for its token budget."""
        return f"{self.group.shape.name} on {self.layout.words}"

    @classmethod
    def of(
        cls,
        group: TableGroup,
        layout: Layout,
        *,
        token_budget: int,
        speed: Speed,
        fit: MemoryFit,
    ) -> TableKey:
        """The key with factors and cache rounded. `fit` must say that the model fits."""
        parts = asdict(speed.factors)
        return cls(
            group=group,
            layout=layout,
            token_budget=token_budget,
            factors=StepFactors(**{name: _coarse(value) for name, value in parts.items()}),
            kv_tokens=_coarse_tokens(fit.kv_tokens, least=group.max_model_len),
        )

    def __hash__(self) -> int:
        """As that of its group."""
        return hash((self.group, self.layout, self.token_budget, self.kv_tokens))

    @property
    def family(self) -> TableKey:
        """The same for all speeds and cache sizes of one layout."""
        return replace(self, factors=UNCORRECTED, kv_tokens=0)

    def distance(self, other: TableKey) -> float:
        """How far two of a family are apart: the largest factor between their speeds and caches, as a logarithm."""
        mine = (*asdict(self.factors).values(), float(self.kv_tokens))
        theirs = (*asdict(other.factors).values(), float(other.kv_tokens))
        return max(_apart(a, b) for a, b in zip(mine, theirs, strict=True))

    def step(self) -> StepTime:
        return StepTime(self.group.shape, self.layout, factors=self.factors)

    def fit(self) -> MemoryFit:
        weights_gb = self.group.shape.weight_bytes(self.layout.precision) / 1e9
        longest = self.group.max_model_len
        cost = sequence_cost(self.group.shape, self.layout, longest)
        return MemoryFit(True, self.kv_tokens, weights_gb, longest, "", cost)

    def digest(self) -> str:
        """64 hexadecimal digits: equal where all that the table follows from is equal."""
        content = {"format": FORMAT, "key": asdict(self), "step": self.step().constants}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _coarse(value: float) -> float:
    if value <= 0.0:
        return 0.0
    return float(f"{COARSE ** round(math.log(value) / math.log(COARSE)):.6g}")


def _coarse_tokens(tokens: int, *, least: int) -> int:
    """Rounded down, to whole blocks, but never below what holds the longest sequence."""
    if tokens <= least:
        return tokens
    coarse = COARSE ** math.floor(math.log(tokens) / math.log(COARSE) + 1e-9)
    whole = math.ceil(least / KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS
    return min(max(int(coarse) // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS, whole), tokens)


def _apart(a: float, b: float) -> float:
    if a == b:
        return 0.0
    return abs(math.log(a / b)) if a > 0.0 and b > 0.0 else math.inf
