"""Can the latency targets be met at all? If no variant serves any request, what is the best that each can do.

Pure. The best that a GPU can do is an engine step with nothing else in the batch: no queue, no other request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.model import Bucket
from medley_planner.refusal import Refusal
from medley_planner.units import seconds_text
from medley_planner.variants import Replica


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


def targets_can_be_met(given: ServiceInput) -> Refusal | None:
    """At least one variant has capacity for a bucket of the demand."""
    rows, demand = given.offered.rows, given.choice.demand
    if any(capacity > 0 for row in rows for capacity in row.capacity.capacity_rps):
        return None
    bucket = min(demand.buckets, key=lambda bucket: (bucket.prompt_tokens, bucket.generation_tokens))
    bests = _by_gpu([_best(row.replica, bucket) for row in rows])
    slo = given.service.spec.slo
    problems: list[str] = []
    if all(best.tpot_seconds > slo.tpot_seconds for best in bests):
        each = ", ".join(f"{best.label} {seconds_text(best.tpot_seconds)}" for best in bests)
        problems.append(f'spec.slo.tpot "{slo.tpot}" is shorter than one engine step on every GPU ({each})')
    if all(best.ttft_seconds > slo.ttft_seconds for best in bests):
        each = ", ".join(f"{best.label} {seconds_text(best.ttft_seconds)}" for best in bests)
        problems.append(f'spec.slo.ttft "{slo.ttft}" is shorter than the fastest first token on every GPU ({each})')
    if not problems:
        each = ", ".join(
            f"{best.label} {seconds_text(best.ttft_seconds)} and {seconds_text(best.tpot_seconds)}" for best in bests
        )
        problems.append(
            f'no GPU meets spec.slo.ttft "{slo.ttft}" and spec.slo.tpot "{slo.tpot}" together (best values for a lone '
            f"request: {each})"
        )
    return Refusal(
        PlanReason.TARGET_IMPOSSIBLE,
        f"{'; '.join(problems)}, for a request of {bucket.prompt_tokens:.0f} prompt tokens; relax the target, or add "
        "a GPUPool with faster GPUs",
    )


def _by_gpu(bests: Sequence[Best]) -> list[Best]:
    """The fastest of each GPU type by output token, and the fastest by first token where that is another."""
    found: list[Best] = []
    for gpu in dict.fromkeys(best.gpu for best in bests):
        own = [best for best in bests if best.gpu == gpu]
        fastest = min(own, key=lambda best: best.tpot_seconds), min(own, key=lambda best: best.ttft_seconds)
        found.extend(dict.fromkeys(fastest))
    return found


def _best(replica: Replica, bucket: Bucket) -> Best:
    step = replica.step()
    prompt = bucket.prompt_tokens
    decode = step.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=prompt)
    steps = max(math.ceil(prompt / replica.token_budget), 1)
    prefill = steps * step.seconds(
        prefill_tokens=prompt / steps, prefill_attended=prompt * prompt / 2 / steps, decode_sequences=0, kv_tokens=0
    )
    return Best(gpu=replica.layout.gpu.name, gpus=replica.layout.gpus, ttft_seconds=prefill, tpot_seconds=decode)
