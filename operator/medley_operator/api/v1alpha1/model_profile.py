"""`ModelProfile`: what was measured of one way to run one model, as factors on the step time or as loads.

Written by `medley profile` or by hand. Numbers with a fraction are decimal strings, as everywhere in this API.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import DECIMAL, Duration, Rate, Timestamp, written_as
from medley_planner.layout import EngineKind
from medley_planner.units import duration_seconds

MAX_POINTS = 64

ModelName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$",
        min_length=1,
        max_length=193,
    ),
]
Factor = Annotated[str, Field(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6})?$", max_length=11), written_as(DECIMAL)]
Tokens = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,3})?$", max_length=11), written_as(DECIMAL)]
Percent = Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})?$", max_length=7), written_as(DECIMAL)]


class MeasuredPrecision(StrEnum):
    BF16 = "BF16"
    FP8 = "FP8"
    FP4 = "FP4"
    INT4 = "INT4"


class KvPrecision(StrEnum):
    BF16 = "BF16"
    FP8 = "FP8"


class ProfileSource(ApiModel):
    """Where the figures come from, for people."""

    tool: str = Field("", max_length=63, description='What measured them, such as "medley profile" or "vllm-bench".')
    note: str = Field("", max_length=512, description="Anything worth knowing: flags, driver, dataset.")


class StepFactorsSpec(ApiModel):
    """What the parts of an estimated step time are multiplied by; 1 is the data sheet. From 0.05 to 20."""

    fixed: Factor = Field("1", description="What a step takes whatever is in it: launch, reading the weights.")
    compute: Factor = Field("1", description="What each token takes: matrix products, prefill attention, links.")
    sequence: Factor = Field("1", description="What each decoding sequence takes.")
    kv: Factor = Field("1", description="What each cached token that is read takes.")

    @property
    def figures(self) -> dict[str, float]:
        """The factors by the names of their fields."""
        return {name: float(text) for name, text in self}


class MeasuredPoint(ApiModel):
    """One load on one replica, and the mean latency of its requests."""

    prompt_tokens: Tokens = Field(description="Mean prompt tokens of a request.")
    generation_tokens: Tokens = Field(description="Mean generated tokens of a request.")
    concurrency: Tokens | None = Field(None, description="Clients, each with one request under way at all times.")
    requests_per_second: Rate | None = Field(None, description="Poisson arrivals, instead of concurrency.")
    ttft: Duration | None = Field(None, description="Mean time to first token.")
    tpot: Duration | None = Field(None, description="Mean time per further output token.")
    requests: int = Field(1, ge=0, le=100000000, description="Requests that were measured.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="has(self.concurrency) != has(self.requestsPerSecond)",
            message="give either concurrency (clients) or requestsPerSecond (arrivals)",
            holds=lambda self: (self.concurrency is None) != (self.requests_per_second is None),
        ),
        CelRule(
            cel="has(self.ttft) || has(self.tpot)",
            message="give tpot, ttft or both",
            holds=lambda self: self.ttft is not None or self.tpot is not None,
        ),
    )

    @property
    def prompt_tokens_mean(self) -> float:
        return float(self.prompt_tokens)

    @property
    def generation_tokens_mean(self) -> float:
        return float(self.generation_tokens)

    @property
    def clients(self) -> float | None:
        return None if self.concurrency is None else float(self.concurrency)

    @property
    def rate_rps(self) -> float | None:
        return None if self.requests_per_second is None else float(self.requests_per_second)

    @property
    def ttft_seconds(self) -> float | None:
        return None if self.ttft is None else duration_seconds(self.ttft)

    @property
    def tpot_seconds(self) -> float | None:
        return None if self.tpot is None else duration_seconds(self.tpot)


class ModelProfileSpec(ApiModel):
    """What was measured, and of which engine. It counts for services that run this model so, with this version."""

    model: ModelName = Field(description="Model as in spec.model.uri of LLMService, without hf://.")
    gpu: str = Field(min_length=1, max_length=63, description="GPU type as in Medley's catalogue, such as H100.")
    tensor_parallel: int = Field(1, ge=1, le=64, description="Tensor parallel degree of one replica.")
    precision: MeasuredPrecision = Field(MeasuredPrecision.BF16, description="Number format of the weights.")
    kv_precision: KvPrecision = Field(
        KvPrecision.BF16, description="Number format of the KV cache: FP8 where --kv-cache-dtype of the engine is fp8."
    )
    engine: EngineKind = Field(EngineKind.VLLM, description="Inference server that was measured.")
    engine_version: str = Field(
        pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$",
        max_length=16,
        description="Its version, as spec.version of RuntimeProfile has it.",
    )
    step_factors: StepFactorsSpec | None = Field(None, description="Factors that were fitted already.")
    points: list[MeasuredPoint] = Field(
        default_factory=list,
        max_length=MAX_POINTS,
        description="Measured loads, instead of stepFactors; the operator fits the factors to them.",
    )
    token_budget: int = Field(
        8192, ge=256, le=131072, description="--max-num-batched-tokens of the engine that was measured; for points."
    )
    max_sequences: int = Field(
        1024, ge=1, le=4096, description="--max-num-seqs of the engine that was measured; for points."
    )
    kv_tokens: int | None = Field(
        None, ge=1, le=1000000000, description="Tokens that the engine says its KV cache holds."
    )
    error_percent: Percent | None = Field(
        None,
        description="Mean error of TPOT of what was measured against the factors; more lowers what plans count on.",
    )
    measured_at: Timestamp | None = Field(
        None, description='When, in UTC ("2026-11-27T13:00:00Z"); of several profiles of one engine the newest counts.'
    )
    source: ProfileSource = Field(default_factory=ProfileSource)

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="has(self.stepFactors) != (has(self.points) && self.points.size() > 0)",
            message="give either stepFactors or points",
            holds=lambda self: (self.step_factors is not None) != bool(self.points),
        ),
    )

    @property
    def error_share(self) -> float:
        """0 where no error is given."""
        return 0.0 if self.error_percent is None else float(self.error_percent) / 100.0
