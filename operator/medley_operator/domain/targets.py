"""Can the latency targets be met at all? If no variant serves any request, what is the best that each can do.

Pure. The best that a GPU can do is an engine step with nothing else in the batch: no queue, no other request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.catalogue import find_gpu
from medley_operator.domain.conditions import PlanReason
from medley_operator.domain.contexts import Rejection, VariantContext
from medley_operator.domain.quantities import seconds_text
from medley_planner.capacity import StepTime
from medley_planner.model import Bucket, Demand
from medley_planner.shapes import ModelShape, Precision
from medley_planner.units import duration_seconds


@dataclass(frozen=True, slots=True)
class Best:
    """Least seconds to the first token and per output token of a lone request on one variant."""

    gpu: str
    gpus: int
    ttft_seconds: float
    tpot_seconds: float

    @property
    def label(self) -> str:
        return self.gpu if self.gpus == 1 else f"{self.gpus} x {self.gpu}"


def target_rejection(
    service: LLMService,
    profile: RuntimeProfile,
    shape: ModelShape,
    precision: Precision,
    variants: Sequence[VariantContext],
    demand: Demand,
) -> Rejection | None:
    """A rejection where no variant has capacity for any bucket of the demand."""
    if any(capacity > 0 for context in variants for capacity in context.variant.capacity_rps):
        return None
    bucket = min(demand.buckets, key=lambda bucket: (bucket.prompt_tokens, bucket.generation_tokens))
    bests = [_best(context, shape, precision, bucket, token_budget=profile.spec.token_budget) for context in variants]
    slo = service.spec.slo
    problems: list[str] = []
    if all(best.tpot_seconds > duration_seconds(slo.tpot) for best in bests):
        each = ", ".join(f"{best.label} {seconds_text(best.tpot_seconds)}" for best in bests)
        problems.append(f'spec.slo.tpot "{slo.tpot}" is below the shortest engine step of every GPU ({each})')
    if all(best.ttft_seconds > duration_seconds(slo.ttft) for best in bests):
        each = ", ".join(f"{best.label} {seconds_text(best.ttft_seconds)}" for best in bests)
        problems.append(f'spec.slo.ttft "{slo.ttft}" is below the shortest time to a first token of every GPU ({each})')
    if not problems:
        each = ", ".join(
            f"{best.label} {seconds_text(best.ttft_seconds)} and {seconds_text(best.tpot_seconds)}" for best in bests
        )
        problems.append(
            f'spec.slo.ttft "{slo.ttft}" and spec.slo.tpot "{slo.tpot}" leave no GPU any load (at best, alone: {each})'
        )
    return Rejection(
        PlanReason.TARGET_IMPOSSIBLE,
        f"{'; '.join(problems)}, for a request of {bucket.prompt_tokens:.0f} prompt tokens; relax it, or add a GPUPool "
        "with faster GPUs",
    )


def _best(
    context: VariantContext, shape: ModelShape, precision: Precision, bucket: Bucket, *, token_budget: int
) -> Best:
    variant = context.variant
    gpu = find_gpu(variant.gpu)
    if gpu is None:
        raise AssertionError(f"variant {variant.name} is of GPU {variant.gpu}, which is not in the catalogue")
    step = StepTime(shape, gpu, tensor_parallel=variant.gpus_per_replica, precision=precision)
    prompt = bucket.prompt_tokens
    decode = step.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=prompt)
    steps = max(math.ceil(prompt / token_budget), 1)
    prefill = steps * step.seconds(
        prefill_tokens=prompt / steps, prefill_attended=prompt * prompt / 2 / steps, decode_sequences=0, kv_tokens=0
    )
    return Best(gpu=gpu.name, gpus=variant.gpus_per_replica, ttft_seconds=prefill, tpot_seconds=decode)
