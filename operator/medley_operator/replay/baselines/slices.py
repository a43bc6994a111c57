"""The published slice program, run again every five minutes on the load as it is seen, without memory of what runs.

Routing favours it as far as a data path of equal pods can: each type gets its share of the Ready capacity. What goes
ends when all that was asked for is Ready, since the program alone would end it at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason
from medley_operator.replay.baselines.mixed import MixedFleets
from medley_operator.replay.baselines.single import BestType, Types, types_for
from medley_operator.replay.operator_loop import Tables
from medley_operator.replay.traffic import Route
from medley_operator.replay.world import World
from medley_planner.model import Demand
from medley_planner.slices import slice_fleet

AGAIN_SECONDS = 300.0


class SliceScaler:
    """Fleets of all types of one service. Begins with the program's answer to the load at the start."""

    def __init__(self, world: World, tables: Tables, key: ServiceKey, first: Demand) -> None:
        self._world, self._tables, self._key = world, tables, key
        self._fleets = MixedFleets(world, key)
        self._wanted: Mapping[str, int] = {}
        self.plans = 0
        self._plan(first, instant=True)

    def plan_again(self) -> None:
        seen = self._world.observe(self._key)
        if seen.reason is MetricsReason.FOUND and seen.demand is not None and seen.demand.rate_rps > 0.0:
            self._plan(seen.demand, instant=False)

    def settle(self) -> None:
        """Ends what is not wanted any more, once all that is wanted is Ready."""
        if self._fleets.ready(self._wanted):
            self._fleets.cut(self._wanted)

    def route(self) -> Route:
        return self._fleets.route()

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
        self._wanted = {name: count for name, count in found.items() if count > 0}
        self._fleets.expect(service, service.demand)
        self._fleets.grow(self._wanted, known, instant=instant)

    def _most(self, known: BestType | None) -> int:
        """Those that may be, by the service's bounds; none of a type that cannot serve all of the load alone, since
        each gets a part of all sizes."""
        return 0 if known is None else self._world.services[self._key].spec.scaling.max_replicas
