"""Fleets of several GPU types of one service, which one data path serves."""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import ServiceRoutingMode
from medley_operator.domain.rollout.weights import mix_capacity_rps
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.baselines.single import BestType, SingleTypeFleet
from medley_operator.replay.routes import plain_route
from medley_operator.replay.traffic import Backend, Route
from medley_operator.replay.world import World
from medley_planner.model import Demand, Service

LOOK_SECONDS = 15.0
"""How often it is looked whether all that was asked for is Ready."""


class MixedFleets:
    """Grows as asked; what goes is ended by the caller, when its successors are Ready. By weights, each type gets its
    share of the Ready capacity for the sizes that are expected."""

    def __init__(self, world: World, key: ServiceKey) -> None:
        self._world, self._key = world, key
        self._fleets: dict[str, SingleTypeFleet] = {}
        self._capacity: dict[str, float] = {}

    def expect(self, service: Service, demand: Demand) -> None:
        """Weights are for these sizes from the next change of a pod on. `service`: its variants have the buckets of
        `demand`."""
        buckets = frozenset(range(len(demand.buckets)))
        for variant in service.variants:
            self._capacity[variant.name] = mix_capacity_rps(demand, variant.capacity_rps, buckets)

    def grow(self, wanted: Mapping[str, int], types: Mapping[str, BestType], *, instant: bool) -> None:
        """At least so many replicas of each type by its name. `instant`: those of types that are new are Ready now."""
        for name, count in wanted.items():
            if name not in self._fleets and count > 0:
                self._fleets[name] = SingleTypeFleet(
                    self._world, self._key, types[name], replicas=count, least=0, instant=instant
                )
            elif name in self._fleets and count > self._fleets[name].replicas:
                self._fleets[name].scale(count)

    def ready(self, wanted: Mapping[str, int]) -> bool:
        """Whether so many replicas of each type are Ready."""
        return all(count == 0 or self._fleets[name].ready >= count for name, count in wanted.items())

    def cut(self, wanted: Mapping[str, int]) -> None:
        """Ends replicas until so many of each type are left."""
        for name, fleet in self._fleets.items():
            fleet.scale(min(wanted.get(name, 0), fleet.replicas))

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
