"""The ways to predict how fast the engine will be, and what each says of the loads that were held back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from e2e.vllm.check import Check
from e2e.vllm.errors import MeasureError
from e2e.vllm.model import shape
from e2e.vllm.prior import cpu
from e2e.vllm.replay import measured, predicted
from e2e.vllm.serve import MAX_SEQUENCES, TOKEN_BUDGET, cores
from medley_operator.profile.samples import Ending, Run
from medley_operator.profile.session import Session
from medley_planner.capacity import StepFactors, StepTime
from medley_planner.capacity.fit import Fit, NoFit, fit_points
from medley_planner.layout import Layout


def step(factors: StepFactors) -> StepTime:
    """The data sheet's step time with its parts multiplied."""
    return StepTime(shape(), Layout(cpu(cores())), factors=factors)


def fitted(profiles: Sequence[Session], *, kv_tokens: int) -> Fit:
    """One fit of all. Raises `MeasureError` where nothing can be fitted."""
    fit = fit_points(
        [point for profile in profiles for point in profile.points()],
        shape=shape(),
        layout=Layout(cpu(cores())),
        token_budget=TOKEN_BUDGET,
        max_sequences=MAX_SEQUENCES,
        kv_tokens=kv_tokens,
    )
    if isinstance(fit, NoFit):
        raise MeasureError(f"nothing to fit: {fit.reason}")
    return fit


def repeats_by_load(sessions: Sequence[Session]) -> list[tuple[Run, ...]]:
    """Raises `MeasureError` where a load was not measured whole each time."""
    for session in sessions:
        for run in session.runs:
            if run.ending is not Ending.MEASURED:
                raise MeasureError(
                    f"the held-back load {run.load} ended as {run.ending.value}: the engine is much slower than this "
                    "check is made for. Way out: run it while nothing else runs on the machine"
                )
    return list(zip(*(session.runs for session in sessions), strict=True))


def checks(
    source: str, factors: StepFactors, loads: Sequence[tuple[Run, ...]], *, kv_tokens: int, judged: bool = True
) -> list[Check]:
    return [
        Check(
            load=str(runs[0].load),
            source=source,
            judged=judged,
            measured=tuple(measured(run) for run in runs),
            predicted=tuple(predicted(run, step(factors), kv_tokens=kv_tokens) for run in runs),
        )
        for runs in loads
    ]
