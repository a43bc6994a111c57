"""What a service asks of the planner's variants: the pools and ways that its spec names, else every pool in every way.

Pure. Everything that a spec can get wrong about it is told here, with field, value and way out.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, ModelPrecision, RuntimeProfile, VariantSpec
from medley_operator.domain.checks.spec import price_problem
from medley_operator.domain.engine.arguments import user_flags
from medley_operator.domain.values.candidates import PoolState, Rejection
from medley_operator.domain.values.catalogue import find_gpu, known_gpu_names
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.capacity import ESTIMATE, EngineKey, Speed
from medley_planner.catalog import Gpu
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.shapes import ModelShape, Precision
from medley_planner.variants import PRECISION, TENSOR_PARALLEL, TOKEN_BUDGET, Engine, Source


@dataclass(frozen=True, slots=True)
class Ask:
    """A pool that a service may run on. `wish` is None where every pool is considered."""

    state: PoolState
    wish: VariantSpec | None
    field: str
    source: Source


@dataclass(frozen=True, slots=True)
class Asks:
    """What is asked for, and the pools that cannot be used."""

    asks: tuple[Ask, ...]
    omitted: tuple[Omitted, ...]


def precisions_of(service: LLMService) -> tuple[Precision, ...]:
    """Those that may be chosen, the default first."""
    precision = service.spec.model.precision
    if precision is ModelPrecision.AUTO:
        return (Precision.BF16, Precision.FP8)
    return (Precision(precision.value),)


TOKEN_BUDGETS = (2048, 512, 8192)
"""What is tried where a RuntimeProfile says nothing, the default first: the engine's own default for online serving,
one that disturbs decoding little, and one that serves long prompts fast."""


def chooses_token_budget(profile: RuntimeProfile) -> bool:
    """Whether the token budget is left to Medley: one of `TOKEN_BUDGETS` for each pool, degree and precision."""
    return profile.spec.token_budget is None and not profile.spec.token_budgets


def token_budgets_of(profile: RuntimeProfile) -> tuple[int, ...]:
    """Those that may be chosen, the default first: `tokenBudget` where it is among them, else the first.

    The engine refuses fewer tokens than sequences in one step, so Medley tries none that are.
    """
    if chooses_token_budget(profile):
        return tuple(budget for budget in TOKEN_BUDGETS if budget >= profile.spec.max_sequences)
    default = profile.spec.token_budget or TOKEN_BUDGETS[0]
    budgets = dict.fromkeys(profile.spec.token_budgets or [default])
    return (*([default] if default in budgets else []), *(budget for budget in budgets if budget != default))


def engine_of(
    service: LLMService,
    profile: RuntimeProfile,
    shape: ModelShape,
    speeds: Mapping[EngineKey, Speed],
    estimate: Speed = ESTIMATE,
) -> Engine | Rejection:
    """What holds for all variants of the service. Of `speeds` those of its model and engine version count.

    One whose KV cache holds no sequence of the service's length is of an engine that could not serve it: it does not
    count, so that a typing error in a profile takes no variant away.
    """
    model = service.spec.model
    if shape.max_position is not None and model.max_model_len > shape.max_position:
        return Rejection(
            PlanReason.INVALID_SPEC,
            f"spec.model.maxModelLen {model.max_model_len} is above the {shape.max_position} positions of "
            f"{shape.name}; set it to at most {shape.max_position}",
        )
    return Engine(
        shape=shape,
        precisions=precisions_of(service),
        token_budgets=token_budgets_of(profile),
        max_model_len=model.max_model_len,
        max_sequences=profile.spec.max_sequences,
        utilisation=profile.spec.gpu_memory_utilization_percent / 100.0,
        ttft_seconds=service.spec.slo.ttft_seconds,
        tpot_seconds=service.spec.slo.tpot_seconds,
        percentile=service.spec.slo.percentile,
        kind=profile.spec.engine,
        version=profile.spec.version,
        arguments=tuple(sorted(user_flags(service, profile).items())),
        speeds=tuple(
            (key, speed)
            for key, speed in speeds.items()
            if (key.model, key.layout.engine, key.layout.engine_version)
            == (shape.name, profile.spec.engine, profile.spec.version)
            and (speed.kv_tokens is None or speed.kv_tokens >= model.max_model_len)
        ),
        estimate=estimate,
    )


def asks_of(service: LLMService, profile: RuntimeProfile, pools: Sequence[PoolState]) -> Asks | Rejection:
    """The pools of `spec.variants`, all of which must be usable; without any, each pool that is."""
    if service.spec.variants:
        return _wished(service, profile, pools)
    if not pools:
        message = "the cluster has no GPUPool; create one for each type of GPU node (kubectl explain gpupool.spec)"
        return Rejection(PlanReason.POOL_NOT_FOUND, message)
    asks: list[Ask] = []
    omitted: list[Omitted] = []
    for state in pools:
        name = state.pool.metadata.name
        gpu = _usable(state)
        if isinstance(gpu, str):
            omitted.append(Omitted(name, name, OmittedReason.POOL_NOT_USABLE, f'GPUPool "{name}": {gpu}'))
        else:
            asks.append(Ask(state=state, wish=None, field=f"GPUPool {name}", source=_source(state, gpu)))
    return Asks(asks=tuple(asks), omitted=tuple(omitted))


def _wished(service: LLMService, profile: RuntimeProfile, pools: Sequence[PoolState]) -> Asks | Rejection:
    present = ", ".join(state.pool.metadata.name for state in pools) or "none"
    by_name = {state.pool.metadata.name: state for state in pools}
    asks: list[Ask] = []
    for index, wish in enumerate(service.spec.variants):
        field = f"spec.variants[{index}]"
        named = f'{field}.poolRef "{wish.pool_ref}"'
        state = by_name.get(wish.pool_ref)
        if state is None:
            message = f"{named}: no such GPUPool (present: {present}); create it or name another"
            return Rejection(PlanReason.POOL_NOT_FOUND, message)
        gpu = _usable(state)
        problem = f"{named} names a GPUPool that cannot be used: {gpu}" if isinstance(gpu, str) else None
        problem = problem or _beyond(wish, field, state, service, profile)
        if problem is not None or isinstance(gpu, str):
            return Rejection(PlanReason.INVALID_SPEC, problem or "")
        asks.append(Ask(state=state, wish=wish, field=field, source=_source(state, gpu, wish)))
    return Asks(asks=tuple(asks), omitted=())


def _usable(state: PoolState) -> Gpu | str:
    """The pool's GPU, or why the pool cannot be used."""
    gpu = find_gpu(state.gpu) if state.gpu is not None else None
    if gpu is None:
        known = ", ".join(known_gpu_names())
        return f'spec.gpu "{state.pool.spec.gpu}" is not in the catalogue; use one of {known}'
    return price_problem(state.pool) or gpu


def _beyond(
    wish: VariantSpec, field: str, state: PoolState, service: LLMService, profile: RuntimeProfile
) -> str | None:
    """Why a wish is none that pool, model and profile allow."""
    per_node = state.pool.spec.capacity.gpus_per_node
    if wish.tensor_parallel is not None and wish.tensor_parallel > per_node:
        return (
            f"{field}.tensorParallel {wish.tensor_parallel} is more than one node of GPUPool "
            f'"{state.pool.metadata.name}" has (spec.capacity.gpusPerNode {per_node}); lower it'
        )
    precision = service.spec.model.precision
    if wish.precision is not None and wish.precision.value not in precisions_of(service):
        return (
            f"{field}.precision {wish.precision} is not what spec.model.precision {precision} allows; remove it, or "
            "set spec.model.precision to Auto"
        )
    budgets = token_budgets_of(profile)
    if wish.token_budget is not None and wish.token_budget not in budgets:
        return (
            f'{field}.tokenBudget {wish.token_budget} is not offered by RuntimeProfile "{profile.metadata.name}" '
            f"({', '.join(map(str, budgets))}); take one of them, or ask for it in the profile's spec.tokenBudgets"
        )
    return None


def _source(state: PoolState, gpu: Gpu, wish: VariantSpec | None = None) -> Source:
    asked: list[tuple[str, Hashable]] = []
    if wish is not None:
        precision = Precision(wish.precision.value) if wish.precision is not None else None
        values = ((TENSOR_PARALLEL, wish.tensor_parallel), (PRECISION, precision), (TOKEN_BUDGET, wish.token_budget))
        asked = [(axis, value) for axis, value in values if value is not None]
    return Source(
        pool=state.pool.metadata.name,
        gpu=gpu,
        gpus_per_node=state.pool.spec.capacity.gpus_per_node,
        cost_per_gpu_hour=state.pool.spec.gpu_cost_per_hour(),
        watts_per_gpu=state.pool.spec.own_watts_per_gpu(),
        asked=tuple(asked),
        single=wish is not None and _is_single(wish),
        name=wish.name if wish is not None else None,
    )


def _is_single(wish: VariantSpec) -> bool:
    """Whether an entry stands for one variant: a name and replica limits belong to one."""
    return (
        wish.name is not None
        or wish.tensor_parallel is not None
        or wish.min_replicas > 0
        or wish.max_replicas is not None
    )


def same_name(ask: Ask, name: str) -> Rejection:
    message = (
        f'{ask.field}: another variant is named "{name}" already; give it a name of its own (spec.variants[].name)'
    )
    return Rejection(PlanReason.INVALID_SPEC, message)


def fits_nowhere(service: LLMService, engine: Engine, omitted: Sequence[Omitted]) -> Rejection:
    smallest = min(engine.precisions, key=engine.shape.weight_bytes)
    weights_gb = engine.shape.weight_bytes(smallest) / 1e9
    each = "; ".join(f"{pool.variant}: {pool.message}" for pool in omitted)
    return Rejection(
        PlanReason.MODEL_FITS_NO_POOL,
        f'spec.model.uri "{service.spec.model.uri}" ({weights_gb:.0f} GB of weights in {smallest}) fits no pool: '
        f"{each}. Lower spec.model.maxModelLen, set spec.model.precision to FP8 or Auto on GPUs that have FP8, or add "
        "a GPUPool with more or larger GPUs per node",
    )
