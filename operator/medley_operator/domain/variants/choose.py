"""The variants of a service: those of each pool that the model fits, with what one replica can serve.

Pure. Pools and layouts are those of `spec.variants`, else all; what no plan needs is omitted with a reason. Where none
is left, the answer is why, with the way out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from medley_operator.api.v1alpha1 import (
    MAX_VARIANT_NAME_LENGTH,
    MAX_VARIANTS,
    LLMService,
    RuntimeProfile,
)
from medley_operator.domain.cluster.start_failures import StartFailure, runnable
from medley_operator.domain.cluster.startup import drain_seconds, startup_seconds
from medley_operator.domain.values.candidates import PoolState, VariantCandidate
from medley_operator.domain.values.catalogue import model_name
from medley_operator.domain.values.labels import layout_hash
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.recall import Recall
from medley_operator.domain.values.views import PodView
from medley_operator.domain.variants.drawn import drawn_watts, with_added_watts
from medley_operator.domain.variants.requested import (
    Ask,
    asks_of,
    chooses_token_budget,
    engine_of,
)
from medley_planner.capacity import ESTIMATE, CapacityBasis, EngineKey, GridRatios, Speed, TableGroup, TableKey
from medley_planner.check import with_capacity_factor
from medley_planner.model import Demand, RoutingMode, Service, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.shapes import ModelShape
from medley_planner.variants import Engine, Row, choose_budgets, generate, limit, prune

NO_LEADS = LeadTimes()
"""No start was measured."""


@dataclass(frozen=True, slots=True)
class OfferedVariants:
    """All variants that pools, model and profile allow, before any is pruned, and what is omitted already.

    `made` are all rows, `rows` one for each name. `clash`: a refusal where two entries of `spec.variants` that mean
    different variants have the same name; None without such entries.
    """

    engine: Engine
    asks: tuple[Ask, ...]
    made: tuple[Row, ...]
    rows: tuple[Row, ...]
    omitted: tuple[Omitted, ...]
    clash: str | None


@dataclass(frozen=True, slots=True)
class ChosenVariants:
    """The variants of a service, and those that were dropped or left out, with the reason.

    `missing_tables`: simulated capacities that would make the choice between them better, also of those left out.
    """

    variants: tuple[VariantCandidate, ...]
    omitted: tuple[Omitted, ...]
    missing_tables: tuple[TableKey, ...] = ()


def offered_variants(
    service: LLMService,
    profile: RuntimeProfile,
    shape: ModelShape,
    *,
    pools: Sequence[PoolState],
    demand: Demand,
    speeds: Mapping[EngineKey, Speed] = MappingProxyType({}),
    estimate: Speed = ESTIMATE,
    tables: Mapping[TableGroup, tuple[GridRatios, ...]] = MappingProxyType({}),
) -> OfferedVariants:
    """The variants of a service whose spec has passed the checks of its wishes (`checks.variants`).

    `speeds`: what is known beyond the data sheet; `estimate`: what holds where nothing is. `tables`: what was
    simulated; without, capacities are the closed form's.
    """
    asked = asks_of(service, profile, pools)
    engine = engine_of(service, profile, shape, speeds, estimate)
    engine = replace(engine, prefix_hit_rate=demand.prefix_hit_rate, tables=tables.get(engine.table_group, ()))
    made = generate(
        engine, tuple(ask.source for ask in asked.asks), demand.buckets, longest_name=MAX_VARIANT_NAME_LENGTH
    )
    omitted = [*asked.omitted, *made.omitted]
    rows, clash = _unique(made.rows, asked.asks, omitted)
    return OfferedVariants(
        engine=engine, asks=asked.asks, made=made.rows, rows=tuple(rows), omitted=tuple(omitted), clash=clash
    )


def choose_variants(
    service: LLMService,
    profile: RuntimeProfile,
    offered: OfferedVariants,
    *,
    demand: Demand,
    running: Mapping[str, int] = MappingProxyType({}),
    planned_as: Service | None = None,
    leads: LeadTimes = NO_LEADS,
    factors: Mapping[str, float] = MappingProxyType({}),
) -> ChosenVariants:
    """Those of `offered` that are worth planning with, once they have passed the checks.

    `running`: replicas of the last plan, by variant; these, and those of the status, are not left out. `planned_as` is
    the service as the planner will see it, but for its variants; it decides what may be left out. Absent, a variant is
    left out only where another does better pod for pod, which holds whatever is asked. `leads`: how long starts take.
    `factors`: on the capacity of each variant, for its learned margin.
    """
    maker = _VariantMaker(model_name(service), profile, leads, running, demand, drain_seconds(service, demand), factors)
    rows, asks = offered.rows, offered.asks
    whole = planned_as or Service(name="", demand=demand, variants=(), routing=RoutingMode.SERVICE)
    whole = replace(whole, variants=tuple(maker.variant(row, asks[row.source]) for row in rows))
    chosen = chooses_token_budget(profile)
    if chosen:
        whole = replace(whole, variants=_one_budget_each(whole, offered.made, rows, asks, running, service))
    kept, dropped = _pruned(whole, rows, asks, {*running, *_running(service)})
    by_name = {row.name: row for row in rows}
    return ChosenVariants(
        variants=tuple(_candidate(variant, by_name[variant.name], asks, service) for variant in kept),
        omitted=(*offered.omitted, *dropped),
        missing_tables=_missing(offered.made, {variant.name for variant in kept}, offered.engine, chosen=chosen),
    )


def _unique(rows: Sequence[Row], asks: Sequence[Ask], omitted: list[Omitted]) -> tuple[list[Row], str | None]:
    """One row for each name, and what is wrong with the first name that two wishes share: of two entries that mean the
    same variant, the one that says more about it counts."""
    taken: dict[str, Row] = {}
    clash: str | None = None
    for row in rows:
        ask = asks[row.source]
        other = taken.setdefault(row.name, row)
        if other is row:
            continue
        same = (ask.source.pool, row.replica) == (asks[other.source].source.pool, other.replica)
        if same and not (ask.source.single and asks[other.source].source.single):
            taken[row.name] = row if ask.source.single else other
            continue
        message = (
            f'{ask.field}: another variant already has the name "{row.name}"; set a different spec.variants[].name'
        )
        if ask.wish is None:
            omitted.append(Omitted(row.name, ask.source.pool, OmittedReason.SAME_NAME, message))
        else:
            clash = clash or message
    return list(taken.values()), clash


@dataclass(frozen=True, slots=True)
class _VariantMaker:
    """Makes whole variants, so that what no plan needs is judged by the figures that plans are made with."""

    model: str
    profile: RuntimeProfile
    leads: LeadTimes
    last_replicas: Mapping[str, int]
    demand: Demand
    drain_seconds: float
    factors: Mapping[str, float]

    def variant(self, row: Row, ask: Ask) -> Variant:
        gpu = row.replica.layout.gpu.name
        variant = row.variant(
            min_replicas=ask.wish.min_replicas if ask.wish is not None else 0,
            max_replicas=ask.wish.max_replicas if ask.wish is not None else None,
            current_replicas=self.last_replicas.get(row.name, 0),
            startup_seconds=startup_seconds(self.model, gpu, ask.state.pool, self.profile, self.leads),
            drain_seconds=self.drain_seconds,
        )
        variant = with_added_watts(variant, row, ask, self.demand)
        return with_capacity_factor(variant, self.factors.get(row.name, 1.0))


def _one_budget_each(
    whole: Service,
    made: Sequence[Row],
    rows: Sequence[Row],
    asks: Sequence[Ask],
    running: Collection[str],
    service: LLMService,
) -> tuple[Variant, ...]:
    """One token budget for each pool, degree and precision; running and requested variants stay beside it."""

    def is_asked_for(row: Row) -> bool:
        ask = asks[row.source]
        return ask.source.single or (ask.wish is not None and ask.wish.token_budget is not None)

    keep = {*running, *_running(service), *(row.name for row in made if is_asked_for(row))}
    rivals = keep | _same_basis(rows)
    return choose_budgets(
        replace(whole, variants=tuple(variant for variant in whole.variants if variant.name in rivals)),
        {row.name: row.way for row in rows},
        running=running,
        keep=keep,
    )


def _same_basis(rows: Sequence[Row]) -> frozenset[str]:
    """Where one token budget of a layout was simulated, those that were not do not rival it: without their own table,
    their correction of the closed form is too coarse for that."""
    simulated = {row.way for row in rows if row.capacity.basis is CapacityBasis.SIMULATED}
    return frozenset(
        row.name for row in rows if row.way not in simulated or row.capacity.basis is CapacityBasis.SIMULATED
    )


def _missing(rows: Sequence[Row], kept: Collection[str], engine: Engine, *, chosen: bool) -> tuple[TableKey, ...]:
    """The tables that are worth simulating, each once. Where the budget is chosen, every layout has one of the default,
    and only those that are planned with have the others too: else there were three times as many."""
    planned = {row.way for row in rows if row.name in kept}
    worth = (
        row for row in rows if not chosen or row.way in planned or row.replica.token_budget == engine.token_budgets[0]
    )
    return tuple(dict.fromkeys(row.missing for row in worth if row.missing is not None))


def _running(service: LLMService) -> list[str]:
    return [variant.name for variant in service.status.variants if variant.desired > 0 or variant.ready > 0]


def _pruned(
    whole: Service, rows: Sequence[Row], asks: Sequence[Ask], running: Collection[str]
) -> tuple[tuple[Variant, ...], tuple[Omitted, ...]]:
    """Drops the variants that no plan needs, and keeps at most as many as a route has backends, counting those that
    still drain."""
    keep = frozenset({*running, *(row.name for row in rows if asks[row.source].source.single)})
    leaving = len({*running} - {row.name for row in rows})
    most = max(MAX_VARIANTS - leaving, 1)

    def kept() -> tuple[tuple[Variant, ...], tuple[Omitted, ...]]:
        needed = prune(whole, keep=keep)
        few = limit(replace(whole, variants=needed.variants), most=most, keep=keep)
        return few.variants, (*needed.dropped, *few.dropped)

    return _PRUNED.get(whole.name, kept, equal=(whole, keep, most))


_PRUNED: Recall[tuple[tuple[Variant, ...], tuple[Omitted, ...]]] = Recall()


def _candidate(variant: Variant, row: Row, asks: Sequence[Ask], service: LLMService) -> VariantCandidate:
    return VariantCandidate(
        variant=variant,
        pool=asks[row.source].state.pool,
        engine_flags=row.engine_flags,
        layout=layout_hash(
            service=service.metadata.name,
            variant=variant.name,
            pool=variant.pool,
            gpus_per_replica=variant.gpus_per_replica,
            engine_flags=row.engine_flags,
            kv_format=row.replica.layout.kv_format,
        ),
        replica=row.replica,
        basis=row.capacity.basis,
        draws_watts=drawn_watts(variant, asks[row.source]),
    )


def startable(
    variants: Sequence[VariantCandidate], failures: Sequence[StartFailure], pods: Sequence[PodView], *, now: float
) -> tuple[VariantCandidate, ...]:
    """The variants, those that cannot start bounded by what runs of them. Where none is left that can, all stay as they
    are: to wait where one cannot start is better than to ask for nothing."""
    failing = {failure.variant for failure in failures if failure.holds(now)}
    if all(known.variant.name in failing for known in variants):
        return tuple(variants)
    return tuple(
        _bounded(known, runnable(known.variant.name, pods)) if known.variant.name in failing else known
        for known in variants
    )


def _bounded(known: VariantCandidate, most: int) -> VariantCandidate:
    variant = known.variant
    limit = most if variant.max_replicas is None else min(most, variant.max_replicas)
    return replace(known, variant=replace(variant, max_replicas=limit, min_replicas=min(variant.min_replicas, limit)))
