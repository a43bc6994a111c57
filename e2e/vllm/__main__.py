"""`python -m e2e.vllm [--json FILE]`: profiles a real vLLM and holds what Medley predicts against what it then does.

Exit status: 0 all within bounds, 1 a bound missed or the engine could not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from e2e.controlplane.errors import ControlPlaneError
from e2e.vllm.check import Check, document
from e2e.vllm.errors import MeasureError, VllmError
from e2e.vllm.grids import HELD_BACK, PROFILE, REPEATS, TOKEN_IDS, WARM_UP
from e2e.vllm.install import ensure_installed, say
from e2e.vllm.model import NAME, shape
from e2e.vllm.prior import cpu
from e2e.vllm.replay import measured, predicted
from e2e.vllm.serve import MAX_SEQUENCES, TOKEN_BUDGET, served
from medley_operator.cli.profile_measure import http_client
from medley_operator.profile.client import Endpoint
from medley_operator.profile.loads import Load
from medley_operator.profile.prompts import Prompts
from medley_operator.profile.reporters import LineReporter
from medley_operator.profile.samples import Ending, Run
from medley_operator.profile.session import Session, measure
from medley_planner.capacity import StepFactors, StepTime
from medley_planner.capacity.fit import Fit, NoFit, fit_points
from medley_planner.shapes import Precision

_LOAD_SECONDS = 900.0
_REQUEST_SECONDS = 120.0
_SEED = 11


async def _measure(url: str) -> tuple[Session, list[Session]]:
    """The profile, and each repeat of the held-back loads."""
    async with http_client(None, timeout_seconds=_REQUEST_SECONDS) as client:
        endpoint = Endpoint(client, url=url, model=NAME, clock=time.perf_counter, timeout_seconds=_REQUEST_SECONDS)

        async def run(title: str, loads: Sequence[Load]) -> Session:
            reporter = LineReporter(write=lambda line: say(f"{title}: {line}"), clock=time.monotonic)
            return await measure(
                endpoint, loads, prompts=Prompts(TOKEN_IDS), seed=_SEED, clock=time.perf_counter,
                max_seconds=_LOAD_SECONDS, reporter=reporter,
            )  # fmt: skip

        await run("warm-up", WARM_UP)
        profile = await run("profile", PROFILE)
        return profile, [await run(f"held back, time {repeat + 1}", HELD_BACK) for repeat in range(REPEATS)]


def _held_back(sessions: Sequence[Session]) -> list[tuple[Run, ...]]:
    """By load, its repeats."""
    for session in sessions:
        for run in session.runs:
            if run.ending is not Ending.MEASURED:
                raise MeasureError(f"held-back load {run.load} ended as {run.ending}; is the machine busy with others?")
    return list(zip(*(session.runs for session in sessions), strict=True))


def _fitted(profile: Session) -> Fit:
    fit = fit_points(
        profile.points(),
        shape=shape(),
        gpu=cpu(),
        tensor_parallel=1,
        precision=Precision.BF16,
        token_budget=TOKEN_BUDGET,
        max_sequences=MAX_SEQUENCES,
        kv_tokens=profile.kv_tokens,
    )
    if isinstance(fit, NoFit):
        raise MeasureError(f"nothing to fit: {fit.reason}")
    for point, reason in fit.refused:
        say(f"refused: {point}: {reason}")
    return fit


def _step(factors: StepFactors) -> StepTime:
    return StepTime(shape(), cpu(), tensor_parallel=1, precision=Precision.BF16, factors=factors)


def _checks(source: str, step: StepTime, loads: Sequence[tuple[Run, ...]], *, kv_tokens: int) -> list[Check]:
    return [
        Check(
            load=str(runs[0].load),
            source=source,
            measured=tuple(measured(run) for run in runs),
            predicted=tuple(predicted(run, step, kv_tokens=kv_tokens) for run in runs),
        )
        for runs in loads
    ]


def _print(checks: Sequence[Check]) -> None:
    table = Table(title="Mean latency on loads that were not profiled, ms")
    for column in ("load", "predicted by", "TPOT", "predicted", "error", "spread", "bound", "", "TTFT", "predicted"):
        table.add_column(column, justify="left" if column in ("load", "predicted by") else "right")
    for check in checks:
        tpot, ttft = check.tpot, check.ttft
        table.add_row(
            check.load, check.source, f"{tpot.measured * 1e3:.1f}", f"{tpot.predicted * 1e3:.1f}",
            f"{tpot.error:+.0%}", f"{tpot.spread:.0%}", f"{tpot.bound:.0%}", "ok" if check.holds else "MISSED",
            f"{ttft.measured * 1e3:.0f}", f"{ttft.predicted * 1e3:.0f}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def run() -> tuple[list[Check], dict[str, Any]]:
    """Raises `VllmError`, `ControlPlaneError` (an engine that does not start)."""
    installed = ensure_installed()
    with served(installed, progress=say) as engine:
        profile, repeats = asyncio.run(_measure(engine.url))
    loads = _held_back(repeats)
    if profile.kv_tokens is None:
        raise MeasureError("the engine does not tell the size of its KV cache in vllm:cache_config_info")
    fit = _fitted(profile)
    say(f"fit over {fit.used} points: {fit.factors}, mean error of TPOT {fit.error:.1%}")
    checks = [
        *_checks("data sheet", _step(StepFactors()), loads, kv_tokens=profile.kv_tokens),
        *_checks("profile", _step(fit.factors), loads, kv_tokens=profile.kv_tokens),
    ]
    return checks, {"factors": str(fit.factors), "fit_error": fit.error, "checks": [document(c) for c in checks]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.vllm", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    try:
        checks, report = run()
    except (VllmError, ControlPlaneError) as error:
        print(f"vllm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _print(checks)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(check.holds for check in checks if check.source != "data sheet") else 1


if __name__ == "__main__":
    sys.exit(main())
