"""`ModelProfile`: measurements of one layout of one model, as factors on the step time or as loads.

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
    """Origin of the figures, for human readers."""

    tool: str = Field(
        "", max_length=63, description='Tool that measured them, such as "medley profile" or "vllm-bench".'
    )
    note: str = Field("", max_length=512, description="Notes: flags, driver, dataset.")


class StepFactorsSpec(ApiModel):
    """Factors on the parts of the estimated step time, from 0.05 to 20; 1 is the data sheet."""

    fixed: Factor = Field("1", description="Factor on the fixed time of a step: launch, reading the weights.")
    compute: Factor = Field(
        "1", description="Factor on the time per token: matrix products, prefill attention, links between GPUs."
    )
    sequence: Factor = Field("1", description="Factor on the time per decoding sequence.")
    kv: Factor = Field("1", description="Factor on the time per cached token that is read.")

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
    requests: int = Field(1, ge=0, le=100000000, description="Number of measured requests.")

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
    """Measurements of one engine. They apply to services that run this model with the same layout and version."""

    model: ModelName = Field(description="Model as in spec.model.uri of LLMService, without hf://.")
    gpu: str = Field(min_length=1, max_length=63, description="GPU type as in Medley's catalogue, such as H100.")
    tensor_parallel: int = Field(1, ge=1, le=64, description="Tensor parallel degree of one replica.")
    precision: MeasuredPrecision = Field(MeasuredPrecision.BF16, description="Number format of the weights.")
    kv_precision: KvPrecision = Field(
        KvPrecision.BF16, description="Number format of the KV cache: FP8 where --kv-cache-dtype of the engine is fp8."
    )
    engine: EngineKind = Field(EngineKind.VLLM, description="Measured inference server.")
    engine_version: str = Field(
        pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$",
        max_length=16,
        description="Measured version of the engine, written as in spec.version of RuntimeProfile.",
    )
    step_factors: StepFactorsSpec | None = Field(
        None, description="Factors that are already fitted; set them instead of points."
    )
    points: list[MeasuredPoint] = Field(
        default_factory=list,
        max_length=MAX_POINTS,
        description="Measured loads; the operator fits the factors to them. Set them instead of stepFactors.",
    )
    token_budget: int = Field(
        8192, ge=256, le=131072, description="--max-num-batched-tokens of the measured engine; used with points."
    )
    max_sequences: int = Field(
        1024, ge=1, le=4096, description="--max-num-seqs of the measured engine; used with points."
    )
    kv_tokens: int | None = Field(
        None,
        ge=1,
        le=1000000000,
        description="Tokens in the KV cache, from the engine's start log. Default: estimated.",
    )
    error_percent: Percent | None = Field(
        None,
        description="Mean error of TPOT with these factors, in percent; a larger error lowers the derate.",
    )
    measured_at: Timestamp | None = Field(
        None,
        description='Time of the measurement, in UTC ("2026-11-27T13:00:00Z"). The newest of several profiles of one '
        "engine is used.",
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
