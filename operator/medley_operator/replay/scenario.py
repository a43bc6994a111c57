"""The input of a replay: the objects that people wrote, the requests of each service, and the world around them.

A replay begins with a fleet that stands: policies size it for the first minutes of the load, which is written into
services that describe none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from medley_operator.api.v1alpha1 import LLMService, StaticWorkload
from medley_operator.domain.load.schedule import LoadSchedule
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.agenda import EPOCH_UNIX_SECONDS
from medley_operator.replay.faults import WorldFault
from medley_operator.replay.objects import OwnObjects
from medley_operator.replay.settings import WorldSettings
from medley_planner.check import demand_of_trace
from medley_planner.engine import Trace
from medley_planner.model import Demand
from medley_planner.units import rate

FIRST_SECONDS = 300.0
"""The load of so long at the start is known beforehand to all policies."""
STEP_SECONDS = 300.0
"""Peaks are means over such a time."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`traces` has the requests of every service; `drain_seconds`: how long after the last arrival requests may still
    finish, at most. `faults` must name pools that are there."""

    own: OwnObjects
    traces: Mapping[ServiceKey, Trace]
    settings: WorldSettings = field(default_factory=WorldSettings)
    drain_seconds: float = 600.0
    faults: tuple[WorldFault, ...] = ()

    @property
    def last_arrival_seconds(self) -> float:
        return max((float(trace.arrival_seconds[-1]) for trace in self.traces.values() if len(trace)), default=0.0)

    def first_demands(self) -> dict[ServiceKey, Demand]:
        """The load of each service at the start."""
        return {key: demand for key in self.traces if (demand := self._demand(key, 0.0, FIRST_SECONDS)) is not None}

    def demands(self) -> list[dict[ServiceKey, Demand]]:
        """The loads of all services, step by step."""
        steps = int(self.last_arrival_seconds // STEP_SECONDS) + 1
        return [
            {
                key: demand
                for key in self.traces
                if (demand := self._demand(key, at * STEP_SECONDS, (at + 1) * STEP_SECONDS)) is not None
            }
            for at in range(steps)
        ]

    def _demand(self, key: ServiceKey, start: float, end: float) -> Demand | None:
        trace = self.traces[key]
        first, last = np.searchsorted(trace.arrival_seconds, (start, end))
        end = min(end, self.last_arrival_seconds)
        if first == last or end <= start:
            return None
        part = Trace(
            trace.arrival_seconds[first:last], trace.prompt_tokens[first:last], trace.generation_tokens[first:last]
        )
        service = next(each for each in self.own.services if ServiceKey.of(each) == key)
        return demand_of_trace(part, len(part) / (end - start), max_model_len=service.spec.model.max_model_len)


def with_first_load(scenario: Scenario) -> Scenario:
    """The scenario, whose services without a static workload get the load of their first minutes as one."""
    services = tuple(_described(service, scenario) for service in scenario.own.services)
    return replace(scenario, own=replace(scenario.own, services=services))


def _described(service: LLMService, scenario: Scenario) -> LLMService:
    """Without the events that are in force in these minutes, since plans count with them."""
    demand = scenario.first_demands().get(ServiceKey.of(service))
    workload = service.spec.workload
    if workload.static is not None or demand is None:
        return service
    prompt, generation = (
        max(
            round(
                sum(share * getattr(bucket, name) for share, bucket in zip(demand.shares, demand.buckets, strict=True))
            ),
            1,
        )
        for name in ("prompt_tokens", "generation_tokens")
    )
    events = LoadSchedule.of(service, at_seconds=0.0, unix_seconds=EPOCH_UNIX_SECONDS)
    usual_rps = events.usual_rps(demand.rate_rps, FIRST_SECONDS, window_seconds=FIRST_SECONDS, kept_at=None)
    static = StaticWorkload(requests_per_second=rate(usual_rps), prompt_tokens=prompt, generation_tokens=generation)
    spec = service.spec.model_copy(update={"workload": workload.model_copy(update={"static": static})})
    return service.model_copy(update={"spec": spec})
