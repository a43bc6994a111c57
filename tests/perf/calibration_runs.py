"""Runs of a simulated engine with hidden factors, seen as a scraper sees it: counters and sampled gauges by window.

What `bench_calibration` and the tests of the filter share. The engine is that of the end-to-end fleet, which keeps
vLLM's counters; everything is seeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from e2e.fleet.engine import Engine, ServedEngine
from e2e.fleet.requests import Request
from medley_planner.capacity import StepFactors
from medley_planner.capacity.calibrate import Prior
from medley_planner.capacity.window import Window
from medley_planner.engine import EngineSpec, StepTable
from tests.perf.inputs import AZURE, MODEL, azure_sizes, fit_of, step_of

MAX_MODEL_LEN = 16_384
TOKEN_BUDGET = 2048
WINDOW_SECONDS = 60.0
SCRAPE_SECONDS = 15.0
WARM_UP_SECONDS = 60.0
NOISE = 0.05

Sizes = Sequence[tuple[int, int]]


def request_sizes() -> tuple[Sizes, str]:
    """(prompt, generation) tokens, and where they are from: the Azure conversation trace, else drawn alike."""
    if AZURE.exists():
        sizes = [(max(prompt, 1), max(generation, 1)) for prompt, generation in azure_sizes()]
        return sizes, "Azure conversation trace"
    draw = Random(7)  # noqa: S311 - sizes, no secrets
    lengths = [(draw.lognormvariate(6.6, 0.9), draw.lognormvariate(5.0, 0.8)) for _ in range(20_000)]
    return [(min(round(p) + 1, 8000), min(round(g) + 1, 1500)) for p, g in lengths], "drawn"


def prior_of(name: str) -> Prior:
    """The estimate of one GPU, with its parts multiplied by what it is given."""
    return partial(step_of, name)


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters that a scrape reads."""

    steps: int
    prefill: int
    prompts: int
    decodes: int
    decode_seconds: float
    preemptions: int

    @classmethod
    def of(cls, engine: Engine) -> Counts:
        meter = engine.meter
        return cls(
            steps=meter.step_tokens.count,
            prefill=meter.prompt_tokens,
            prompts=meter.ttft_seconds.count,
            decodes=meter.inter_token_seconds.count,
            decode_seconds=meter.inter_token_seconds.total,
            preemptions=meter.preemptions,
        )


class Run:
    """One engine of `gpu_name` that is `truth` of its estimate, under loads that change from window to window."""

    def __init__(self, gpu_name: str, truth: StepFactors, sizes: Sizes, *, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - arrivals, no secrets
        self._sizes = sizes
        step = prior_of(gpu_name)(truth)
        spec = EngineSpec(
            step,
            token_budget=TOKEN_BUDGET,
            max_sequences=256,
            kv_tokens=fit_of(gpu_name, max_model_len=MAX_MODEL_LEN).kv_tokens,
            max_model_len=MAX_MODEL_LEN,
        )
        table = StepTable.of(step, token_budget=TOKEN_BUDGET, max_sequences=spec.max_sequences)
        self._engine = Engine(ServedEngine(MODEL, 0.9, spec, table), start=0.0)
        self._now = 0.0

    @property
    def kv_tokens(self) -> int:
        return self._engine.served.spec.kv_tokens

    def windows(self, rates: Sequence[float], *, noise: float = NOISE) -> Iterator[Window]:
        """A window at each rate (requests per second), after some time at the first one."""
        self._serve(rates[0], WARM_UP_SECONDS)
        for rate in rates:
            yield self._window(rate, noise)

    def _window(self, rate: float, noise: float) -> Window:
        before, gauges = Counts.of(self._engine), []
        for _ in range(round(WINDOW_SECONDS / SCRAPE_SECONDS)):
            self._serve(rate, SCRAPE_SECONDS)
            gauges.append((self._engine.running, self._engine.waiting, self._engine.kv_usage))
        after = Counts.of(self._engine)
        running, waiting, usage = (sum(values) / len(gauges) for values in zip(*gauges, strict=True))
        decodes = after.decodes - before.decodes
        latency = (after.decode_seconds - before.decode_seconds) / max(decodes, 1)
        return Window(
            steps=after.steps - before.steps,
            prefill_tokens=after.prefill - before.prefill,
            prompts=after.prompts - before.prompts,
            decode_tokens=decodes,
            inter_token_seconds=latency * max(self._random.gauss(1.0, noise), 0.5),
            running=running,
            waiting=waiting,
            kv_tokens=usage * self.kv_tokens,
            preemptions=after.preemptions - before.preemptions,
            seconds=WINDOW_SECONDS,
            token_budget=TOKEN_BUDGET,
        )

    def _serve(self, rate: float, seconds: float) -> None:
        end = self._now + seconds
        gap = partial(self._random.expovariate, rate)
        arrival = self._now + gap()
        while arrival < end:
            prompt, generation = self._random.choice(self._sizes)
            self._engine.submit(Request(arrival=arrival, prompt_tokens=prompt, generation_tokens=generation))
            arrival += gap()
        self._engine.advance(end)
        self._now = end
