"""The days that `make bench-day` replays: six loads on four pools at list prices, for an 8B model behind a Gateway."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medley_operator.api.v1alpha1 import GPUPool, LLMService
from medley_operator.cli.plan import default_profile
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.arrivals import RateCurve, made_up, rate_curve, request_sizes, with_sizes_of
from medley_operator.replay.objects import OwnObjects
from medley_operator.replay.scenario import Scenario, with_first_load
from medley_operator.replay.settings import WorldSettings
from medley_planner.cli.trace_file import read_trace
from medley_planner.engine import Trace
from tests.perf.inputs import AZURE, MODEL, SHARED

DAY_SECONDS = 86400.0
HOUR_SECONDS = 3600.0
LEAST_OF_DAY = 0.2
"""The night's part of the day's peak in the diurnal curve."""
STARTUP_SECONDS = 120.0
PRICES = {"L4": 0.805, "L40S": 1.861, "A100-80": 3.431, "H100": 6.88}
"""US dollars per GPU and hour, as in examples/quickstart."""


@dataclass(frozen=True, slots=True)
class ReplayDay:
    """`trace` makes the requests from a seed; the service has these targets and longest request."""

    trace: Callable[[int], Trace]
    ttft: str = "2s"
    tpot: str = "60ms"
    max_model_len: int = 16384


def azure(seed: int) -> Trace:
    """The hour of the trace twice over, shifted by half an hour, all day long, thinned to a diurnal curve."""
    return _tiled(read_trace(AZURE), copies=2, seed=seed)


def mooncake(seed: int) -> Trace:
    return _tiled(read_trace(SHARED / "mooncake_conversation_trace.jsonl"), copies=1, seed=seed)


def servegen(name: str, day: int, *, mean_rps: float) -> Callable[[int], Trace]:
    """One day of rates, scaled to a mean, with the sizes of the Azure trace."""

    def made(seed: int) -> Trace:
        with (SHARED / f"servegen_language_m_{name}_rate10min.csv").open(newline="", encoding="utf-8") as file:
            rates = [float(row["requests_per_second"]) for row in csv.DictReader(file)][144 * day : 144 * (day + 1)]
        scale = mean_rps * len(rates) / math.fsum(rates)
        return with_sizes_of(RateCurve(tuple((600.0, scale * rate) for rate in rates)), read_trace(AZURE), seed=seed)

    return made


def ramp(seed: int) -> Trace:
    """Eight times the rate in six hours, and back."""
    up, down = rate_curve("ramp:3-24x6h"), rate_curve("ramp:24-3x6h")
    return with_sizes_of(RateCurve((*up.slices, *down.slices)), read_trace(AZURE), seed=seed)


def drift(seed: int) -> Trace:
    """A level rate, whose prompts grow from 300 to 6,000 tokens and generations from 100 to 300."""
    return made_up(rate_curve("constant:8x12h"), request_sizes("300x100-6000x300", spread=0.6), seed=seed)


DAYS: Mapping[str, ReplayDay] = {
    "Azure conversation": ReplayDay(azure),
    "Mooncake conversation": ReplayDay(mooncake, ttft="10s", tpot="100ms", max_model_len=131072),
    "ServeGen large, day 8": ReplayDay(servegen("large", 8, mean_rps=6.0)),
    "ServeGen mid, day 4": ReplayDay(servegen("mid", 4, mean_rps=6.0)),
    "8-fold ramp": ReplayDay(ramp),
    "drift short to long": ReplayDay(drift),
}


def day_scenario(name: str, *, seed: int, hours: float) -> Scenario:
    """The day, or its first hours. Raises FileNotFoundError where the shared data is not there."""
    day = DAYS[name]
    trace = day.trace(seed)
    kept = int(np.searchsorted(trace.arrival_seconds, hours * HOUR_SECONDS))
    trace = Trace(trace.arrival_seconds[:kept], trace.prompt_tokens[:kept], trace.generation_tokens[:kept])
    return scenario_of(ReplayDay(lambda _: trace, day.ttft, day.tpot, day.max_model_len), seed=seed)


def scenario_of(day: ReplayDay, *, seed: int) -> Scenario:
    """The requests of the day to one service on the four pools."""
    service = LLMService.model_validate(
        {
            "metadata": {"name": "llama", "namespace": "demo", "uid": "llama", "generation": 1},
            "spec": {
                "model": {"uri": f"hf://{MODEL}", "maxModelLen": day.max_model_len},
                "slo": {"ttft": day.ttft, "tpot": day.tpot, "percentile": 95},
                "scaling": {"minReplicas": 1, "maxReplicas": 64},
                "routing": {"gatewayRef": {"name": "inference"}},
            },
        }
    )
    own = OwnObjects((service,), tuple(_pool(gpu, price) for gpu, price in PRICES.items()), (default_profile(),))
    settings = WorldSettings(startup_seconds=STARTUP_SECONDS, seed=seed)
    return with_first_load(Scenario(own, {ServiceKey.of(service): day.trace(seed)}, settings))


def _pool(gpu: str, price: float) -> GPUPool:
    name = gpu.lower()
    return GPUPool.model_validate(
        {
            "metadata": {"name": name, "uid": name, "generation": 1},
            "spec": {
                "gpu": gpu,
                "nodeSelector": {"gpu": name},
                "capacity": {"type": "Fixed", "nodes": 8, "gpusPerNode": 8},
                "cost": {"perHour": str(price)},
            },
        }
    )


def _tiled(source: Trace, *, copies: int, seed: int) -> Trace:
    """The first hour of a trace again and again for a day, thinned by the time of the day."""
    rng = np.random.default_rng([seed, 3])
    first = source.arrival_seconds < HOUR_SECONDS
    arrivals = source.arrival_seconds[first]
    prompts, generations = source.prompt_tokens[first], source.generation_tokens[first]
    starts = [hour * HOUR_SECONDS for hour in range(round(DAY_SECONDS / HOUR_SECONDS))]
    shifts = [HOUR_SECONDS * copy / copies for copy in range(copies)]
    every = np.concatenate([start + (arrivals + shift) % HOUR_SECONDS for start in starts for shift in shifts])
    share = LEAST_OF_DAY + (1 - LEAST_OF_DAY) * (1 - np.cos(2 * np.pi * every / DAY_SECONDS)) / 2
    kept = rng.random(every.size) < share
    times = len(starts) * copies
    return Trace.of(every[kept], np.tile(prompts, times)[kept], np.tile(generations, times)[kept])
