"""Predicts a load that was really sent: the simulator replays the same arrivals and sizes on the engine's step time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2e.vllm.serve import MAX_MODEL_LEN, MAX_SEQUENCES, TOKEN_BUDGET
from medley_operator.profile.samples import RequestSample, Run
from medley_planner.capacity import StepTime
from medley_planner.engine import Balance, EngineSpec, ReplicaGroup, Routing, SimulatedFleet, Trace, simulate


@dataclass(frozen=True, slots=True)
class Means:
    """Seconds, over the requests that count."""

    ttft: float
    tpot: float


def measured(run: Run) -> Means:
    counted = run.counted
    return Means(
        ttft=float(np.mean([sample.ttft_seconds for sample in counted if sample.ttft_seconds is not None])),
        tpot=float(np.mean([sample.tpot_seconds for sample in counted if sample.tpot_seconds is not None])),
    )


def predicted(run: Run, step: StepTime, *, kv_tokens: int) -> Means:
    """The same requests at the same times in the simulator; the ones that count in `run` count here."""
    sent = sorted(run.sent, key=_arrival)
    trace = Trace.of(
        [sample.sent_at for sample in sent],
        [sample.prompt_tokens for sample in sent],
        [sample.generation_tokens for sample in sent],
    )
    spec = EngineSpec(
        step=step,
        token_budget=TOKEN_BUDGET,
        max_sequences=MAX_SEQUENCES,
        kv_tokens=kv_tokens,
        max_model_len=MAX_MODEL_LEN,
    )
    outcome = simulate(trace, SimulatedFleet((ReplicaGroup("engine", spec, 1),)), Routing(Balance.ROUND_ROBIN), seed=0)
    numbers = {sample.number for sample in run.counted}
    counts = outcome.only(np.array([sample.number in numbers for sample in sent]))
    return Means(ttft=counts.ttft().mean, tpot=counts.tpot().mean)


def _arrival(sample: RequestSample) -> float:
    return sample.sent_at
