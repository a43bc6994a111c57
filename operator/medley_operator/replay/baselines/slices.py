"""The published slice program, run again every five minutes on the load as it is seen, without memory of what runs.

Routing favours it as far as a data path of equal pods can: each type gets its share of the Ready capacity. What goes
ends when all that was asked for is Ready, since the program alone would end it at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import ServiceRoutingMode
from medley_operator.domain.rollout.weights import mix_capacity_rps
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason
from medley_operator.replay.baselines.single import BestType, SingleTypeFleet, Types, types_for
from medley_operator.replay.operator_loop import Tables
from medley_operator.replay.routes import plain_route
from medley_operator.replay.traffic import Backend, Route
from medley_operator.replay.world import World
from medley_planner.model import Demand
from medley_planner.slices import slice_fleet

AGAIN_SECONDS = 300.0
LOOK_SECONDS = 15.0
"""How often it is looked whether all that was asked for is Ready."""


class SliceScaler:
    """Fleets of all types of one service. Begins with the program's answer to the load at the start."""

    def __init__(self, world: World, tables: Tables, key: ServiceKey, first: Demand) -> None:
        self._world, self._tables, self._key = world, tables, key
        self._fleets: dict[str, SingleTypeFleet] = {}
        self._capacity: dict[str, float] = {}
        self._wanted: Mapping[str, int] = {}
        self.plans = 0
        self._plan(first, instant=True)

    def plan_again(self) -> None:
        seen = self._world.observe(self._key)
        if seen.reason is MetricsReason.FOUND and seen.demand is not None and seen.demand.rate_rps > 0.0:
            self._plan(seen.demand, instant=False)

    def settle(self) -> None:
        """Ends what is not wanted any more, once all that is wanted is Ready."""
        if all(self._fleets[name].ready >= count for name, count in self._wanted.items()):
            for name, fleet in self._fleets.items():
                fleet.scale(self._wanted.get(name, 0))

    def route(self) -> Route:
        service = self._world.services[self._key]
        mode = service.spec.routing.effective_mode()
        if mode is not ServiceRoutingMode.HTTP_ROUTE:
            return plain_route(mode, self._world.cluster.of_service(self._key))
        backends = []
        for name, fleet in sorted(self._fleets.items()):
            engines = tuple(pod.engine for pod in fleet.pods if pod.ready and pod.engine is not None)
            if engines and self._capacity[name] > 0.0:
                backends.append(Backend(len(engines) * self._capacity[name], engines))
        return Route(backends=tuple(backends))

    def _plan(self, demand: Demand, *, instant: bool) -> None:
        types: Types = types_for(self._world.scenario, self._tables, [{self._key: demand}])
        known = {name: each for name, each in types.get(self._key, {}).items() if each is not None}
        if not known:
            return
        self.plans += 1
        service = next(iter(known.values())).service
        most = {variant.name: self._most(known.get(variant.name)) for variant in service.variants}
        found = slice_fleet(service, most=most)
        if found is None:
            return
        buckets = frozenset(range(len(demand.buckets)))
        for variant in service.variants:
            self._capacity[variant.name] = mix_capacity_rps(service.demand, variant.capacity_rps, buckets)
        self._wanted = {name: count for name, count in found.items() if count > 0}
        for name, count in self._wanted.items():
            if name not in self._fleets:
                self._fleets[name] = SingleTypeFleet(
                    self._world, self._key, known[name], replicas=count, least=0, instant=instant
                )
            elif count > self._fleets[name].replicas:
                self._fleets[name].scale(count)

    def _most(self, known: BestType | None) -> int:
        """Those that may be, by the service's bounds; none of a type that cannot serve all of the load alone, since
        each gets a part of all sizes."""
        return 0 if known is None else self._world.services[self._key].spec.scaling.max_replicas
