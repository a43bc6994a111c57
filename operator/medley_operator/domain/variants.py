"""The ways to run a service: one variant for each pool that the model fits, with what one replica can serve.

Pure. Which pools: those of `spec.variants`, else all. Where none is left, the answer is why, with the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile, UnusedStatus, VariantSpec
from medley_operator.domain.catalogue import find_gpu, find_shape, known_gpu_names
from medley_operator.domain.conditions import PlanReason
from medley_operator.domain.contexts import PoolState, Rejection, VariantContext
from medley_operator.domain.targets import target_rejection
from medley_operator.domain.validate import price_problem
from medley_planner.capacity import StepTime, capacity_row, memory_fit
from medley_planner.catalog import Gpu
from medley_planner.model import Demand, Variant
from medley_planner.shapes import ModelShape, Precision
from medley_planner.units import duration_seconds

TENSOR_PARALLEL_DEGREES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Found:
    """The variants of a service, and the pools that are none, with why."""

    variants: tuple[VariantContext, ...]
    unfit: tuple[UnusedStatus, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool that a service may run on. `wish` is None where every pool is considered."""

    state: PoolState
    wish: VariantSpec | None
    field: str


@dataclass(frozen=True, slots=True)
class Engine:
    """What of service and profile decides memory fit and capacity."""

    shape: ModelShape
    precision: Precision
    max_model_len: int
    utilisation: float
    ttft_seconds: float
    tpot_seconds: float


def find_variants(
    service: LLMService, profile: RuntimeProfile, *, pools: Sequence[PoolState], demand: Demand
) -> Found | Rejection:
    """The variants of a service whose spec passed `validate`, or why there is none."""
    candidates = _candidates(service, pools)
    if isinstance(candidates, Rejection):
        return candidates
    shape = find_shape(service)
    if isinstance(shape, Rejection):
        return shape
    model = service.spec.model
    if shape.max_position is not None and model.max_model_len > shape.max_position:
        return Rejection(
            PlanReason.INVALID_SPEC,
            f"spec.model.maxModelLen {model.max_model_len} is above the {shape.max_position} positions of "
            f"{shape.name}; set it to at most {shape.max_position}",
        )
    engine = Engine(
        shape=shape,
        precision=Precision(model.precision.value),
        max_model_len=model.max_model_len,
        utilisation=profile.spec.gpu_memory_utilization_percent / 100.0,
        ttft_seconds=duration_seconds(service.spec.slo.ttft),
        tpot_seconds=duration_seconds(service.spec.slo.tpot),
    )
    variants: list[VariantContext] = []
    unfit: list[UnusedStatus] = []
    for candidate in candidates:
        built = _variant(candidate, service, profile, engine, demand)
        if isinstance(built, Rejection):
            return built
        if isinstance(built, UnusedStatus):
            unfit.append(built)
            continue
        if any(other.variant.name == built.variant.name for other in variants):
            rejection = _same_name(candidate, built.variant.name)
            if candidate.wish is not None:
                return rejection
            unfit.append(UnusedStatus(variant=built.variant.name, reason="SameName", message=rejection.message))
            continue
        variants.append(built)
    if not variants:
        return _fits_nowhere(service, engine, unfit)
    found = tuple(variants)
    return target_rejection(service, profile, engine.shape, engine.precision, found, demand) or Found(
        variants=found, unfit=tuple(unfit)
    )


def _candidates(service: LLMService, pools: Sequence[PoolState]) -> list[Candidate] | Rejection:
    present = ", ".join(state.pool.metadata.name for state in pools) or "none"
    if not service.spec.variants:
        if pools:
            return [Candidate(state=state, wish=None, field="") for state in pools]
        message = "the cluster has no GPUPool; create one for each type of GPU node (kubectl explain gpupool.spec)"
        return Rejection(PlanReason.POOL_NOT_FOUND, message)
    by_name = {state.pool.metadata.name: state for state in pools}
    candidates: list[Candidate] = []
    for index, wish in enumerate(service.spec.variants):
        field = f'spec.variants[{index}].poolRef "{wish.pool_ref}"'
        state = by_name.get(wish.pool_ref)
        if state is None:
            message = f"{field}: no such GPUPool (present: {present}); create it or name another"
            return Rejection(PlanReason.POOL_NOT_FOUND, message)
        problem = _pool_problem(state)
        if problem is not None:
            message = f"{field} names a GPUPool that cannot be used: {problem}"
            return Rejection(PlanReason.INVALID_SPEC, message)
        candidates.append(Candidate(state=state, wish=wish, field=f"spec.variants[{index}]"))
    return candidates


def _pool_problem(state: PoolState) -> str | None:
    if state.gpu is None:
        known = ", ".join(known_gpu_names())
        return f'spec.gpu "{state.pool.spec.gpu}" is not in the catalogue; use one of {known}'
    return price_problem(state.pool)


def _variant(
    candidate: Candidate, service: LLMService, profile: RuntimeProfile, engine: Engine, demand: Demand
) -> VariantContext | UnusedStatus | Rejection:
    state, wish = candidate.state, candidate.wish
    pool_name = state.pool.metadata.name
    name = (wish.name if wish is not None else None) or pool_name
    gpu = find_gpu(state.gpu) if state.gpu is not None else None
    problem = _pool_problem(state)
    if gpu is None or problem is not None:
        return UnusedStatus(variant=name, reason="PoolNotUsable", message=f'GPUPool "{pool_name}": {problem}')
    if engine.precision is Precision.FP8 and gpu.fp8_tflops is None:
        message = f"{gpu.name} has no FP8 arithmetic, which spec.model.precision FP8 asks for"
        return UnusedStatus(variant=name, reason="PrecisionNotSupported", message=message)
    degree = _degree(candidate, gpu, engine)
    if isinstance(degree, Rejection | str):
        if isinstance(degree, Rejection):
            return degree
        return UnusedStatus(variant=name, reason="DoesNotFit", message=degree)
    if (wish is None or wish.name is None) and degree > 1:
        name = f"{pool_name}-tp{degree}"
    row = capacity_row(
        engine.shape,
        gpu,
        tensor_parallel=degree,
        precision=engine.precision,
        max_model_len=engine.max_model_len,
        buckets=demand.buckets,
        ttft_seconds=engine.ttft_seconds,
        tpot_seconds=engine.tpot_seconds,
        percentile=service.spec.slo.percentile,
        token_budget=profile.spec.token_budget,
        max_sequences=profile.spec.max_sequences,
        utilisation=engine.utilisation,
    )
    variant = Variant(
        name=name,
        pool=pool_name,
        gpu=gpu.name,
        gpus_per_replica=degree,
        cost_per_hour=degree * float(state.pool.spec.cost.per_hour),
        capacity_rps=row.capacity_rps,
        provenance=row.provenance,
        min_replicas=wish.min_replicas if wish is not None else 0,
        max_replicas=_max_replicas(state, wish, degree),
    )
    return VariantContext(variant=variant, pool=state.pool)


def _degree(candidate: Candidate, gpu: Gpu, engine: Engine) -> int | str | Rejection:
    """The wished tensor-parallel degree, or the smallest that fits and is fast enough; else why none fits.

    Fast enough: a lone sequence with nothing to attend to meets the TPOT target. That follows from the spec alone, so
    that a variant does not change its degree with the load. Where none is, the smallest that fits.
    """
    per_node = candidate.state.pool.spec.capacity.gpus_per_node
    wished = candidate.wish.tensor_parallel if candidate.wish is not None else None
    if wished is not None and wished > per_node:
        return Rejection(
            PlanReason.INVALID_SPEC,
            f"{candidate.field}.tensorParallel {wished} is more than one node of GPUPool "
            f'"{candidate.state.pool.metadata.name}" has (spec.capacity.gpusPerNode {per_node}); lower it',
        )
    reason, smallest = "", None
    for degree in (wished,) if wished is not None else TENSOR_PARALLEL_DEGREES:
        if degree > per_node:
            break
        fit = memory_fit(
            engine.shape,
            gpu,
            tensor_parallel=degree,
            precision=engine.precision,
            max_model_len=engine.max_model_len,
            utilisation=engine.utilisation,
        )
        if not fit.fits:
            reason = fit.reason
            continue
        step = StepTime(engine.shape, gpu, tensor_parallel=degree, precision=engine.precision)
        lone = step.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=0)
        if lone <= engine.tpot_seconds:
            return degree
        smallest = smallest or degree
    return smallest or reason


def _max_replicas(state: PoolState, wish: VariantSpec | None, degree: int) -> int | None:
    """The wish, and what the nodes allow where that is less than the stock: a replica's GPUs sit on one node."""
    limits = [wish.max_replicas] if wish is not None and wish.max_replicas is not None else []
    by_node = state.replica_limit(degree)
    if by_node is not None and state.stock_gpus is not None and by_node < state.stock_gpus // degree:
        limits.append(by_node)
    return min(limits, default=None)


def _same_name(candidate: Candidate, name: str) -> Rejection:
    message = (
        f'{candidate.field or "GPUPool " + candidate.state.pool.metadata.name}: another variant is named "{name}" '
        "already; give it a name of its own (spec.variants[].name)"
    )
    return Rejection(PlanReason.INVALID_SPEC, message)


def _fits_nowhere(service: LLMService, engine: Engine, unfit: Sequence[UnusedStatus]) -> Rejection:
    weights_gb = engine.shape.weight_bytes(engine.precision) / 1e9
    each = "; ".join(f"{pool.variant}: {pool.message}" for pool in unfit)
    return Rejection(
        PlanReason.MODEL_FITS_NO_POOL,
        f'spec.model.uri "{service.spec.model.uri}" ({weights_gb:.0f} GB of weights in {engine.precision}) fits '
        f"no pool: {each}. Lower spec.model.maxModelLen, set spec.model.precision to FP8 on GPUs that have it, or add "
        "a GPUPool with more or larger GPUs per node",
    )
