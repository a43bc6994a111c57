"""The values that axes choose from and change: how a replica is run, and what is known before anything is chosen.

Frozen values only, all hashable, so that rows are cached by content.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from medley_planner.capacity import (
    ESTIMATE,
    EngineKey,
    GridRatios,
    LatencyTargets,
    MemoryFit,
    Speed,
    StepTime,
    Table,
    TableGroup,
    TableKey,
    memory_fit,
)
from medley_planner.catalog import Gpu
from medley_planner.layout import UNCAPPED_PERCENT, EngineKind, Layout
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.shapes import ModelShape, Precision

Flags: TypeAlias = Mapping[str, str]
"""The engine's arguments by flag; "" for a flag without a value."""
Changes: TypeAlias = Mapping[str, Any]
"""Fields of `Layout`, or of the `Replica` or `RunAs` that holds it, with their values."""
_LAYOUT_FIELDS = frozenset(part.name for part in fields(Layout))


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of service and profile that hold for all variants.

    `precisions` and `token_budgets` are those that may be chosen, the default first. `utilisation`: the share of each
    GPU's memory that the engine takes. `percentile`: percent of requests that must meet both targets. `kind` and
    `version` are the engine's, `arguments` the flags that its owners start it with, beside those of the variants.
    `speeds`: what is known beyond the data sheet; entries of other models or versions do not matter. `estimate` is what
    holds where nothing is known: the data sheet, derated as configured. `tables` are those of the simulator, of this
    engine's `table_group`.
    """

    shape: ModelShape
    precisions: tuple[Precision, ...]
    token_budgets: tuple[int, ...]
    max_model_len: int
    max_sequences: int
    utilisation: float
    ttft_seconds: float
    tpot_seconds: float
    percentile: float
    kind: EngineKind = EngineKind.VLLM
    version: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    speeds: tuple[tuple[EngineKey, Speed], ...] = ()
    estimate: Speed = ESTIMATE
    prefix_hit_rate: float = 0.0
    """Share of prompt tokens that prefix caches surely save computing."""
    tables: tuple[GridRatios, ...] = ()

    @property
    def table_group(self) -> TableGroup:
        targets = LatencyTargets(self.ttft_seconds, self.tpot_seconds, self.percentile)
        return TableGroup(self.shape, targets, self.max_model_len, self.max_sequences)

    def speed(self, layout: Layout) -> Speed:
        """The known speed of the model in this layout; the data sheet where nothing is known.

        GPUs at a lower clock that nobody measured have the factors of uncapped ones: what a cap does is in the step.
        """
        found = self._known(layout)
        if found is None and layout.clock_percent < UNCAPPED_PERCENT:
            found = self._known(replace(layout, clock_percent=UNCAPPED_PERCENT))
        return found or self.estimate

    def _known(self, layout: Layout) -> Speed | None:
        key = EngineKey(self.shape.name, layout)
        return next((speed for known, speed in self.speeds if known == key), None)


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that an axis may use: the model and engine, and the GPU and the size of the nodes of one pool.

    `variant` is what the pool's variants are called together: the requested name, else the pool's.
    """

    engine: Engine
    gpu: Gpu
    gpus_per_node: int
    pool: str
    variant: str

    def omitted(self, reason: OmittedReason, message: str) -> Omitted:
        """Why an axis has nothing to choose in this pool."""
        return Omitted(self.variant, self.pool, reason, message)


@dataclass(frozen=True, slots=True)
class Replica:
    """How one replica is run: all that its memory fit and its capacity follow from."""

    shape: ModelShape
    layout: Layout
    token_budget: int
    max_sequences: int
    max_model_len: int
    utilisation: float
    speed: Speed = ESTIMATE

    def changed(self, changes: Changes) -> Replica:
        """A copy with its own or its layout's fields replaced."""
        return replace(self, **_own(changes), layout=_laid_out(self.layout, changes))

    def fit(self) -> MemoryFit:
        return memory_fit(
            self.shape,
            self.layout,
            max_model_len=self.max_model_len,
            utilisation=self.utilisation,
            engine_kv_tokens=self.speed.kv_tokens,
            token_budget=self.token_budget,
        )

    def step(self) -> StepTime:
        return StepTime(self.shape, self.layout, factors=self.speed.factors)

    def table(self, *, prefill_share: float = 1.0) -> Table:
        """The request for its capacities."""
        return Table(
            step=self.step(),
            fit=self.fit(),
            token_budget=self.token_budget,
            max_sequences=self.max_sequences,
            speed=self.speed,
            prefill_share=prefill_share,
        )

    def table_key(self, group: TableGroup) -> TableKey:
        """The key of its table of simulated capacities. It must fit."""
        return TableKey.of(group, self.layout, token_budget=self.token_budget, speed=self.speed, fit=self.fit())

    def lone_step_seconds(self) -> float:
        """A step of one sequence with nothing to attend to: no output token ever takes less."""
        return self.step().seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=0)


@dataclass(frozen=True, slots=True)
class RunAs:
    """How an engine that runs was started, as far as variants differ in it. `token_budget`: None where no flag says."""

    layout: Layout
    token_budget: int | None = None

    def changed(self, changes: Changes) -> RunAs:
        """A copy with its own or its layout's fields replaced."""
        return replace(self, **_own(changes), layout=_laid_out(self.layout, changes))


def _own(changes: Changes) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if name not in _LAYOUT_FIELDS}


def _laid_out(layout: Layout, changes: Changes) -> Layout:
    return replace(layout, **{name: value for name, value in changes.items() if name in _LAYOUT_FIELDS})


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an axis.

    `suffix` goes behind the pool's name, "" for the default; `engine_flags` are what the engine is started with, as
    (flag, value).
    """

    value: Hashable
    suffix: str
    changes: Changes
    engine_flags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A way in which variants differ: how it is chosen, and how it is read back from an engine.

    `choices` takes the facts and the requested value (None: any), the default first. `read` is the reverse: it takes
    the flags of an engine that runs, and gives what a choice would have changed, also where a default is meant; None
    where they say what no choice means. `engine_flags` names every flag that a choice may set, by engine: no one else
    may set them.
    """

    name: str
    choices: Callable[[Facts, Hashable | None], tuple[Choice, ...] | Omitted]
    read: Callable[[EngineKind, Flags], Changes | None]
    engine_flags: tuple[tuple[EngineKind, str], ...]
