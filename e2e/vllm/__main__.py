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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2e.controlplane import ControlPlaneError, ensure_assets
from e2e.vllm.check import Check, document
from e2e.vllm.counters import WRONG, calibrated, common_factor, product, windows
from e2e.vllm.errors import MeasureError, VllmError
from e2e.vllm.grids import HELD_BACK, PROFILE, ROUNDS, TOKEN_IDS, TRAFFIC, WARM_UP
from e2e.vllm.install import ensure_installed, say
from e2e.vllm.model import NAME
from e2e.vllm.predict import checks, fitted, repeats_by_load, step
from e2e.vllm.report import print_checks
from e2e.vllm.scrape import scraped
from e2e.vllm.serve import served
from medley_operator.metrics.errors import MetricsError
from medley_operator.profile.client import Endpoint, EndpointError, http_client
from medley_operator.profile.loads import LoadRun
from medley_operator.profile.prompts import Prompts
from medley_operator.profile.reporters import LineReporter
from medley_operator.profile.session import Session, measure
from medley_planner.capacity import StepFactors
from medley_planner.capacity.window import MIN_POD_SECONDS, SkipReason, Window

_SESSION_SECONDS = 1200.0
_REQUEST_SECONDS = 120.0
_PROFILE_SEED, _TRAFFIC_SEED, _HELD_BACK_SEED = 100, 200, 1


@dataclass(frozen=True, slots=True)
class _Measured:
    """Results by round. `windows`: figures of the traffic from counters."""

    profiles: tuple[Session, ...]
    held_back: tuple[Session, ...]
    windows: list[Window | SkipReason]


async def _measure(url: str, prometheus_url: str) -> _Measured:
    async with http_client(None, timeout_seconds=_REQUEST_SECONDS) as client:
        endpoint = Endpoint(client, url=url, model=NAME, clock=time.perf_counter, timeout_seconds=_REQUEST_SECONDS)

        async def run(title: str, loads: Sequence[LoadRun], *, seed: int) -> Session:
            reporter = LineReporter(write=lambda line: say(f"{title}: {line}"), clock=time.monotonic)
            return await measure(
                endpoint, loads, prompts=Prompts(TOKEN_IDS), seed=seed, clock=time.perf_counter,
                max_seconds=_SESSION_SECONDS, reporter=reporter,
            )  # fmt: skip

        # The counters of a younger engine are left alone by the operator's query.
        young_until = time.monotonic() + MIN_POD_SECONDS
        while time.monotonic() < young_until:
            await run("warm-up", WARM_UP, seed=0)
        profiles, held_back, counted = [], [], []
        for number in range(1, ROUNDS + 1):
            profiles.append(await run(f"profile {number}", PROFILE, seed=_PROFILE_SEED * number))
            start = time.time()
            await run(f"traffic {number}", TRAFFIC, seed=_TRAFFIC_SEED * number)
            counted += await windows(prometheus_url, start=start, end=time.time())
            # The same arrivals each time.
            held_back.append(await run(f"held back {number}", HELD_BACK, seed=_HELD_BACK_SEED))
        return _Measured(tuple(profiles), tuple(held_back), counted)


def run() -> tuple[list[Check], dict[str, Any]]:
    """Raises `VllmError`, `EndpointError`, `MetricsError`, and `ControlPlaneError` where a server does not start."""
    installed, assets = ensure_installed(), ensure_assets()
    with served(installed, progress=say) as engine, scraped(engine.url, assets) as prometheus_url:
        found = asyncio.run(_measure(engine.url, prometheus_url))
    return _judged(found)


def _judged(found: _Measured) -> tuple[list[Check], dict[str, Any]]:
    kv_tokens = found.profiles[0].kv_tokens
    if kv_tokens is None:
        raise MeasureError("the engine does not export the size of its KV cache in vllm:cache_config_info")
    loads = repeats_by_load(found.held_back)
    fit = fitted(found.profiles, kv_tokens=kv_tokens)
    for point, reason in fit.refused:
        say(f"refused: {point}: {reason}")
    say(f"profile: {fit.used} points, mean error of TPOT {fit.error:.0%}, {fit.factors}")
    sheet = checks("data sheet", StepFactors(), loads, kv_tokens=kv_tokens, judged=False)
    profiled = checks("profile", fit.factors, loads, kv_tokens=kv_tokens)
    # The data sheet, scaled as a whole so that it is too fast by that much.
    truth = sum(check.tpot.predicted for check in profiled) / sum(check.tpot.predicted for check in sheet)
    prior = common_factor(truth / WRONG)
    learned = calibrated(found.windows, lambda factors: step(product(prior, factors)))
    after = learned.calibration
    skipped = {reason.value: count for reason, count in learned.skipped.items()}
    say(f"counters: {after.windows} windows, skipped {skipped}, {after.standing.value}, {after.factors}")
    wrong = checks("wrong prior", prior, loads, kv_tokens=kv_tokens, judged=False)
    counted = checks("its counters", product(prior, after.factors), loads, kv_tokens=kv_tokens)
    rows = [row for rows in zip(sheet, profiled, wrong, counted, strict=True) for row in rows]
    return rows, {
        "profile": {"points": fit.used, "tpot_error": fit.error, "factors": asdict(fit.factors)},
        "counters": {
            "windows": after.windows,
            "skipped": skipped,
            "standing": after.standing.value,
            "prior": asdict(prior),
            "factors": asdict(after.factors),
        },
        "measured_points": [[asdict(point) for point in profile.points()] for profile in found.profiles],
        "checks": [document(row) for row in rows],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.vllm", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    try:
        rows, report = run()
    except (VllmError, EndpointError, MetricsError, ControlPlaneError) as error:
        print(f"vllm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print_checks(rows)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(row.holds for row in rows if row.judged) else 1


if __name__ == "__main__":
    sys.exit(main())
