"""The policies that can be replayed, by name, and what each does in a world of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.bad_replay import BadReplay
from medley_operator.replay.baselines.clairvoyant import NAME as CLAIRVOYANT
from medley_operator.replay.baselines.clairvoyant import STRETCH_SECONDS, ForeseenFleets, foresee
from medley_operator.replay.baselines.scalers import LOOK_SECONDS, HpaScaler, SloLawScaler
from medley_operator.replay.baselines.single import BestType, SingleTypeFleet, Types, best_types, types_for
from medley_operator.replay.baselines.slices import AGAIN_SECONDS, SliceScaler
from medley_operator.replay.operator_loop import OperatorLoop, Tables
from medley_operator.replay.outcome import PolicyOutcome, outcome_of
from medley_operator.replay.scenario import Scenario
from medley_operator.replay.world import World
from medley_planner.units import decimal

HPA_TARGETS = (2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0)
"""Requests per pod that are tried."""
Progress = Callable[[str, float], None]
"""Gets the policy and the share of its replay that is done."""


@dataclass(slots=True)
class Replay:
    """The input that all policies are replayed with. `tables`: simulated capacities that are planned with."""

    scenario: Scenario
    tables: Tables
    progress: Progress | None = None
    _types: tuple[Types, Types] | None = None

    def world(self, name: str) -> World:
        world = World(self.scenario)
        told = self.progress
        if told is not None:
            last = max(self.scenario.last_arrival_seconds, 1.0)
            world.agenda.every(last / 100, lambda: told(name, min(world.now / last, 1.0)), first=0.0)
        return world

    def fleets(
        self, world: World, chosen: Mapping[ServiceKey, BestType], *, at_peak: bool
    ) -> dict[ServiceKey, SingleTypeFleet]:
        """Fleets of single types, with the replicas for the largest load or for that at the start."""
        _, firsts = self._known()
        fleets = {}
        for key, best in chosen.items():
            first = firsts.get(key, {}).get(best.variant.name)
            replicas = best.replicas if at_peak or first is None else first.replicas
            fleets[key] = SingleTypeFleet(world, key, best, replicas=replicas)
        return fleets

    def best(self, pool: str = "") -> Mapping[ServiceKey, BestType]:
        """The single type of each service that serves its largest load at the least cost; of one pool, where one is
        named and serves it. Raises BadReplay where no type can serve a service alone."""
        peak, _ = self._known()
        best = best_types(peak)
        for key in self.scenario.traces:
            if key not in best:
                raise BadReplay.whole(
                    f"LLMService {key.problem_name}",
                    "no single GPU type serves all of its load, and static, hpa and llm-d use one type each; give "
                    "--policy medley, or add pools or stock",
                )
        return {**best, **best_types(peak, pool)} if pool else best

    def pools(self) -> list[str]:
        """Pools that serve some service alone."""
        peak, _ = self._known()
        return sorted({each.variant.pool for types in peak.values() for each in types.values() if each is not None})

    def _known(self) -> tuple[Types, Types]:
        """The replicas of each type for the largest load, and at the start."""
        if self._types is None:
            scenario = self.scenario
            at_start = types_for(scenario, self.tables, [scenario.first_demands()])
            self._types = types_for(scenario, self.tables, scenario.demands()), at_start
        return self._types


def medley(replay: Replay) -> PolicyOutcome:
    """The operator itself."""
    world = replay.world("medley")
    loop = OperatorLoop(world, replay.tables)
    loop.begin()
    end = world.run()
    return outcome_of("medley", world, end=end, plans=loop.plans)


def static(replay: Replay) -> PolicyOutcome:
    """The best single type, sized for the largest load, and never changed."""
    world = replay.world("static")
    chosen = replay.best()
    replay.fleets(world, chosen, at_peak=True)
    end = world.run()
    return outcome_of("static", world, end=end, plans=0, note=_text(chosen))


def hpa(replay: Replay) -> PolicyOutcome:
    """The best single type with the best of several targets: the cheapest that keeps the percentile over all requests,
    else the one with the best attainment."""
    found: dict[float, PolicyOutcome] = {}
    low, high = 0, len(HPA_TARGETS) - 1
    # A higher target means fewer replicas: the largest that keeps the percentile is looked for by halves.
    while low <= high:
        middle = (low + high) // 2
        target = HPA_TARGETS[middle]
        found[target] = _hpa(replay, target)
        if _keeps(replay.scenario, found[target]):
            low = middle + 1
        else:
            high = middle - 1
    return _best_of(replay.scenario, list(found.values()))


def slo_law(replay: Replay) -> PolicyOutcome:
    """The SLO-aware control law of llm-d on each pool's best type: the cheapest that keeps the percentile over all
    requests counts. On a type whose lone step takes more than 0.55 of the target, the law only ever grows."""
    replay.best()
    return _best_of(replay.scenario, [_slo_law(replay, pool) for pool in replay.pools()])


def slices(replay: Replay) -> PolicyOutcome:
    """The slice program every five minutes, over all types."""
    world = replay.world("slices")
    scalers = {
        key: SliceScaler(world, replay.tables, key, demand) for key, demand in replay.scenario.first_demands().items()
    }
    world.routes = lambda key: scalers[key].route()
    for scaler in scalers.values():
        world.agenda.every(AGAIN_SECONDS, scaler.plan_again, first=AGAIN_SECONDS)
        world.agenda.every(LOOK_SECONDS, scaler.settle, first=LOOK_SECONDS)
    end = world.run()
    return outcome_of("slices", world, end=end, plans=sum(scaler.plans for scaler in scalers.values()))


def clairvoyant(replay: Replay) -> PolicyOutcome:
    """The cheapest row of fleets with the whole trace known: without headroom and by the longest stretches, where that
    keeps the percentile in every hour. Raises LeftOut where it cannot be found."""
    found: list[PolicyOutcome] = []
    for headroom, seconds in itertools.product((False, True), STRETCH_SECONDS):
        found.append(_clairvoyant(replay, seconds, headroom=headroom))
        if found[-1].worst_hour >= _percentile(replay.scenario):
            return found[-1]
    return _best_of(replay.scenario, found)


POLICIES: Mapping[str, Callable[[Replay], PolicyOutcome]] = MappingProxyType(
    {"medley": medley, "static": static, "hpa": hpa, "llm-d": slo_law, "slices": slices, CLAIRVOYANT: clairvoyant}
)


def _hpa(replay: Replay, target: float) -> PolicyOutcome:
    world = replay.world("hpa")
    chosen = replay.best()
    for key, fleet in replay.fleets(world, chosen, at_peak=False).items():
        world.agenda.every(LOOK_SECONDS, HpaScaler(world, key, fleet, target).look, first=LOOK_SECONDS)
    end = world.run()
    note = f"{decimal(target, digits=1)} requests per pod; {_text(chosen)}"
    return outcome_of("hpa", world, end=end, plans=0, note=note)


def _slo_law(replay: Replay, pool: str) -> PolicyOutcome:
    world = replay.world("llm-d")
    chosen = replay.best(pool)
    for key, fleet in replay.fleets(world, chosen, at_peak=False).items():
        world.agenda.every(LOOK_SECONDS, SloLawScaler(world, key, fleet).look, first=LOOK_SECONDS)
    end = world.run()
    return outcome_of("llm-d", world, end=end, plans=0, note=_text(chosen))


def _clairvoyant(replay: Replay, stretch_seconds: float, *, headroom: bool) -> PolicyOutcome:
    foreseen = foresee(replay.scenario, replay.tables, stretch_seconds=stretch_seconds, headroom=headroom)
    world = replay.world(CLAIRVOYANT)
    fleets = ForeseenFleets(world, foreseen)
    world.routes = lambda key: fleets.route()
    end = world.run()
    note = f"by {stretch_seconds:g} s, {'with' if headroom else 'without'} headroom"
    schedule = foreseen.schedule
    if schedule.bound < schedule.cost:
        gap_percent = 100.0 * (1.0 - schedule.bound / schedule.cost)
        note += f"; within {decimal(gap_percent, digits=1)} % of the cheapest row"
    return outcome_of(CLAIRVOYANT, world, end=end, plans=1, note=note)


def _best_of(scenario: Scenario, outcomes: Sequence[PolicyOutcome]) -> PolicyOutcome:
    """The cheapest that keeps the percentile over all requests, else the one with the best attainment."""
    kept = [each for each in outcomes if _keeps(scenario, each)]
    return min(kept, key=lambda each: each.cost) if kept else max(outcomes, key=lambda each: each.attainment)


def _text(chosen: Mapping[ServiceKey, BestType]) -> str:
    return ", ".join(f"{key.name}: {best.variant.name}" for key, best in sorted(chosen.items()))


def _keeps(scenario: Scenario, outcome: PolicyOutcome) -> bool:
    return outcome.attainment >= _percentile(scenario)


def _percentile(scenario: Scenario) -> float:
    """The least share of requests within both targets that a service asks for."""
    return min(service.spec.slo.percentile for service in scenario.own.services) / 100.0
