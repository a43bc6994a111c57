"""The figures of an engine's counters over a short time, and the operating point that its decoding sequences saw. Pure.

Everything here comes from counters and gauges that engines export anyway, pooled over the pods of one kind. The mean
step that a decoding sequence sees is not the mean step of the engine: prompts that meet an idle engine delay nobody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from medley_planner.capacity.closed_form import MAX_PREFILL_LOAD, Cell, SteadyState
from medley_planner.capacity.step_time import StepTime

MIN_STEPS = 50.0
MIN_POD_SECONDS = 120.0
"""A younger pod compiles, captures graphs and warms its caches."""
MAX_QUEUE = 2.0
MAX_QUEUE_SHARE = 0.5
"""More requests that wait than both, per engine and as a share of those that run: the load is not steady."""


class SkipReason(StrEnum):
    """Why a window does not show the engine's speed."""

    MISSING = "MissingSeries"
    INVALID = "InvalidFigures"
    """A figure that is NaN, infinite or negative."""
    FEW_STEPS = "FewSteps"
    YOUNG_POD = "YoungPod"
    PREEMPTED = "Preempted"
    QUEUEING = "Queueing"
    ROLLING_OUT = "RollingOut"
    """Pods of several kinds, which the counters do not tell apart."""
    OUTLIER = "Outlier"
    """Further from what was expected than noise is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Counts over `seconds`, summed over `engines` alike, and means of gauges per engine.

    `prefill_tokens` are prompt tokens that were computed, without those that the prefix cache had, of `prompts`
    requests. `decode_tokens` came `inter_token_seconds` after the one before them, in the mean. `kv_tokens` are in use
    and `running` and `waiting` requests in batch and queue, per engine in the mean. `youngest_seconds`: age of the
    youngest pod that is counted. `token_budget`: the engine's max-num-batched-tokens. `prompt_spread`: mean of the
    squares of prompt lengths, divided by the square of their mean; 1 where all are alike.
    """

    steps: float
    prefill_tokens: float
    prompts: float
    decode_tokens: float
    inter_token_seconds: float
    running: float
    kv_tokens: float
    seconds: float
    engines: float = 1.0
    waiting: float = 0.0
    preemptions: float = 0.0
    youngest_seconds: float = math.inf
    token_budget: int = 2048
    prompt_spread: float = 1.0

    def problem(self) -> SkipReason | None:
        """Why it cannot be used, None where it can."""
        values = [getattr(self, part.name) for part in fields(self) if part.name != "youngest_seconds"]
        if not all(math.isfinite(value) and value >= 0.0 for value in values) or math.isnan(self.youngest_seconds):
            return SkipReason.INVALID
        if self.steps < MIN_STEPS or min(self.decode_tokens, self.running, self.kv_tokens) <= 0.0:
            return SkipReason.FEW_STEPS
        if min(self.inter_token_seconds, self.seconds, self.engines, self.token_budget) <= 0.0:
            return SkipReason.INVALID
        if self.youngest_seconds < MIN_POD_SECONDS:
            return SkipReason.YOUNG_POD
        # Increases between scrapes are extrapolated, so that a count need not be whole.
        if self.preemptions >= 0.5:
            return SkipReason.PREEMPTED
        if self.waiting > max(MAX_QUEUE, MAX_QUEUE_SHARE * self.running):
            return SkipReason.QUEUEING
        return None

    def point(self) -> OperatingPoint:
        """Where its decodes ran. Call it where there is no `problem`."""
        decoding = max(self.decode_tokens / self.steps, 1.0)
        # A decoding sequence meets the prompts that arrive during its own steps, whatever arrives while all is idle.
        seen_tokens = self.prefill_tokens / (self.engines * self.seconds) * self.inter_token_seconds
        # Attention grows with the square of a prompt: fewer prompts, each as long as its token's in the mean, have the
        # tokens and the attention of those that came.
        prompt = max(self.prefill_tokens / self.prompts, 1.0) * self.prompt_spread if self.prompts > 0 else 1.0
        return OperatingPoint(
            prompt_tokens=prompt,
            context_tokens=self.kv_tokens / self.running,
            starts=seen_tokens / prompt,
            decoding=decoding,
            token_budget=self.token_budget,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """`starts` prompts of `prompt_tokens` per step, and `decoding` sequences of `context_tokens` each, in the mean.

    `prompt_tokens` is the mean over prompt tokens, not over prompts, so that long ones count for their attention.
    """

    prompt_tokens: float
    context_tokens: float
    starts: float
    decoding: float
    token_budget: float

    def loaded(self, times: float) -> OperatingPoint:
        """With that many times the load, as far as the token budget goes."""
        decoding = min(self.decoding * times, 0.9 * self.token_budget)
        most = MAX_PREFILL_LOAD * (self.token_budget - decoding) / self.prompt_tokens
        return replace(self, decoding=decoding, starts=min(self.starts * times, most))

    def mean_step_seconds(self, step: StepTime) -> float:
        """The mean step, with the prompts that are ready for it Poisson: the model that capacities rest on."""
        cell = Cell(
            prompt=self.prompt_tokens,
            generation=2.0 * (self.context_tokens - self.prompt_tokens),
            ttft=math.inf,
            tpot=math.inf,
            percentile=0.5,
            z=0.0,
            budget=self.token_budget,
            max_sequences=math.inf,
            kv_tokens=math.inf,
        )
        free = max(self.token_budget - self.decoding, 1.0)
        return SteadyState(step, cell, self.starts, self.decoding, free).moments()[0]
