"""From pools, model and engine to rows: the product of all axes in each pool, less what does not fit its memory.

Pure, cached by content: the operator plans anew every few seconds, mostly from the same pools, models and sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from medley_planner.capacity import CapacityRow, TableKey, capacity_rows
from medley_planner.capacity.grid_ratios import table_of
from medley_planner.catalog import Gpu
from medley_planner.layout import UNCAPPED_PERCENT, Layout
from medley_planner.model import Bucket, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.variants.axes import AXES
from medley_planner.variants.replica import Axis, Choice, Engine, Facts, Replica

_FEWEST_LETTERS = 3
_HASH_LETTERS = 4
_LONG_HASH_LETTERS = 8
"""Letters of a pool's name, and of hashes, in names of variants that would be too long."""


@dataclass(frozen=True, slots=True)
class Source:
    """A pool, and what of it is wanted.

    `watts_per_gpu`: what one GPU draws at its limit where the pool says so; None: the board power of its type. `asked`
    are values by axis name, in pairs; an axis without one is free. `single`: exactly one row is wanted, free axes take
    the default, or the first value that fits and whose lone step keeps the TPOT target. `name` replaces the name that
    is made from the pool's. `clock_percent`: what the GPUs are held to; it is in neither names nor flags.
    """

    pool: str
    gpu: Gpu
    gpus_per_node: int
    cost_per_gpu_hour: float
    watts_per_gpu: float | None = None
    asked: tuple[tuple[str, Hashable], ...] = ()
    single: bool = False
    name: str | None = None
    clock_percent: int = UNCAPPED_PERCENT

    @property
    def limit_watts(self) -> float:
        """What one GPU draws at its limit."""
        return self.gpu.watts if self.watts_per_gpu is None else self.watts_per_gpu


@dataclass(frozen=True, slots=True)
class Row:
    """A way to run one replica in a pool: `source` is its index in what was asked. `watts` are what one replica draws
    at its limit, `capacity` is what it serves, derated. `missing`: the table of the simulator that it would rest on and
    does not; None where it does."""

    name: str
    source: int
    pool: str
    replica: Replica
    engine_flags: tuple[tuple[str, str], ...]
    cost_per_hour: float
    watts: float
    capacity: CapacityRow
    missing: TableKey | None = None

    @property
    def way(self) -> Hashable:
        """The variant without its token budget."""
        return self.source, self.replica.layout

    def variant(
        self,
        *,
        min_replicas: int = 0,
        max_replicas: int | None = None,
        current_replicas: int = 0,
        startup_seconds: float = 0.0,
        drain_seconds: float = 0.0,
    ) -> Variant:
        """The row as the planner takes it, whole from the start: nothing about it is set later."""
        return Variant(
            name=self.name,
            pool=self.pool,
            gpu=self.replica.layout.gpu.name,
            gpus_per_replica=self.replica.layout.gpus,
            cost_per_hour=self.cost_per_hour,
            capacity_rps=self.capacity.capacity_rps,
            provenance=self.capacity.provenance,
            min_replicas=min_replicas,
            max_replicas=max_replicas,
            watts=self.watts,
            startup_seconds=startup_seconds,
            drain_seconds=drain_seconds,
            current_replicas=current_replicas,
        )


@dataclass(frozen=True, slots=True)
class Generated:
    """The rows in the order of the sources, and what is not one."""

    rows: tuple[Row, ...]
    omitted: tuple[Omitted, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    replica: Replica
    engine_flags: tuple[tuple[str, str], ...]


# One entry per service that is planned; those of sizes that are past go first. 40 rows of 60 buckets take 80 KB.
@lru_cache(maxsize=512)
def generate(
    engine: Engine,
    sources: tuple[Source, ...],
    buckets: tuple[Bucket, ...],
    *,
    longest_name: int,
    axes: tuple[Axis, ...] = AXES,
) -> Generated:
    """All rows of `sources`. Names are unique within a pool, but a name that is given may equal any other."""
    picked: list[tuple[int, _Candidate]] = []
    omitted: list[Omitted] = []
    for index, source in enumerate(sources):
        found = _candidates(engine, source, longest_name=longest_name, axes=axes)
        if isinstance(found, Omitted):
            omitted.append(found)
            continue
        fitting: list[_Candidate] = []
        rest: list[Omitted] = []
        for candidate in found:
            fit = candidate.replica.fit()
            if fit.fits:
                fitting.append(candidate)
            else:
                rest.append(Omitted(candidate.name, source.pool, OmittedReason.DOES_NOT_FIT, fit.reason))
        if not fitting:
            # One answer for the whole pool: that of the most GPUs.
            omitted.append(replace(rest[-1], variant=source.name or source.pool))
            continue
        if source.single:
            fitting, rest = [_first_fast_enough(fitting, engine.tpot_seconds)], []
        omitted.extend(rest)
        picked.extend((index, candidate) for candidate in fitting)
    keys = {candidate.replica: candidate.replica.table_key(engine.table_group) for _, candidate in picked}
    capacity = _capacity(keys, engine, buckets)
    known = {table.key for table in engine.tables}
    rows = tuple(
        Row(
            name=candidate.name,
            source=index,
            pool=sources[index].pool,
            replica=candidate.replica,
            engine_flags=candidate.engine_flags,
            cost_per_hour=candidate.replica.layout.gpus * sources[index].cost_per_gpu_hour,
            watts=candidate.replica.layout.gpus * sources[index].limit_watts,
            capacity=capacity[candidate.replica],
            missing=key if (key := keys[candidate.replica]) not in known else None,
        )
        for index, candidate in picked
    )
    return Generated(rows, tuple(omitted))


def _candidates(
    engine: Engine, source: Source, *, longest_name: int, axes: tuple[Axis, ...]
) -> tuple[_Candidate, ...] | Omitted:
    facts = Facts(
        engine=engine,
        gpu=source.gpu,
        gpus_per_node=source.gpus_per_node,
        pool=source.pool,
        variant=source.name or source.pool,
    )
    asked = dict(source.asked)
    choices: list[tuple[Choice, ...]] = []
    for axis in axes:
        found = axis.choices(facts, asked.get(axis.name))
        if isinstance(found, Omitted):
            return found
        choices.append(found)
    base = Replica(
        shape=engine.shape,
        layout=Layout(
            source.gpu,
            precision=engine.precisions[0],
            engine=engine.kind,
            engine_version=engine.version,
            clock_percent=source.clock_percent,
        ),
        token_budget=engine.token_budgets[0],
        max_sequences=engine.max_sequences,
        max_model_len=engine.max_model_len,
        utilisation=engine.utilisation,
    )
    return tuple(_candidate(base, engine, source, picked, longest_name=longest_name) for picked in _product(choices))


def _product(choices: list[tuple[Choice, ...]]) -> Iterator[tuple[Choice, ...]]:
    """All combinations, each in the order of the axes; the first axis varies fastest."""
    for picked in product(*reversed(choices)):
        yield tuple(reversed(picked))


def _candidate(
    base: Replica, engine: Engine, source: Source, picked: tuple[Choice, ...], *, longest_name: int
) -> _Candidate:
    replica = base
    for choice in picked:
        replica = replica.changed(choice.changes)
    replica = replace(replica, speed=engine.speed(replica.layout))
    suffix = "".join(choice.suffix for choice in picked)
    return _Candidate(
        name=source.name or variant_name(source.pool, suffix, longest=longest_name),
        replica=replica,
        engine_flags=tuple(flag for choice in picked for flag in choice.engine_flags),
    )


def _first_fast_enough(fitting: list[_Candidate], tpot_seconds: float) -> _Candidate:
    """The first candidate that is fast enough by the spec alone, so that a variant does not change with the load."""
    fast = (candidate for candidate in fitting if candidate.replica.lone_step_seconds() <= tpot_seconds)
    return next(fast, fitting[0])


def _capacity(
    keys: Mapping[Replica, TableKey], engine: Engine, buckets: tuple[Bucket, ...]
) -> dict[Replica, CapacityRow]:
    """All at once, and once for pools of the same GPU."""
    tables = [replica.table(prefill_share=1.0 - engine.prefix_hit_rate) for replica in keys]
    rows = capacity_rows(
        tables,
        buckets,
        ttft_seconds=engine.ttft_seconds,
        tpot_seconds=engine.tpot_seconds,
        percentile=engine.percentile,
        simulated=[table_of(key, engine.tables) for key in keys.values()],
    )
    return dict(zip(keys, rows, strict=True))


def variant_name(pool: str, suffix: str, *, longest: int) -> str:
    """`pool` + `suffix`; where that is too long, the pool's name is cut and a hash of it keeps two such pools apart.

    A suffix that leaves no room for that is cut itself, with a hash of the whole name.
    """
    name = pool + suffix
    if len(name) <= longest:
        return name
    room = longest - len(suffix) - _HASH_LETTERS - 1
    if room >= _FEWEST_LETTERS:
        return f"{pool[:room].rstrip('-')}-{_hash(pool, _HASH_LETTERS)}{suffix}"
    return f"{name[: longest - _LONG_HASH_LETTERS - 1].rstrip('-')}-{_hash(name, _LONG_HASH_LETTERS)}"


def _hash(text: str, letters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
