"""The cheapest row of fleets with the whole trace known, started one lead time ahead.

It knows arrivals and sizes, not what is left to chance: how long a pod takes to start, and faults. Capacities and
limits are those that Medley plans with. Headroom is for a load that is not known, and may be left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medley_operator.api.v1alpha1 import CapacityType
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.bad_replay import BadReplay, LeftOut
from medley_operator.replay.baselines.mixed import LOOK_SECONDS, MixedFleets
from medley_operator.replay.baselines.single import BestType, planned_with
from medley_operator.replay.operator_loop import Tables
from medley_operator.replay.scenario import Scenario
from medley_operator.replay.traffic import Route
from medley_operator.replay.world import World
from medley_planner.bad_input import BadInput
from medley_planner.check import demands_of_trace
from medley_planner.model import Problem
from medley_planner.over_time import Schedule, Stretch, cheapest_schedule, within_reach

NAME = "clairvoyant"
STRETCH_SECONDS = (300.0, 120.0, 60.0)
"""Lengths of stretches that are tried, the longest first. Each stretch is planned for its mean load: long ones are
cheap, since a short mean follows every chance swing of arrivals, but a step of the load within one is served late."""
LATE_DEVIATIONS = 1.2815515655446004
"""Standard deviations of a normal distribution that nine in ten are below: so many pods are Ready in time."""
_SLACK_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The schedule of one service. `edges`: begin of each stretch and end of the last one, in seconds; `lead_seconds`:
    from creation to Ready, by variant, as are the counts of a fleet."""

    key: ServiceKey
    problem: Problem
    types: Mapping[str, BestType]
    lead_seconds: tuple[float, ...]
    edges: tuple[float, ...]
    stretches: tuple[Stretch, ...]
    schedule: Schedule


def foresee(scenario: Scenario, tables: Tables, *, stretch_seconds: float, headroom: bool) -> Foreseen:
    """Plans the whole trace in stretches of so many seconds, the last one of half to 1.5 times as many. Raises LeftOut
    with the reason where no such schedule can be found."""
    if len(scenario.own.services) != 1:
        raise LeftOut(NAME, f"schedules are found for one service, and here are {len(scenario.own.services)}")
    key, trace = next(iter(scenario.traces.items()))
    own = scenario.own.services[0]
    last = scenario.last_arrival_seconds
    edges = (*(stretch_seconds * at for at in range(max(round(last / stretch_seconds), 1))), last)
    longest = own.spec.model.max_model_len
    # One demand of all requests, so that every stretch has the same cells, and their capacities.
    (whole,) = demands_of_trace(trace, (0.0, math.nextafter(last, math.inf)), max_model_len=longest)
    prepared = prepare(planned_with(scenario, tables, {key: whole}), FleetMemory())
    candidate = next((each for each in prepared.services if each.key == key), None)
    if prepared.problem is None or candidate is None or not prepared.problem.services:
        raise BadReplay.whole(f"LLMService {key.problem_name}", "nothing can be planned for it; `medley plan` says why")
    service = prepared.problem.services[0]
    if service.demand.buckets != whole.buckets:
        raise LeftOut(
            NAME, "spec.workload.source is Static, so that no plan is for the sizes of the trace; leave it Auto"
        )
    if not headroom:
        service = replace(service, utilisation_limit=1.0, staffing_beta=0.0)
    known = {each.variant.name: each for each in candidate.variants if each.replica is not None}
    variants = tuple(
        replace(variant, current_replicas=0, startup_seconds=_lead_seconds(scenario, variant.pool))
        for variant in service.variants
        if variant.name in known
    )
    problem = replace(prepared.problem, services=(replace(service, variants=variants),))
    demands = demands_of_trace(trace, edges, max_model_len=longest)
    lengths = np.diff(edges).tolist()
    asked = [Stretch(seconds, demand) for seconds, demand in zip(lengths, demands, strict=True)]
    drain = own.spec.drain
    answer_seconds = float(np.mean(trace.generation_tokens)) * own.spec.slo.tpot_seconds
    try:
        stretches = within_reach(problem, asked)
        drain_seconds = drain.pre_stop_seconds + min(answer_seconds, drain.timeout_seconds)
        schedule = cheapest_schedule(problem, stretches, drain_seconds=drain_seconds)
    except BadInput as error:
        raise LeftOut(NAME, str(error)) from None
    types = {variant.name: BestType(known[variant.name], problem.services[0], 1) for variant in variants}
    leads = tuple(variant.startup_seconds for variant in variants)
    return Foreseen(key, problem, types, leads, edges, tuple(stretches), schedule)


class ForeseenFleets:
    """Carries a schedule out: pods are created one lead time before their stretch, and what it needs no more ends when
    all of it is Ready, one lead time later at the latest. The fleet at the start stands."""

    def __init__(self, world: World, foreseen: Foreseen) -> None:
        self._world, self._foreseen = world, foreseen
        self._fleets = MixedFleets(world, foreseen.key)
        self._at = -1
        self._turn(instant=True)
        for begin in foreseen.edges[1:-1]:
            for ahead in {0.0, *foreseen.lead_seconds}:
                world.agenda.at(begin - ahead, self._turn)
        world.agenda.every(LOOK_SECONDS, self._settle, first=LOOK_SECONDS)

    def route(self) -> Route:
        return self._fleets.route()

    def _turn(self, *, instant: bool = False) -> None:
        """Creates what is to be Ready one lead time from now."""
        foreseen = self._foreseen
        at = int(np.searchsorted(foreseen.edges[1:-1], self._world.now + _SLACK_SECONDS, side="right"))
        if at != self._at:
            self._at = at
            self._fleets.expect(foreseen.problem.services[0], foreseen.stretches[at].demand)
            self._world.dirty()
        self._fleets.grow(self._needed(), foreseen.types, instant=instant)
        self._settle()

    def _settle(self) -> None:
        foreseen = self._foreseen
        own = self._named(foreseen.schedule.fleets[self._at])
        waited = self._world.now - foreseen.edges[self._at]
        if self._fleets.ready(own) or waited >= max(foreseen.lead_seconds, default=0.0):
            self._fleets.cut(self._needed())

    def _needed(self) -> dict[str, int]:
        """The most replicas of each type until a lead time from now."""
        foreseen = self._foreseen
        needed = []
        for place, lead in enumerate(foreseen.lead_seconds):
            until = int(np.searchsorted(foreseen.edges[1:-1], self._world.now + lead + _SLACK_SECONDS, side="right"))
            needed.append(max(fleet[place] for fleet in foreseen.schedule.fleets[self._at : until + 1]))
        return self._named(needed)

    def _named(self, fleet: list[int] | tuple[int, ...]) -> dict[str, int]:
        names = (variant.name for variant in self._foreseen.problem.services[0].variants)
        return dict(zip(names, fleet, strict=True))


def _lead_seconds(scenario: Scenario, pool: str) -> float:
    """From a pod's creation to Ready, for nine in ten pods."""
    settings = scenario.settings
    elastic = any(
        each.spec.capacity.type is CapacityType.ELASTIC for each in scenario.own.pools if each.metadata.name == pool
    )
    starts = settings.startup_of(pool) * math.exp(LATE_DEVIATIONS * settings.startup_spread)
    return starts + (settings.node_seconds if elastic else 0.0)
