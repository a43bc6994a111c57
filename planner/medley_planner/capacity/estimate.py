"""One estimate of a replica: memory, latency at a load, the largest rate within targets, watts, error band. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.capacity.closed_form import max_rate_rps
from medley_planner.capacity.error_band import error_band
from medley_planner.capacity.latency import Latency, Load, at_concurrency, at_rate
from medley_planner.capacity.memory import MemoryFit, memory_fit, reserve_gb
from medley_planner.capacity.speed import UNCORRECTED, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.capacity.watts import mean_watts
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

UTILISATION = 0.9
"""vLLM's default gpu-memory-utilization."""


class NoEstimate(BadInput):
    """The requested replica and load have no estimate."""


@dataclass(frozen=True, slots=True)
class EstimateRequest:
    """A replica, its requests and its load: exactly one of `concurrency` (clients) and `rate_rps` is given.

    Budget and sequences are per group of data parallel attention. `first_wave`: see `at_concurrency`.
    `factors` and `kv_tokens`: what was measured of the step time and of the engine's cache. `spread_experts`: experts
    are whole on one GPU each. `prefix_hit_rate`: the share of each prompt that a prefix cache has, 0 to below 1.
    """

    shape: ModelShape
    layout: Layout
    prompt_tokens: float
    generation_tokens: float
    concurrency: float | None = None
    rate_rps: float | None = None
    percentile: float = 95.0
    ttft_target_seconds: float | None = None
    tpot_target_seconds: float | None = None
    token_budget: int = 8192
    max_sequences: int = 1024
    first_wave: bool = False
    factors: StepFactors = UNCORRECTED
    kv_tokens: int | None = None
    spread_experts: bool = False
    prefix_hit_rate: float = 0.0

    @property
    def max_model_len(self) -> int:
        """Its own requests are the longest that it must hold."""
        return round(self.prompt_tokens + self.generation_tokens)

    def fit(self) -> MemoryFit:
        return memory_fit(
            self.shape,
            self.layout,
            max_model_len=self.max_model_len,
            utilisation=UTILISATION,
            engine_kv_tokens=self.kv_tokens,
            token_budget=self.token_budget,
            spread_experts=self.spread_experts,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """`max_rate_rps` None: no targets given. `free_gb`: for the KV cache, beside weights and reserve, all GPUs."""

    fit: MemoryFit
    free_gb: float
    latency: Latency
    max_rate_rps: float | None
    watts: float
    band: float
    band_reason: str


def estimate(question: EstimateRequest) -> Estimate:
    """Raises NoEstimate where the model does not fit, or the replica cannot keep up with the rate."""
    asked = question
    fit = asked.fit()
    if not fit.fits:
        raise NoEstimate.whole("", fit.reason.replace("set spec.model.maxModelLen", "ask for prompt plus generation"))
    layout = asked.layout
    step = StepTime(asked.shape, layout, factors=asked.factors)
    load = Load(
        prompt_tokens=asked.prompt_tokens,
        generation_tokens=asked.generation_tokens,
        percentile=asked.percentile,
        token_budget=asked.token_budget * layout.attention_data_parallel,
        max_sequences=asked.max_sequences * layout.attention_data_parallel,
        kv_tokens=fit.kv_tokens,
        cost=fit.cost,
        prefill_share=1.0 - asked.prefix_hit_rate,
    )
    latency = _latency(asked, step, load)
    largest = None
    if asked.ttft_target_seconds is not None or asked.tpot_target_seconds is not None:
        largest = max_rate_rps(
            step,
            fit,
            prompt_tokens=load.prompt_tokens,
            generation_tokens=load.generation_tokens,
            ttft_seconds=asked.ttft_target_seconds or float("inf"),
            tpot_seconds=asked.tpot_target_seconds or float("inf"),
            percentile=asked.percentile,
            token_budget=load.token_budget,
            max_sequences=load.max_sequences,
            prefill_share=load.prefill_share,
        )
    band, reason = error_band(asked.shape, layout)
    budget_gb = UTILISATION * layout.gpu.usable_gib * 2**30 / 1e9
    return Estimate(
        fit=fit,
        free_gb=layout.gpus * (budget_gb - reserve_gb(layout.gpu)) - fit.weights_gb,
        latency=latency,
        max_rate_rps=largest,
        watts=mean_watts(layout, prefill_share=latency.prefill_share, busy_share=min(latency.running, 1.0)),
        band=band,
        band_reason=reason,
    )


def _latency(asked: EstimateRequest, step: StepTime, load: Load) -> Latency:
    if asked.concurrency is not None:
        return at_concurrency(step, load, concurrency=asked.concurrency, first_wave=asked.first_wave)
    if asked.rate_rps is None:
        raise NoEstimate("", "the load", MISSING, "give concurrency or rate")
    latency = at_rate(step, load, rate_rps=asked.rate_rps)
    if latency is None:
        way_out = (
            f"more req/s than a replica of {asked.layout.hardware} keeps up with; lower it, or use more GPUs per "
            "replica or a larger GPU"
        )
        raise NoEstimate("", "rate", asked.rate_rps, way_out)
    return latency
