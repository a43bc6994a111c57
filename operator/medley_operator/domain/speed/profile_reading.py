"""From the spec of a `ModelProfile` to the factors and share that plans count on, or why it cannot be believed. Pure.

A fit is made once for equal measurements, not in every round.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from medley_operator.api.v1alpha1 import MeasuredPoint, ModelProfileSpec
from medley_operator.domain.values.catalogue import find_gpu, known_gpu_names
from medley_operator.domain.values.profile_judgement import Known, Refusal
from medley_planner.capacity import Derates, EngineKey, Speed, StepFactors, StepTime, memory_fit
from medley_planner.capacity.fit import LEAST_FACTOR, MOST_FACTOR, Fit, NoFit, fit_points
from medley_planner.capacity.plausible import beats_the_limit
from medley_planner.capacity.points import LoadPoint
from medley_planner.layout import KvFormat, Layout
from medley_planner.model import Provenance
from medley_planner.shapes import ModelShape, Precision, UnknownModel, bundled_shape

MOST_ERROR = 0.5
"""A profile that is further off than this tells less than the data sheet does (about 25 %)."""


_CONFIG = "put the content of its config.json into spec.model.configJson of an LLMService of it, or correct the name"


def read_profile(spec: ModelProfileSpec, shapes: Mapping[str, ModelShape], derates: Derates) -> Known | Refusal:
    gpu = find_gpu(spec.gpu)
    if gpu is None:
        known = ", ".join(known_gpu_names())
        return Refusal("UnknownGpu", f'spec.gpu "{spec.gpu}" is not in the catalogue; use one of {known}')
    shape = shapes.get(spec.model.casefold())
    if shape is None:
        try:
            shape = bundled_shape(spec.model, config=_CONFIG)
        except UnknownModel as unknown:
            return Refusal("UnknownModel", f"spec.{unknown}")
    layout = Layout(
        gpu,
        tensor_parallel=spec.tensor_parallel,
        precision=Precision(spec.precision.value),
        kv_format=KvFormat(spec.kv_precision.value),
        engine=spec.engine,
        engine_version=spec.engine_version,
    )
    told = _contradiction(spec, shape, layout)
    if told is not None:
        return told
    key = EngineKey(shape.name, layout)
    stated = spec.error_share
    if spec.step_factors is not None:
        return _of_factors(spec, key, shape, derates, stated)
    found = _fitted(
        tuple(point_of(point) for point in spec.points),
        shape,
        layout,
        spec.token_budget,
        spec.max_sequences,
        spec.kv_tokens,
    )
    if isinstance(found, NoFit):
        return Refusal("NoUsablePoint", f"spec.points: {found.reason}")
    error = max(found.error, stated)
    if error > MOST_ERROR:
        return _too_far_off("spec.points: the best fit", error)
    note = f"{found.used} points, mean TPOT error {found.error:.1%}"
    if found.refused:
        note += f"; {len(found.refused)} points refused, the first: {found.refused[0][1]}"
    known_speed = _speed(found.factors, error, spec, derates)
    return Known(key, known_speed, error, found.used, len(found.refused), note)


def _of_factors(
    spec: ModelProfileSpec, key: EngineKey, shape: ModelShape, derates: Derates, stated: float
) -> Known | Refusal:
    given = spec.step_factors
    if given is None:
        raise AssertionError("a profile without factors has points")
    values = given.figures
    for name, value in values.items():
        if not LEAST_FACTOR <= value <= MOST_FACTOR:
            return Refusal(
                "FactorOutOfRange",
                f"spec.stepFactors.{name} is {value:g}; give {LEAST_FACTOR:g} to {MOST_FACTOR:g}, as multiples of the "
                "data sheet's estimate",
            )
    factors = StepFactors(**values)
    step = StepTime(shape, key.layout, factors=factors).seconds(
        prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=0
    )
    too_fast = beats_the_limit(
        shape,
        key.layout,
        prompt_tokens=1,
        generation_tokens=1,
        concurrency=1,
        ttft_seconds=step,
        tpot_seconds=step,
    )
    if too_fast:
        return Refusal("BeatsPhysicalLimit", f"spec.stepFactors: with them {too_fast}; measure again")
    if stated > MOST_ERROR:
        return _too_far_off("spec.errorPercent", stated)
    note = f"factors as given, mean TPOT error {stated:.1%}" if spec.error_percent is not None else "factors as given"
    return Known(key, _speed(factors, stated, spec, derates), stated, note=note)


def _too_far_off(what: str, error: float) -> Refusal:
    message = (
        f"{what} is off by {error:.0%}, above {MOST_ERROR:.0%}: the data sheet's estimate is usually nearer; measure "
        "again, or check model, GPU, precision and engine version"
    )
    return Refusal("ErrorTooLarge", message)


def _contradiction(spec: ModelProfileSpec, shape: ModelShape, layout: Layout) -> Refusal | None:
    """What cannot be true of any engine: a degree that does not divide the model, a cache of an impossible size."""
    named = f"spec.tensorParallel {spec.tensor_parallel}, spec.precision {layout.precision}"
    fit = memory_fit(shape, layout, max_model_len=1, engine_kv_tokens=spec.kv_tokens)
    if not fit.fits:
        return Refusal("ModelDoesNotFit", f"{named}: {fit.reason}")
    if spec.kv_tokens is None:
        return None
    longest = max((one.prompt_tokens_mean + one.generation_tokens_mean for one in spec.points), default=0.0)
    if spec.kv_tokens < longest:
        return Refusal(
            "KvTokensImpossible",
            f"spec.kvTokens {spec.kv_tokens} is less than the {longest:g} tokens of a measured request; give what the "
            "engine says at its start, or leave it out",
        )
    # An FP8 cache has one byte per element; nothing else takes memory.
    bytes_per_token = shape.kv_bytes_per_token(spec.tensor_parallel, element_bytes=1.0)
    room = layout.gpus * layout.gpu.usable_gib * 2.0**30 - fit.weights_gb * 1e9
    if spec.kv_tokens * bytes_per_token > room:
        return Refusal(
            "KvTokensImpossible",
            f"spec.kvTokens {spec.kv_tokens} takes {spec.kv_tokens * bytes_per_token / 1e9:.0f} GB in FP8, but "
            f"{layout.hardware} have {max(room, 0.0) / 1e9:.0f} GB beside the weights; give what the "
            "engine says at its start, or leave it out",
        )
    return None


def _speed(factors: StepFactors, error: float, spec: ModelProfileSpec, derates: Derates) -> Speed:
    derate = derates.allowing(Provenance.MEASURED, error=error)
    return Speed(factors=factors, provenance=Provenance.MEASURED, derate=derate, kv_tokens=spec.kv_tokens)


@lru_cache(maxsize=512)
def _fitted(
    points: tuple[LoadPoint, ...],
    shape: ModelShape,
    layout: Layout,
    token_budget: int,
    max_sequences: int,
    kv_tokens: int | None,
) -> Fit | NoFit:
    return fit_points(
        points,
        shape=shape,
        layout=layout,
        token_budget=token_budget,
        max_sequences=max_sequences,
        kv_tokens=kv_tokens,
    )


def point_of(point: MeasuredPoint) -> LoadPoint:
    """A point of the API as the planner takes it."""
    return LoadPoint(
        prompt_tokens=point.prompt_tokens_mean,
        generation_tokens=point.generation_tokens_mean,
        concurrency=point.clients,
        rate_rps=point.rate_rps,
        ttft_seconds=point.ttft_seconds,
        tpot_seconds=point.tpot_seconds,
        requests=point.requests,
    )
