"""`make bench-engine`: requests simulated per second, and how close the simulator is to a measured engine.

One replica and 64 replicas behind a least-loaded router, Llama-3.1-8B, sizes drawn with a seed around those of a chat
service (prompt about 1,000, generation about 210 tokens), one core. The step-by-step reference serves the first
requests of the same trace in the same run as the baseline; its times are checked to be equal. Times are the best of
several runs, step tables included.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import numpy as np
from rich.console import Console
from rich.table import Table

from medley_planner.engine import (
    Balance,
    EngineSpec,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    Trace,
    poisson_arrivals,
    simulate,
)
from tests.perf.engine_validation import DATA, validate
from tests.perf.inputs import fit_of, step_of
from tests.perf.report import parser_of, write_json
from tests.reference_engine import simulate_stepwise

REQUESTS = 60_000
REFERENCE_REQUESTS = {1: 400, 64: 1500}
RUNS = 3
RATE_PER_REPLICA = {"A100-80": 4.0, "H100": 10.0}
MAX_MODEL_LEN = 32_768


def engine(name: str) -> EngineSpec:
    fit = fit_of(name, max_model_len=MAX_MODEL_LEN)
    return EngineSpec(step_of(name), 2048, 256, fit.kv_tokens, MAX_MODEL_LEN)


def trace_at(rate_rps: float) -> Trace:
    rng = np.random.default_rng(11)
    prompt = np.clip(rng.lognormal(6.5, 0.9, REQUESTS), 1, 16_000).astype(np.int64)
    generation = np.clip(rng.lognormal(5.0, 0.8, REQUESTS), 1, 2_000).astype(np.int64)
    return Trace.of(poisson_arrivals(rate_rps, count=REQUESTS, seed=12), prompt, generation)


def head(trace: Trace, count: int) -> Trace:
    return Trace(trace.arrival_seconds[:count], trace.prompt_tokens[:count], trace.generation_tokens[:count])


def main() -> int:
    args = parser_of(__doc__).parse_args()
    fleets = {
        "1 x H100": SimulatedFleet((ReplicaGroup("H100", engine("H100"), 1),)),
        "32 x A100-80 + 32 x H100": SimulatedFleet(
            (ReplicaGroup("A100-80", engine("A100-80"), 32), ReplicaGroup("H100", engine("H100"), 32))
        ),
    }
    table = Table(title=f"{REQUESTS} requests, one core, best of {RUNS}")
    for heading in ("fleet", "routing", "load req/s", "simulated req/s", "reference req/s", "times", "p95 TTFT s"):
        table.add_column(heading)
    results = []
    for name, fleet in fleets.items():
        rate = sum(RATE_PER_REPLICA[group.name] * group.count for group in fleet.groups)
        trace = trace_at(rate)
        for balance in (Balance.LEAST_LOADED,) if fleet.replicas == 1 else (Balance.LEAST_LOADED, Balance.ROUND_ROBIN):
            routing = Routing(balance)
            seconds = []
            for _ in range(RUNS):
                started = time.perf_counter()
                outcome = simulate(trace, fleet, routing, seed=1)
                seconds.append(time.perf_counter() - started)
            short = head(trace, REFERENCE_REQUESTS[fleet.replicas])
            started = time.perf_counter()
            requests, _ = simulate_stepwise(short, fleet, routing, seed=1)
            reference = len(short) / (time.perf_counter() - started)
            fast = simulate(short, fleet, routing, seed=1)
            ends = np.asarray([request.last_token for request in requests]) - short.arrival_seconds
            if not np.allclose(fast.e2e_seconds, ends, rtol=1e-9, atol=0.0):
                raise SystemExit(f"{name}, {balance}: the simulator and the reference differ")
            row = {
                "fleet": name,
                "routing": balance.value,
                "load_rps": rate,
                "simulated_rps": REQUESTS / min(seconds),
                "reference_rps": reference,
                "ttft_p95_seconds": outcome.ttft().p95,
            }
            results.append(row)
            table.add_row(
                name, balance.value, f"{rate:g}", f"{REQUESTS / min(seconds):,.0f}", f"{reference:,.0f}",
                f"{REQUESTS / min(seconds) / reference:.0f}", f"{outcome.ttft().p95:.2f}",
            )  # fmt: skip
    console = Console(width=130)
    console.print(table)
    compared = validate() if DATA.exists() else None
    if compared is None:
        console.print(f"no measured run at {DATA}; set MEDLEY_SHARED_DATA to its folder")
    else:
        console.print(
            f"measured (vLLM 0.19, RTX PRO 6000, {compared.requests} requests) against simulated: "
            f"mean TPOT {1e3 * compared.measured_tpot:.1f} / {1e3 * compared.simulated_tpot:.1f} ms "
            f"({compared.tpot_error:+.1%}), mean TTFT {compared.measured_ttft:.2f} / {compared.simulated_ttft:.2f} s "
            f"({compared.ttft_error:+.1%})"
        )
    write_json(args.json, {"speed": results, "validation": asdict(compared) if compared else None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
