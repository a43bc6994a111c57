"""All that a check of an LLMService may look at: the service, the round, and what follows from both.

Pure. What is worked out on the way (load, shape, variants) is worked out once, when the first check asks for it: each
such fact says which checks must have passed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.cluster.startup import longest_startup_seconds
from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.load.schedule import LoadSchedule
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.candidates import DemandChoice, PoolState
from medley_operator.domain.values.catalogue import find_shape
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import InvalidObject, ObjectKey, Snapshot
from medley_operator.domain.variants.choose import OfferedVariants, offered_variants
from medley_planner.capacity import EngineKey, Speed
from medley_planner.refusal import Refusal
from medley_planner.shapes import ModelShape


@dataclass(frozen=True, eq=False)
class ServiceInput:
    """`last_replicas`: those of the last plan by variant. `estimate`: the speed of engines that `speeds` lacks.
    `bounds`: what its namespace may ask for."""

    service: LLMService
    snapshot: Snapshot
    pools: Sequence[PoolState]
    memory: ServiceMemory
    last_replicas: Mapping[str, int]
    speeds: Mapping[EngineKey, Speed]
    estimate: Speed
    leads: LeadTimes
    bounds: NamespaceBounds
    ready_replicas: int = 0
    """Those of the service's own Deployments."""

    @cached_property
    def named_profile(self) -> RuntimeProfile | None:
        """The RuntimeProfile of that name, whether it can be used or not."""
        name = self.service.spec.runtime.profile_ref
        return next((profile for profile in self.snapshot.profiles if profile.metadata.name == name), None)

    @property
    def profile(self) -> RuntimeProfile:
        """Once `profile_exists` has passed."""
        if self.named_profile is None:
            raise AssertionError(f"{self.service.metadata.name} is checked without its RuntimeProfile")
        return self.named_profile

    @property
    def lead_seconds(self) -> float:
        """The longest that a replica of the plan in force takes to start, without one any that there may be. Who runs
        on GPUs that start within a minute need not plan for ten, since another type might take them."""
        rows = self.service.status.variants
        in_force = {row.pool for row in rows if self.last_replicas.get(row.name, 0) > 0}
        return longest_startup_seconds(self.service, self.profile, self.pools, self.leads, in_force=in_force)

    @cached_property
    def schedule(self) -> LoadSchedule:
        """Known events, on the operator's clock."""
        seen = self.snapshot
        return LoadSchedule.of(self.service, at_seconds=seen.at_seconds, unix_seconds=seen.unix_seconds)

    @cached_property
    def choice(self) -> DemandChoice:
        """The load to plan for, once the checks of the spec have passed."""
        key = ServiceKey.of(self.service)
        return choose_demand(
            self.service,
            self.snapshot.observations.get(key),
            memory=self.memory,
            has_plan=bool(self.last_replicas),
            at_seconds=self.snapshot.at_seconds,
            lead_seconds=self.lead_seconds,
            history=self.snapshot.histories.get(key, ()),
            season=self.snapshot.seasons.get(key, ()),
            ready_replicas=self.ready_replicas,
            schedule=self.schedule,
        )

    @cached_property
    def found_shape(self) -> ModelShape | Refusal:
        return find_shape(self.service)

    @property
    def shape(self) -> ModelShape:
        """Once `model_is_known` has passed."""
        if isinstance(self.found_shape, Refusal):
            raise AssertionError(f"{self.service.metadata.name} is checked without its model: {self.found_shape}")
        return self.found_shape

    @cached_property
    def offered(self) -> OfferedVariants:
        """All variants that there could be, once the checks of wishes and model have passed."""
        return offered_variants(
            self.service,
            self.profile,
            self.shape,
            pools=self.pools,
            demand=self.choice.demand,
            speeds=self.speeds,
            estimate=self.estimate,
            tables=self.snapshot.capacity_tables,
        )

    def unreadable(self, kind: str, name: str) -> InvalidObject | None:
        """The cluster-scoped object of that name where it does not parse, which is not to be gone."""
        key = ObjectKey(kind=kind, namespace="", name=name)
        return next((item for item in self.snapshot.rejected if item.key == key), None)
