"""`make bench-demand`: how far the load of a GPU is misjudged by what is known of sizes, trace by trace.

Requests of each trace are served, in Poisson order, by one simulated engine at 60 % of what it can; its counters are
read as Prometheus would read them, window by window: size histograms with vLLM's edges, times between tokens, and the
KV usage sampled every 15 s. From these alone each method makes a demand. Its load, the sum of rate / capacity, is set
beside the load of the very requests that finished in the window, each at its own size.

`upper edges` takes each histogram bucket at its edge, `mean` one bucket of the mean sizes: both are what others do.
`per variant` splits the trace at two thirds of its prompts and keeps a histogram per part. `gateway` counts both sizes
together. Capacities are the planner's closed form for Llama-3.1-8B; sizes that a GPU cannot serve count for neither.
"""

from __future__ import annotations

import csv
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from e2e.fleet.engine import Engine, ServedEngine
from e2e.fleet.histogram import Histogram as Counts
from e2e.fleet.histogram import token_edges
from e2e.fleet.requests import Request
from medley_planner.capacity import Table
from medley_planner.capacity.batch import max_rates_rps
from medley_planner.engine import EngineSpec, StepTable, poisson_arrivals
from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.workload.held_tokens import HeldTokens, Moments, Untold, joint_ratio
from medley_planner.workload.histogram import Histogram, demand_from_histograms, mean_square
from medley_planner.workload.joint import Sizes, demand_from_cells, demand_from_tilt, demand_from_variants
from medley_planner.workload.marginal import Bin, product
from tests.perf.inputs import SHARED, azure_sizes, fit_of, step_of
from tests.perf.report import parser_of, write_json

GPUS = ("L40S", "A100-80", "H100", "H200")
SERVED_BY = "H100"
UTILISATION = 0.6
WINDOW_SECONDS = 300.0
WINDOW_REQUESTS = 1000.0
WINDOWS = 4
SCRAPE_SECONDS = 15.0
LONGEST = 131_072
TTFT_SECONDS, TPOT_SECONDS, PERCENTILE = 10.0, 0.1, 95.0
METHODS = ("upper edges", "mean", "independent", "tilted", "per variant", "gateway")

Size = tuple[int, int]


def mooncake() -> list[Size]:
    lines = (SHARED / "mooncake_conversation_trace.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["input_length"], row["output_length"]) for row in map(json.loads, lines)]


def arxiv() -> list[Size]:
    with (SHARED / "vidur_arxiv_summarization.csv").open(encoding="utf-8") as file:
        return [
            (int(float(row["num_prefill_tokens"])), int(float(row["num_decode_tokens"])))
            for row in csv.DictReader(file)
        ]


def mixture(parts: Sequence[tuple[float, float, float]]) -> list[Size]:
    """Log-normal sizes (deviation 0.6) around each part's (share, prompt, generation)."""
    draw = random.Random(5)  # noqa: S311 - a benchmark's sizes
    weights = [share for share, _, _ in parts]

    def one() -> Size:
        _, prompt, generation = draw.choices(parts, weights)[0]
        return (
            max(1, round(draw.lognormvariate(math.log(prompt), 0.6))),
            max(1, round(draw.lognormvariate(math.log(generation), 0.6))),
        )

    return [one() for _ in range(20_000)]


TRACES: dict[str, Callable[[], list[Size]]] = {
    "Azure conv": azure_sizes,
    "Mooncake conversation": mooncake,
    "Vidur arXiv": arxiv,
    "chat + long documents": lambda: mixture([(0.6, 400, 350), (0.4, 9000, 80)]),
    "labels + agents": lambda: mixture([(0.6, 250, 15), (0.4, 4000, 500)]),
}
"""The last two are synthetic mixtures of workloads, one with opposite and one with like sizes."""


def table_of(name: str) -> Table:
    fit = fit_of(name, max_model_len=LONGEST)
    if not fit.fits:
        # A card whose memory holds no sequence of full length serves shorter ones.
        fit = fit_of(name, max_model_len=32_768)
    return Table(step_of(name), fit, 2048, 256)


def gpus_per_rate(tables: Sequence[Table], demand: Demand) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Replicas of each GPU per request per second, over the sizes that it can serve."""
    rates = max_rates_rps(
        tables, demand.buckets, ttft_seconds=TTFT_SECONDS, tpot_seconds=TPOT_SECONDS, percentile=PERCENTILE
    )
    shares = np.array(demand.shares)[None, :]
    served = rates > 0
    loads = np.where(served, shares / np.where(served, rates, 1.0), 0.0)
    return np.asarray(loads.sum(axis=1) / np.where(served, shares, 0.0).sum(axis=1))


def exactly(sizes: Sequence[Size]) -> Demand:
    buckets = tuple(Bucket(float(prompt), float(generation)) for prompt, generation in sizes)
    return Demand(1.0, buckets, tuple(1.0 / len(buckets) for _ in buckets), SizeSource.STATIC)


@dataclass(frozen=True, slots=True)
class Window:
    """The requests that finished in it, and what the engine counted."""

    sizes: list[Size]
    held: HeldTokens

    def histograms(self, sizes: Sequence[Size] | None = None) -> Sizes:
        found = self.sizes if sizes is None else sizes
        return Sizes(_counted([p for p, _ in found]), _counted([g for _, g in found]))


def _counted(values: Sequence[int]) -> Histogram:
    counts = Counts(token_edges(LONGEST))
    for value in values:
        counts.observe(value)
    buckets, below = [], 0
    for edge, inside in zip((*counts.edges, math.inf), counts.buckets, strict=True):
        below += inside
        buckets.append((edge, float(below)))
    return Histogram(tuple(buckets), counts.total)


def windows_of(sizes: Sequence[Size], *, seed: int) -> Iterator[Window]:
    served = table_of(SERVED_BY)
    rate = UTILISATION / float(gpus_per_rate([served], exactly(sizes[:2000]))[0])
    spec = EngineSpec(
        served.step, token_budget=2048, max_sequences=256, kv_tokens=served.fit.kv_tokens, max_model_len=LONGEST
    )
    steps = StepTable.of(served.step, token_budget=spec.token_budget, max_sequences=spec.max_sequences)
    draw = random.Random(seed)  # noqa: S311 - a benchmark's order of requests
    engine = Engine(ServedEngine("llama", 0.9, spec, steps), start=0.0)
    # A window has the requests that several slow replicas would serve in it.
    span = max(WINDOW_SECONDS, WINDOW_REQUESTS / rate)
    picked = draw.choices(sizes, k=math.ceil(rate * span * (WINDOWS + 1.5)))
    arrivals = poisson_arrivals(rate, count=len(picked), seed=seed)
    requests = [Request(float(at), p, g) for at, (p, g) in zip(arrivals, picked, strict=True)]
    following = 0
    # The first window fills the engine.
    for number in range(WINDOWS + 1):
        start, end = number * span, (number + 1) * span
        before, in_flight = _Counters.of(engine), engine.running + engine.waiting
        usages = []
        at = start
        while at < end:
            at = min(at + SCRAPE_SECONDS, end)
            while following < len(requests) and requests[following].arrival <= at:
                engine.submit(requests[following])
                following += 1
            engine.advance(at)
            usages.append(engine.kv_usage)
        if number == 0:
            continue
        after = _Counters.of(engine)
        finished = [r for r in requests if r.finished_at is not None and start < r.finished_at <= end]
        usage = statistics.fmean(usages)
        yield Window(
            [(r.prompt_tokens, r.generation_tokens) for r in finished],
            HeldTokens(
                seconds=span,
                finished=float(len(finished)),
                growth=float(engine.running + engine.waiting - in_flight),
                tokens_held=usage * spec.kv_tokens,
                samples=float(len(usages)),
                usage=usage,
                block_tokens=float(spec.block_tokens),
                inter_token_seconds=after.token_seconds - before.token_seconds,
                inter_tokens=after.tokens - before.tokens,
                prefill_seconds=after.prefill_seconds - before.prefill_seconds,
                preemptions=after.preemptions - before.preemptions,
                prefix_hit_rate=0.0,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Counters:
    token_seconds: float
    tokens: float
    prefill_seconds: float
    preemptions: float

    @classmethod
    def of(cls, engine: Engine) -> _Counters:
        meter = engine.meter
        return cls(
            meter.inter_token_seconds.total,
            float(meter.inter_token_seconds.count),
            meter.prefill_seconds.total,
            float(meter.preemptions),
        )


def ratio_of(sizes: Sequence[Size]) -> float:
    prompt = statistics.fmean(p for p, _ in sizes)
    generation = statistics.fmean(g for _, g in sizes)
    return statistics.fmean(p * g for p, g in sizes) / (prompt * generation)


def demands(window: Window, split: float) -> tuple[dict[str, Demand], float | Untold]:
    sizes = window.histograms()
    moments = [
        Moments(part.total_tokens / part.buckets[-1][1], mean_square(name, part))
        for name, part in (("prompt", sizes.prompt), ("generation", sizes.generation))
    ]
    ratio = joint_ratio(window.held, prompt=moments[0], generation=moments[1])
    independent = demand_from_histograms(1.0, prompt=sizes.prompt, generation=sizes.generation)
    below = [size for size in window.sizes if size[0] <= split]
    above = [size for size in window.sizes if size[0] > split]
    parts = [window.histograms(part) for part in (below, above)]
    variants = demand_from_variants(1.0, parts)
    gateway = demand_from_cells(1.0, _cells(window.sizes), prompt_mean=moments[0].mean, generation_mean=moments[1].mean)
    if variants is None or gateway is None:
        raise SystemExit("a window has too few requests")
    found = {
        "upper edges": product(
            1.0, _upper(sizes.prompt), _upper(sizes.generation), size_source=SizeSource.INDEPENDENT, max_tokens=LONGEST
        ),
        "mean": exactly([(round(moments[0].mean), round(moments[1].mean))]),
        "independent": independent,
        "tilted": independent if isinstance(ratio, Untold) else demand_from_tilt(1.0, sizes, ratio=ratio),
        "per variant": variants,
        "gateway": gateway,
    }
    return found, ratio


def _upper(histogram: Histogram) -> list[Bin]:
    total, below, bins = histogram.buckets[-1][1], 0.0, []
    for edge, count in histogram.buckets:
        if count > below:
            bins.append(Bin(min(edge, float(LONGEST)), (count - below) / total))
        below = count
    return bins


def _cells(sizes: Sequence[Size]) -> dict[tuple[float, float], float]:
    edges = (*token_edges(LONGEST), math.inf)
    cells: dict[tuple[float, float], float] = {}
    for prompt, generation in sizes:
        cell = (next(e for e in edges if prompt <= e), next(e for e in edges if generation <= e))
        cells[cell] = cells.get(cell, 0.0) + 1.0
    return cells


def main() -> int:
    arguments = parser_of(__doc__).parse_args()
    tables = [table_of(name) for name in GPUS]
    printed = Printed(
        title=f"error of the load, mean of {WINDOWS} windows of {WINDOW_SECONDS:g} s, at least {WINDOW_REQUESTS:g} "
        "requests (worst)"
    )
    for heading in ("trace", "joint / independent, true / told", "GPU", *METHODS):
        printed.add_column(heading)
    rows = []
    errors: dict[str, list[float]] = {method: [] for method in METHODS}
    for name, read in TRACES.items():
        try:
            sizes = [size for size in read() if size[0] > 0 and size[1] > 0 and sum(size) <= LONGEST]
        except FileNotFoundError as error:
            printed.add_row(name, f"no file {error.filename}: set MEDLEY_SHARED_DATA")
            continue
        split = float(np.quantile([prompt for prompt, _ in sizes], 2 / 3))
        told: list[tuple[float, float | Untold]] = []
        found: dict[tuple[str, str], list[float]] = {}
        for window in windows_of(sizes, seed=3):
            made, ratio = demands(window, split)
            told.append((ratio_of(window.sizes), ratio))
            exact = gpus_per_rate(tables, exactly(window.sizes))
            for method, demand in made.items():
                for card, load, truth in zip(GPUS, gpus_per_rate(tables, demand), exact, strict=True):
                    found.setdefault((card, method), []).append(float(load / truth - 1.0))
        known = [ratio for _, ratio in told if not isinstance(ratio, Untold)]
        refused = next((ratio.message for _, ratio in told if isinstance(ratio, Untold)), "")
        words = f"{statistics.fmean(true for true, _ in told):.2f} / "
        words += f"{statistics.fmean(known):.2f} ({min(known):.2f}..{max(known):.2f})" if known else refused
        for index, card in enumerate(GPUS):
            row = {method: found[card, method] for method in METHODS}
            printed.add_row(
                *((name, words) if index == 0 else ("", "")), card, *(_errors(row[method]) for method in METHODS)
            )
            rows.append({"trace": name, "gpu": card, "refused": refused, **row})
            for method in METHODS:
                errors[method].extend(row[method])
    if not rows:
        Console().print(printed)
        return 1
    shortfall = {method: _shortfall(errors[method], errors["gateway"]) for method in METHODS}
    printed.add_section()
    printed.add_row(
        "headroom for the joint, 9 of 10", "", "", *(f"{100 * shortfall[method]:.0f} %" for method in METHODS)
    )
    Console(width=170).print(printed)
    write_json(arguments.json, {"rows": rows, "headroom_90": shortfall})
    return 0


def _shortfall(errors: Sequence[float], known_joint: Sequence[float]) -> float:
    """Headroom that covers nine of ten, beside the load with the joint known on the same grid: the grid's error, that
    every method has, is not the joint's."""
    missing = [(1.0 + known) / (1.0 + error) - 1.0 for error, known in zip(errors, known_joint, strict=True)]
    return max(float(np.quantile(missing, 0.9)), 0.0)


def _errors(values: Sequence[float]) -> str:
    worst = max(values, key=abs)
    return f"{100 * statistics.fmean(values):+.0f} % ({100 * worst:+.0f})"


if __name__ == "__main__":
    sys.exit(main())
