"""The outcome of one policy in one replayed world: attainment in all and by hour, cost as billed, replicas, changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.billing import bill, replica_seconds
from medley_operator.replay.timeline import Point
from medley_operator.replay.traffic import Traffic
from medley_operator.replay.world import World

HOUR_SECONDS = 3600.0
JOULES_PER_KWH = 3.6e6
FEWEST_REQUESTS = 100
"""An hour with fewer requests is not judged."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds by request, in order of arrival; NaN where a request did not get so far, or has one token alone."""

    arrival: Floats
    ttft: Floats
    tpot: Floats
    finished: Bools

    @classmethod
    def of(cls, traffic: Traffic) -> Latencies:
        first, last = np.asarray(traffic.live.first_token), np.asarray(traffic.live.last_token)
        trace = traffic.trace
        several = trace.generation_tokens > 1
        tpot = np.full(len(trace), math.nan)
        tpot[several] = (last - first)[several] / (trace.generation_tokens[several] - 1)
        return cls(trace.arrival_seconds, first - trace.arrival_seconds, tpot, ~np.isnan(last))

    def within(self, service: LLMService) -> tuple[Bools, Bools]:
        """Requests that were served to their end within the target of TTFT, and of TPOT."""
        slo = service.spec.slo
        return self.finished & ~(self.ttft > slo.ttft_seconds), self.finished & ~(self.tpot > slo.tpot_seconds)


@dataclass(frozen=True, slots=True)
class HourOutcome:
    """One hour of one service. `attainment`: share of its requests within both targets; `ttft`, `tpot`: within one."""

    service: str
    hour: int
    requests: int
    attainment: float
    ttft: float
    tpot: float


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """`cost`: US dollars as billed; `attainment`: share of all requests within both targets; `worst_hour`: the least of
    the hours with at least 100 requests, or of all where there is none. `changes`: replicas that were started or
    stopped after the first. `unfinished`: requests that were lost, or not served when the replay ended. `timeline`: a
    point for each `step_seconds`; `minutes`: the attainment of what arrived from each point to the next, None without
    requests; `short_seconds`: the time in which that was below what a service asks for. `energy_kwh`: of the GPUs that
    replicas held; by tokens, those of prompts and answers that were served to their end. `capped_gpu_hours`: in which
    GPUs of replicas were held to lower clocks. `most_pressure`: by power domain, the largest part of its budget that it
    drew for two seconds."""

    name: str
    cost: float
    attainment: float
    worst_hour: float
    mean_replicas: float
    starts: int
    stops: int
    plans: int
    requests: int
    unfinished: int
    seconds: float
    cost_by_pool: Mapping[str, float]
    hours: tuple[HourOutcome, ...]
    timeline: tuple[Point, ...]
    step_seconds: float
    minutes: tuple[float | None, ...]
    short_seconds: float
    energy_kwh: float
    kwh_per_million_tokens: float | None
    capped_gpu_hours: float
    most_pressure: Mapping[str, float]
    note: str = ""

    @property
    def changes(self) -> int:
        return self.starts + self.stops


def outcome_of(name: str, world: World, *, end: float, plans: int, note: str = "") -> PolicyOutcome:
    """The world at its end, which `run` has given."""
    pods = [*world.cluster.gone, *world.cluster.pods.values()]
    costs = bill(pods, world.cluster.nodes.all, world.scenario.own.pools, world.prices, end=end)
    hours: list[HourOutcome] = []
    within, requests, unfinished, tokens = 0, 0, 0, 0
    energy_kwh = world.energy.joules / JOULES_PER_KWH
    edges = [*(point.seconds for point in world.timeline.points), math.inf]
    arrived, served = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    short = np.zeros(len(edges) - 1, dtype=np.bool_)
    for key, service in world.services.items():
        seen = Latencies.of(world.traffic[key])
        ttft, tpot = seen.within(service)
        good = ttft & tpot
        hours += _hours(key, seen.arrival, ttft, tpot)
        within, requests = within + int(good.sum()), requests + good.size
        unfinished += int((~seen.finished).sum())
        counts, goods = np.histogram(seen.arrival, edges)[0], np.histogram(seen.arrival[good], edges)[0]
        arrived, served = arrived + counts, served + goods
        trace = world.traffic[key].trace
        tokens += int((trace.prompt_tokens + trace.generation_tokens)[seen.finished].sum())
        short |= goods < counts * float(service.spec.slo.percentile) / 100.0
    judged = [hour for hour in hours if hour.requests >= FEWEST_REQUESTS] or hours
    return PolicyOutcome(
        name=name,
        cost=math.fsum(costs.values()),
        attainment=within / requests if requests else 1.0,
        worst_hour=min((hour.attainment for hour in judged), default=1.0),
        mean_replicas=replica_seconds(pods, end=end) / end if end > 0.0 else 0.0,
        starts=sum(pod.created > 0.0 for pod in pods),
        stops=sum(pod.terminating_since is not None for pod in pods),
        plans=plans,
        requests=requests,
        unfinished=unfinished,
        seconds=end,
        cost_by_pool=costs,
        hours=tuple(hours),
        timeline=tuple(world.timeline.points),
        step_seconds=world.timeline.step_seconds,
        minutes=tuple(float(good / count) if count else None for good, count in zip(served, arrived, strict=True)),
        short_seconds=float(short.sum()) * world.timeline.step_seconds,
        energy_kwh=energy_kwh,
        kwh_per_million_tokens=energy_kwh / tokens * 1e6 if tokens else None,
        capped_gpu_hours=world.energy.capped_gpu_seconds / HOUR_SECONDS,
        most_pressure=dict(world.power.most_pressure),
        note=note,
    )


def _hours(key: ServiceKey, arrival: Floats, ttft: Bools, tpot: Bools) -> Sequence[HourOutcome]:
    hour = (arrival // HOUR_SECONDS).astype(np.int64)
    requests = np.bincount(hour)
    both, first, later = (np.bincount(hour, weights=good) for good in (ttft & tpot, ttft, tpot))
    return [
        HourOutcome(
            key.problem_name, at, int(requests[at]), *(float(good[at] / requests[at]) for good in (both, first, later))
        )
        for at in np.flatnonzero(requests).tolist()
    ]
