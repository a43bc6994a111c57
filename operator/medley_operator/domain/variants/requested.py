"""The variants that a service asks for: the pools and layouts that its spec names, else every layout in every pool.

Pure. What a spec can get wrong about it has passed the checks (`domain.checks`) before.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, ModelPrecision, RuntimeProfile, VariantSpec
from medley_operator.domain.engine.arguments import user_flags
from medley_operator.domain.values.candidates import PoolState
from medley_planner.capacity import ESTIMATE, EngineKey, Speed
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
    """The requested pools and layouts, and the pools that cannot be used."""

    asks: tuple[Ask, ...]
    omitted: tuple[Omitted, ...]


def precisions_of(service: LLMService, shape: ModelShape) -> tuple[Precision, ...]:
    """Those that may be chosen, the default first. `shape` is that of the service's model."""
    precision = service.spec.model.precision
    if precision is ModelPrecision.AUTO and shape.checkpoint is None:
        return (Precision.BF16, Precision.FP8)
    if precision in (ModelPrecision.CHECKPOINT, ModelPrecision.AUTO):
        return (shape.precision,)
    return (Precision(precision.value),)


def precision_refusal_of(service: LLMService, shape: ModelShape) -> str:
    """Why the checkpoint is not what `spec.model.precision` asks for, "" where it is or can be made so."""
    asked = service.spec.model.precision
    own = shape.precision
    if asked.value in (ModelPrecision.CHECKPOINT, ModelPrecision.AUTO, own.value):
        return ""
    if shape.checkpoint is None and asked is ModelPrecision.FP8:
        return ""
    has = f"the checkpoint of {shape.name} is in {shape.checkpoint.words if shape.checkpoint else own}"
    made = "; the engine makes FP8 of a BF16 checkpoint, and nothing else" if asked is not ModelPrecision.BF16 else ""
    return (
        f"spec.model.precision {asked}: {has}{made}. Set spec.model.precision to Checkpoint, or spec.model.uri to a "
        f"checkpoint in {asked}"
    )


TOKEN_BUDGETS = (2048, 512, 8192)
"""The token budgets to try where a RuntimeProfile has none, the default first: the engine's own default for online
serving, one that disturbs decoding little, and one that serves long prompts fast."""


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
) -> Engine:
    """The parts of an engine that hold for all variants of the service. Only the `speeds` of its model and engine
    version count.

    A speed whose KV cache does not hold a sequence of the service's length is of an engine that could not serve it: it
    does not count, so that a typing error in a profile does not remove a variant.
    """
    model = service.spec.model
    return Engine(
        shape=shape,
        precisions=precisions_of(service, shape),
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


def image_refusal(profile: RuntimeProfile, state: PoolState) -> str:
    """Why the profile's engine does not run on the pool's GPUs; "" where it has an image for them."""
    if state.gpu is None or state.gpu.vendor in profile.spec.by_vendor:
        return ""
    return (
        f'GPUPool "{state.pool.metadata.name}" has {state.gpu.vendor} GPUs, for which RuntimeProfile '
        f'"{profile.metadata.name}" has no image; add one to its spec.images, or name another profile'
    )


def asks_of(service: LLMService, profile: RuntimeProfile, pools: Sequence[PoolState]) -> Asks:
    """The pools of `spec.variants`, which can all be used (`checks.variants`); without any, each pool that can be."""
    by_name = {state.pool.metadata.name: state for state in pools}
    if service.spec.variants:
        wished = (
            _ask(by_name[wish.pool_ref], f"spec.variants[{index}]", wish)
            for index, wish in enumerate(service.spec.variants)
        )
        return Asks(asks=tuple(wished), omitted=())
    unusable = {name: reason for name, state in by_name.items() if (reason := _unusable(profile, state))}
    return Asks(
        asks=tuple(_ask(state, f"GPUPool {name}") for name, state in by_name.items() if name not in unusable),
        omitted=tuple(Omitted(name, name, OmittedReason.POOL_NOT_USABLE, reason) for name, reason in unusable.items()),
    )


def _unusable(profile: RuntimeProfile, state: PoolState) -> str:
    if state.refusal is not None:
        return f'GPUPool "{state.pool.metadata.name}": {state.refusal.message}'
    return image_refusal(profile, state)


def _ask(state: PoolState, field: str, wish: VariantSpec | None = None) -> Ask:
    gpu = state.gpu
    if gpu is None:
        raise AssertionError(f"{field} is asked of a GPUPool whose GPU is not in the catalogue")
    asked: list[tuple[str, Hashable]] = []
    if wish is not None:
        precision = Precision(wish.precision.value) if wish.precision is not None else None
        values = ((TENSOR_PARALLEL, wish.tensor_parallel), (PRECISION, precision), (TOKEN_BUDGET, wish.token_budget))
        asked = [(axis, value) for axis, value in values if value is not None]
    source = Source(
        pool=state.pool.metadata.name,
        gpu=gpu,
        gpus_per_node=state.pool.spec.capacity.gpus_per_node,
        cost_per_gpu_hour=state.pool.spec.gpu_cost_per_hour(),
        watts_per_gpu=state.pool.spec.own_watts_per_gpu(),
        asked=tuple(asked),
        single=wish is not None and _is_single(wish),
        name=wish.name if wish is not None else None,
        clock_percent=state.clock_percent,
    )
    return Ask(state=state, wish=wish, field=field, source=source)


def _is_single(wish: VariantSpec) -> bool:
    """Whether an entry stands for one variant: a name and replica limits belong to one."""
    return (
        wish.name is not None
        or wish.tensor_parallel is not None
        or wish.min_replicas > 0
        or wish.max_replicas is not None
    )
