"""`make bench-plan-truth`: does a plan made from the first half of a trace keep its targets on the second half?

For the Azure conversation trace and Mooncake's, an 8B model on six GPU types at list prices. The first half is history:
the engine's own histograms of it give the sizes, the rate is the asked percentile of those that the operator would have
measured in it. The plan (derated, with headroom, checked by simulation) is then fixed, and the second half is replayed
on it in the simulator, through the plan's own router. Beside it the same plan without the check, without derating and
without both, and the plan made of the second half as it really comes: its joint sizes and its own rate. Engines run as
the data sheet says, so this measures the plan, not the step-time model; derating is what a real engine may be slower.

Targets: Azure's chat 1 s and 50 ms; Mooncake's long prompts (5 % are above 40,000 tokens) 10 s and 100 ms, within the
30 s and 100 ms that its paper serves them with.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from medley_planner.capacity import LatencyTargets
from medley_planner.catalog import gpu
from medley_planner.check import (
    CheckedPlan,
    Subject,
    demand_of_trace,
    engine_edges,
    plan_checked,
    routed_fleet,
)
from medley_planner.cli.trace_file import read_trace
from medley_planner.engine import Balance, Trace, simulate
from medley_planner.model import Demand, Plan, Pool, Problem, RoutingMode, Service, Variant
from medley_planner.optimize import plan, verify
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.variants import Engine, Source, generate, prune
from medley_planner.workload import Histogram, demand_from_histograms
from medley_planner.workload.quantile import rate_at_quantile
from tests.perf.inputs import MODEL, SHARED
from tests.perf.report import parser_of, write_json

PRICED_AS = {
    "L4": ("g6.xlarge", 1),
    "A10G": ("g5.xlarge", 1),
    "L40S": ("g6e.xlarge", 1),
    "A100-40": ("p4d.24xlarge", 8),
    "A100-80": ("p4de.24xlarge", 8),
    "H100": ("p5.48xlarge", 8),
}
"""AWS us-east-1, on demand: instance and its GPUs."""
PRICES = "gpu_prices.csv"
HEADROOM = 0.10
"""The operator's default."""
WINDOW_SECONDS = 300.0
RESYNC_SECONDS = 30.0
"""The operator's defaults (`spec.workload.window`, `--resync-seconds`)."""
MODES = (RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL)
COST_TARGET = 1.15


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    file: str
    targets: LatencyTargets
    max_model_len: int


CASES = (
    Case("Azure conversation", "AzureLLMInferenceTrace_conv.csv", LatencyTargets(1.0, 0.05, 95.0), 16_384),
    Case("Mooncake conversation", "mooncake_conversation_trace.jsonl", LatencyTargets(10.0, 0.1, 95.0), 131_072),
)


@dataclass(frozen=True, slots=True)
class Result:
    """`attainment`: of the second half, `predicted`: what the check said at the planned demand (NaN: not checked)."""

    trace: str
    routing: str
    plan: str
    mix: str
    status: str
    cost_per_hour: float
    attainment: float
    ttft_seconds: float
    tpot_seconds: float
    predicted: float
    rounds: int
    cost_ratio: float = math.nan


def main() -> int:
    args = parser_of(__doc__).parse_args()
    console = Console(width=180)
    missing = [
        path for path in (*(SHARED / case.file for case in CASES), SHARED / "gpu_prices.csv") if not path.exists()
    ]
    if missing:
        console.print(f"no {missing[0]}; set MEDLEY_SHARED_DATA to its folder")
        return 0
    prices = prices_per_gpu()
    console.print("US dollars per GPU-hour: " + ", ".join(f"{name} {price:.2f}" for name, price in prices.items()))
    started = time.process_time()
    results = [result for case in CASES for mode in MODES for result in results_of(case, mode, prices)]
    console.print(table_of(results))
    checked = [result for result in results if result.plan == "plan"]
    for result in checked:
        met = result.attainment >= 0.95 and result.cost_ratio <= COST_TARGET
        console.print(
            f"{result.trace}, {result.routing}: {100 * result.attainment:.2f} % (asked 95 %), {result.cost_ratio:.3f} "
            f"x the cost with the second half known (target {COST_TARGET}): {'met' if met else 'MISSED'}"
        )
    console.print(f"CPU time {time.process_time() - started:.0f} s")
    write_json(args.json, {"plan_truth": [_plain(result) for result in results]})
    return 0


def results_of(case: Case, mode: RoutingMode, prices: Mapping[str, float]) -> list[Result]:
    """The plan from history first, then what it is compared with; the last knows the second half."""
    trace = read_trace(SHARED / case.file)
    middle = float(trace.arrival_seconds[-1]) / 2.0
    first, second = _part(trace, 0.0, middle), _part(trace, middle, math.inf)
    history = _from_history(first, peak_rate(first, middle, case.targets), case)
    future = demand_of_trace(second, peak_rate(second, middle, case.targets), max_model_len=case.max_model_len)
    ways = [
        ("plan", history, True, True),
        ("no check", history, False, True),
        ("no derating", history, True, False),
        ("neither", history, False, False),
        ("second half known", future, True, True),
    ]
    results = [replay(case, mode, prices, second, *way) for way in ways]
    known = results[-1].cost_per_hour
    return [_with_ratio(result, known) for result in results]


def replay(
    case: Case,
    mode: RoutingMode,
    prices: Mapping[str, float],
    second: Trace,
    name: str,
    demand: Demand,
    check: bool,
    derated: bool,
) -> Result:
    """Plan `demand` and serve `second` on the plan."""
    problem, subjects = problem_of(case, mode, prices, demand, derated=derated)

    def solve(asked: Problem, /, *, deadline_seconds: float, last: Plan | None) -> Plan:
        found = plan(asked, deadline_seconds=deadline_seconds, last=last)
        broken = verify(asked, found)
        if broken:
            raise SystemExit(f"{case.name}, {mode}: {broken[:3]}")
        return found

    made: CheckedPlan = plan_checked(
        problem, subjects if check else {}, solve=solve, clock=time.monotonic, deadline_seconds=60.0
    )
    service = made.plan.services[0]
    fleet, routing = routed_fleet(
        service, demand, subjects["service"], balance=Balance.RANDOM, edges=engine_edges(case.max_model_len)
    )
    outcome = simulate(second, fleet, routing, seed=1)
    targets = case.targets
    tpot = outcome.tpot_seconds[~np.isnan(outcome.tpot_seconds)]
    return Result(
        trace=case.name,
        routing=mode.value,
        plan=name,
        mix=" ".join(f"{part.variant}:{part.replicas}" for part in service.variants if part.replicas),
        status=service.status.value,
        cost_per_hour=service.cost_per_hour,
        attainment=outcome.attainment(ttft_seconds=targets.ttft_seconds, tpot_seconds=targets.tpot_seconds),
        ttft_seconds=float(np.percentile(outcome.ttft_seconds, targets.percentile)),
        tpot_seconds=float(np.percentile(tpot, targets.percentile)),
        predicted=made.checked["service"].attainment if "service" in made.checked else math.nan,
        rounds=made.rounds,
    )


def problem_of(
    case: Case, mode: RoutingMode, prices: Mapping[str, float], demand: Demand, *, derated: bool
) -> tuple[Problem, dict[str, Subject]]:
    """One service on every GPU type, degrees 1 to 8 and two token budgets, without limits of stock."""
    engine = Engine(
        shape=bundled_shape(MODEL),
        precisions=(Precision.BF16,),
        token_budgets=(2048, 8192),
        max_model_len=case.max_model_len,
        max_sequences=256,
        utilisation=0.9,
        ttft_seconds=case.targets.ttft_seconds,
        tpot_seconds=case.targets.tpot_seconds,
        percentile=case.targets.percentile,
    )
    sources = tuple(Source(name.lower(), gpu(name), 8, price) for name, price in prices.items())
    rows = generate(engine, sources, demand.buckets, longest_name=24).rows
    variants = tuple(
        Variant(
            name=row.name,
            pool=sources[row.source].pool,
            gpu=row.replica.layout.gpu.name,
            gpus_per_replica=row.replica.layout.gpus,
            cost_per_hour=row.cost_per_hour,
            capacity_rps=tuple(rate if derated else rate / row.capacity.derate for rate in row.capacity.capacity_rps),
            provenance=row.capacity.provenance,
        )
        for row in rows
    )
    whole = Service("service", demand, variants, mode, utilisation_limit=1.0 / (1.0 + HEADROOM))
    kept = prune(whole, keep=()).variants
    service = Service("service", demand, kept, mode, utilisation_limit=whole.utilisation_limit)
    subject = Subject(tuple((row.name, row.replica) for row in rows), case.targets)
    return Problem((service,), tuple(Pool(source.pool) for source in sources)), {"service": subject}


def peak_rate(trace: Trace, seconds: float, targets: LatencyTargets) -> float:
    """The quantile, at the asked percentile, of the rates that the operator would have measured: over its window of
    five minutes, every 30 s. A plan for the mean would be short half of the time; a quantile of shorter windows has
    much Poisson noise in it (5 % of a minute's rate here), which headroom and the tails of the capacities are for.
    """
    arrivals = trace.arrival_seconds - trace.arrival_seconds[0]
    ends = np.arange(WINDOW_SECONDS, seconds, RESYNC_SECONDS)
    counts = np.searchsorted(arrivals, ends) - np.searchsorted(arrivals, ends - WINDOW_SECONDS)
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    rates = np.quantile(counts / WINDOW_SECONDS, quantiles)
    return rate_at_quantile(dict(zip(quantiles, rates.tolist(), strict=True)), at=targets.share)


def _from_history(trace: Trace, rate_rps: float, case: Case) -> Demand:
    """As the operator makes it from what engines export."""
    prompt, generation = (_histogram(sizes, case) for sizes in (trace.prompt_tokens, trace.generation_tokens))
    return demand_from_histograms(rate_rps, prompt=prompt, generation=generation, max_tokens=case.max_model_len)


def _histogram(sizes: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]], case: Case) -> Histogram:
    values = np.asarray(sizes)
    buckets = [(edge, float((values <= edge).sum())) for edge in (*engine_edges(case.max_model_len), math.inf)]
    return Histogram(tuple(buckets), float(values.sum()))


def _part(trace: Trace, start: float, end: float) -> Trace:
    keep = (trace.arrival_seconds >= start) & (trace.arrival_seconds < end)
    return Trace(trace.arrival_seconds[keep], trace.prompt_tokens[keep], trace.generation_tokens[keep])


def prices_per_gpu() -> dict[str, float]:
    with (SHARED / PRICES).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["cloud"], row["region"]) == ("aws", "us-east-1")]
    by_instance = {row["instance"]: float(row["usd_per_hour"]) for row in rows}
    return {name: by_instance[instance] / gpus for name, (instance, gpus) in PRICED_AS.items()}


def _with_ratio(result: Result, known: float) -> Result:
    return Result(**{**asdict(result), "cost_ratio": result.cost_per_hour / known})


def _plain(result: Result) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(result).items()
    }


def table_of(results: Sequence[Result]) -> Table:
    table = Table(title="Planned from the first half, the second half replayed")
    headings = ("trace", "routing", "plan", "mix", "$/h", "/ known", "attained %", "p95 TTFT s", "p95 TPOT ms")
    for heading in (*headings, "predicted %", "rounds", "status"):
        table.add_column(heading, overflow="fold")
    for result in results:
        table.add_row(
            result.trace,
            result.routing,
            result.plan,
            result.mix,
            f"{result.cost_per_hour:.2f}",
            f"{result.cost_ratio:.3f}",
            f"{100 * result.attainment:.2f}",
            f"{result.ttft_seconds:.2f}",
            f"{1e3 * result.tpot_seconds:.1f}",
            "-" if math.isnan(result.predicted) else f"{100 * result.predicted:.2f}",
            str(result.rounds),
            result.status,
            end_section=result.plan == "second half known",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
