"""From the spec of a `ModelProfile` to the factors and share that plans count on, or why it cannot be believed. Pure.

A fit is made once for equal measurements, not in every round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from medley_operator.api.v1alpha1 import MeasuredPoint, ModelProfileSpec
from medley_operator.domain.values.catalogue import find_gpu, unknown_gpu
from medley_operator.domain.values.profile_judgement import Known
from medley_planner.capacity import Derates, EngineKey, Speed, StepFactors, StepTime, memory_fit
from medley_planner.capacity.fit import LEAST_FACTOR, MOST_FACTOR, Fit, NoFit, fit_points
from medley_planner.capacity.memory import MemoryFit
from medley_planner.capacity.plausible import beats_the_limit
from medley_planner.capacity.points import LoadPoint
from medley_planner.capacity.speed import PARTS
from medley_planner.catalog import Catalogue, Gpu
from medley_planner.layout import KvFormat, Layout
from medley_planner.model import Provenance
from medley_planner.refusal import Refusal, first_refusal
from medley_planner.shapes import ModelShape, Precision, UnknownModel, bundled_shape

MOST_ERROR = 0.5
"""A profile with a larger error is worse than the data sheet (about 25 %)."""


_CONFIG = (
    "put the content of its config.json into spec.model.configJson of an LLMService with this model, or correct the "
    "name"
)


@dataclass(frozen=True, eq=False)
class ProfileInput:
    """The input of the checks of a profile. `shapes`: those of models that services run, by name in lower case.

    What is worked out on the way is worked out once; each fact says which checks must have passed before.
    """

    spec: ModelProfileSpec
    shapes: Mapping[str, ModelShape]
    catalogue: Catalogue

    @cached_property
    def gpu(self) -> Gpu | None:
        return find_gpu(self.spec.gpu, self.catalogue)

    @cached_property
    def found_shape(self) -> ModelShape | Refusal:
        known = self.shapes.get(self.spec.model.casefold())
        if known is not None:
            return known
        try:
            return bundled_shape(self.spec.model, config=_CONFIG)
        except UnknownModel as unknown:
            return Refusal("UnknownModel", f"spec.{unknown}")

    @cached_property
    def key(self) -> EngineKey:
        """The engine that was measured, once GPU and model are known."""
        if self.gpu is None:
            raise AssertionError(f"{self.spec.gpu} is checked though it is not in the catalogue")
        layout = Layout(
            self.gpu,
            tensor_parallel=self.spec.tensor_parallel,
            precision=Precision(self.spec.precision.value),
            kv_format=KvFormat(self.spec.kv_precision.value),
            engine=self.spec.engine,
            engine_version=self.spec.engine_version,
        )
        return EngineKey(self.shape.name, layout)

    @property
    def shape(self) -> ModelShape:
        """Once `model_is_known` has passed."""
        if isinstance(self.found_shape, Refusal):
            raise AssertionError(f"{self.spec.model} is checked though it is not known")
        return self.found_shape

    @property
    def memory(self) -> MemoryFit:
        return memory_fit(self.shape, self.key.layout, max_model_len=1, engine_kv_tokens=self.spec.kv_tokens)

    @property
    def factors(self) -> StepFactors | None:
        """As given; None where points are."""
        given = self.spec.step_factors
        return None if given is None else StepFactors(**given.figures)

    @property
    def fit(self) -> Fit | NoFit | None:
        """Fit of the points; None where the spec has factors."""
        spec = self.spec
        if spec.step_factors is not None:
            return None
        points = tuple(point_of(point) for point in spec.points)
        return _fitted(points, self.shape, self.key.layout, spec.token_budget, spec.max_sequences, spec.kv_tokens)

    @property
    def stated_error(self) -> float:
        """As a share; 0 where none is given."""
        return self.spec.error_share


def gpu_is_known(given: ProfileInput) -> Refusal | None:
    """Factors are multiples of the data sheet's estimate, so the GPU has one."""
    return None if given.gpu is not None else unknown_gpu("spec.gpu", given.spec.gpu, given.catalogue)


def model_is_known(given: ProfileInput) -> Refusal | None:
    """The model's shape is in the catalogue, or a service that runs it gives its config.json."""
    return given.found_shape if isinstance(given.found_shape, Refusal) else None


def model_fits_its_gpus(given: ProfileInput) -> Refusal | None:
    """The degree divides the model, and its GPUs hold it."""
    if given.memory.fits:
        return None
    named = f"spec.tensorParallel {given.spec.tensor_parallel}, spec.precision {given.key.layout.precision}"
    return Refusal("ModelDoesNotFit", f"{named}: {given.memory.reason}")


def cache_holds_what_was_measured(given: ProfileInput) -> Refusal | None:
    """A request that was measured was in the KV cache as a whole."""
    spec = given.spec
    longest = max((one.prompt_tokens_mean + one.generation_tokens_mean for one in spec.points), default=0.0)
    if spec.kv_tokens is None or spec.kv_tokens >= longest:
        return None
    return Refusal(
        "KvTokensImpossible",
        f"spec.kvTokens {spec.kv_tokens} is less than the {longest:g} tokens of a measured request; use the figure "
        "from the engine's start log, or leave it out",
    )


def cache_fits_beside_the_weights(given: ProfileInput) -> Refusal | None:
    """No engine has a larger KV cache than its GPUs have room for. An FP8 cache takes least: one byte per element."""
    spec, layout = given.spec, given.key.layout
    if spec.kv_tokens is None:
        return None
    needed = spec.kv_tokens * given.shape.kv_bytes_per_token(spec.tensor_parallel, element_bytes=1.0)
    room = layout.gpus * layout.gpu.usable_gib * 2.0**30 - given.memory.weights_gb * 1e9
    if needed <= room:
        return None
    return Refusal(
        "KvTokensImpossible",
        f"spec.kvTokens {spec.kv_tokens} takes {needed / 1e9:.0f} GB in FP8, but {layout.hardware} have "
        f"{max(room, 0.0) / 1e9:.0f} GB beside the weights; use the figure from the engine's start log, or leave it "
        "out",
    )


def factors_are_in_range(given: ProfileInput) -> Refusal | None:
    """Factors beyond these are typing errors, not engines."""
    for name in PARTS if given.factors is not None else ():
        value = getattr(given.factors, name)
        if not LEAST_FACTOR <= value <= MOST_FACTOR:
            return Refusal(
                "FactorOutOfRange",
                f"spec.stepFactors.{name} is {value:g}; give {LEAST_FACTOR:g} to {MOST_FACTOR:g}, as multiples of the "
                "data sheet's estimate",
            )
    return None


def factors_keep_physical_limits(given: ProfileInput) -> Refusal | None:
    """No engine reads memory or computes faster than its GPUs can."""
    if given.factors is None:
        return None
    step = StepTime(given.shape, given.key.layout, factors=given.factors).seconds(
        prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=0
    )
    too_fast = beats_the_limit(
        given.shape,
        given.key.layout,
        prompt_tokens=1,
        generation_tokens=1,
        concurrency=1,
        ttft_seconds=step,
        tpot_seconds=step,
    )
    if not too_fast:
        return None
    return Refusal("BeatsPhysicalLimit", f"spec.stepFactors are impossible: {too_fast}; measure again")


def points_can_be_fitted(given: ProfileInput) -> Refusal | None:
    """At least one measured point says something of the step time."""
    return Refusal("NoUsablePoint", f"spec.points: {given.fit.reason}") if isinstance(given.fit, NoFit) else None


def error_is_small_enough(given: ProfileInput) -> Refusal | None:
    """A profile with an error above `MOST_ERROR` is worse than the data sheet."""
    what, error = "spec.errorPercent", given.stated_error
    if isinstance(given.fit, Fit):
        what, error = "spec.points: the best fit", max(given.fit.error, error)
    if error <= MOST_ERROR:
        return None
    return Refusal(
        "ErrorTooLarge",
        f"{what} has an error of {error:.0%}, above {MOST_ERROR:.0%}; the data sheet's estimate is usually closer; "
        "measure again, or check model, GPU, precision and engine version",
    )


MODEL_PROFILE_CHECKS: tuple[Callable[[ProfileInput], Refusal | None], ...] = (
    gpu_is_known,
    model_is_known,
    model_fits_its_gpus,
    cache_holds_what_was_measured,
    cache_fits_beside_the_weights,
    factors_are_in_range,
    factors_keep_physical_limits,
    points_can_be_fitted,
    error_is_small_enough,
)
"""Checks that a ModelProfile must pass to be used, in this order."""


def read_profile(
    spec: ModelProfileSpec, shapes: Mapping[str, ModelShape], derates: Derates, catalogue: Catalogue
) -> Known | Refusal:
    """The factors and share that plans count on, or why the profile is not believed."""
    given = ProfileInput(spec, shapes, catalogue)
    refusal = first_refusal(MODEL_PROFILE_CHECKS, given)
    if refusal is not None:
        return refusal
    stated = given.stated_error
    if given.factors is not None:
        said = f"factors as given, mean TPOT error {stated:.1%}"
        note = said if spec.error_percent is not None else "factors as given"
        return Known(given.key, _speed(given.factors, stated, spec, derates), stated, note=note)
    fit = given.fit
    if not isinstance(fit, Fit):
        raise AssertionError("a profile without factors has points that were fitted")
    error = max(fit.error, stated)
    note = f"{fit.used} points, mean TPOT error {fit.error:.1%}"
    if fit.refused:
        note += f"; {len(fit.refused)} points refused, the first: {fit.refused[0][1]}"
    return Known(given.key, _speed(fit.factors, error, spec, derates), error, fit.used, len(fit.refused), note)


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
