"""The policies that can be replayed, by name, and what each does in a world of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.bad_replay import BadReplay
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
    _types: tuple[Mapping[ServiceKey, BestType], Types] | None = None

    def world(self, name: str) -> World:
        world = World(self.scenario)
        told = self.progress
        if told is not None:
            last = max(self.scenario.last_arrival_seconds, 1.0)
            world.agenda.every(last / 100, lambda: told(name, min(world.now / last, 1.0)), first=0.0)
        return world

    def fleets(self, world: World, *, at_peak: bool) -> dict[ServiceKey, SingleTypeFleet]:
        """Fleets of the best single types, with the replicas for the largest load or for that at the start. Raises
        BadReplay where no type can serve a service alone."""
        best, firsts = self._best()
        fleets = {}
        for key, chosen in best.items():
            first = firsts.get(key, {}).get(chosen.variant.name)
            replicas = chosen.replicas if at_peak or first is None else first.replicas
            fleets[key] = SingleTypeFleet(world, key, chosen, replicas=replicas)
        return fleets

    @property
    def types_text(self) -> str:
        return ", ".join(f"{key.name}: {best.variant.name}" for key, best in sorted(self._best()[0].items()))

    def _best(self) -> tuple[Mapping[ServiceKey, BestType], Types]:
        """The best types, and what each type takes at the start."""
        if self._types is None:
            scenario = self.scenario
            best = best_types(types_for(scenario, self.tables, scenario.demands()))
            for key in scenario.traces:
                if key not in best:
                    raise BadReplay.whole(
                        f"LLMService {key.problem_name}",
                        "no single GPU type serves all of its load, so that there is no static fleet, HPA or control "
                        "law to compare with; give --policy medley, or more pools or stock",
                    )
            self._types = best, types_for(scenario, self.tables, [scenario.first_demands()])
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
    replay.fleets(world, at_peak=True)
    end = world.run()
    return outcome_of("static", world, end=end, plans=0, note=replay.types_text)


def hpa(replay: Replay) -> PolicyOutcome:
    """The best of several targets: the cheapest that keeps the percentile over all requests, else the one with the
    best attainment."""
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
    kept = [each for each in found.values() if _keeps(replay.scenario, each)]
    return min(kept, key=lambda each: each.cost) if kept else max(found.values(), key=lambda each: each.attainment)


def slo_law(replay: Replay) -> PolicyOutcome:
    """The SLO-aware control law of llm-d on the best single type."""
    world = replay.world("llm-d")
    for key, fleet in replay.fleets(world, at_peak=False).items():
        world.agenda.every(LOOK_SECONDS, SloLawScaler(world, key, fleet).look, first=LOOK_SECONDS)
    end = world.run()
    return outcome_of("llm-d", world, end=end, plans=0, note=replay.types_text)


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


POLICIES: Mapping[str, Callable[[Replay], PolicyOutcome]] = MappingProxyType(
    {"medley": medley, "static": static, "hpa": hpa, "llm-d": slo_law, "slices": slices}
)


def _hpa(replay: Replay, target: float) -> PolicyOutcome:
    world = replay.world("hpa")
    for key, fleet in replay.fleets(world, at_peak=False).items():
        world.agenda.every(LOOK_SECONDS, HpaScaler(world, key, fleet, target).look, first=LOOK_SECONDS)
    end = world.run()
    note = f"{decimal(target, digits=1)} requests per pod; {replay.types_text}"
    return outcome_of("hpa", world, end=end, plans=0, note=note)


def _keeps(scenario: Scenario, outcome: PolicyOutcome) -> bool:
    return outcome.attainment >= min(service.spec.slo.percentile for service in scenario.own.services) / 100.0
