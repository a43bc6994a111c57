"""Deciding without the services that cannot be decided about.

After planning, the figures of all services hang together, so that one cannot simply be left out of a list: `each`
collects every service that raises in a step, and `around` decides again as if these could not be read. Their status
says why; what they run is kept, and its GPUs are counted. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from medley_operator.api.v1alpha1 import GPUPool, LLMService, ModelProfile, RuntimeProfile
from medley_operator.domain.firewall import Firewall
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import (
    Decision,
    FleetMemory,
    InvalidObject,
    ObjectFault,
    ObjectKey,
    Snapshot,
)
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.refusal import Refusal

Item = TypeVar("Item")
Result = TypeVar("Result")


class FaultyServices(Exception):
    """Some services of one step raised; all of them are named."""

    def __init__(self, faults: tuple[ObjectFault, ...]) -> None:
        super().__init__("; ".join(f"{fault.about}: {fault.error}" for fault in faults))
        self.faults = faults


def each(
    items: Iterable[Item], service_of: Callable[[Item], LLMService], call: Callable[[Item], Result]
) -> list[Result]:
    """The results of `call`, in order. Raises `FaultyServices` after the last item, where some raised."""
    wall = Firewall()
    found = [wall.guard(_key(service_of(item)), partial(call, item)) for item in items]
    if wall.faults:
        raise FaultyServices(wall.faults)
    return [result for result in found if not isinstance(result, ObjectFault)]


class Deciding(Protocol):
    def __call__(
        self, snapshot: Snapshot, prepared: Prepared, outcome: PlanOrFailure | None, memory: FleetMemory, /, *, now: str
    ) -> Decision: ...


def around(
    decide: Deciding,
    snapshot: Snapshot,
    prepared: Prepared,
    outcome: PlanOrFailure | None,
    memory: FleetMemory,
    *,
    now: str,
) -> Decision:
    """The decision of `decide`, without the services that it cannot decide about. It decides once more for each of its
    steps at most, however many they are. Their memory stays as it was."""
    faults: dict[ObjectKey, ObjectFault] = {}
    while True:
        try:
            decision = decide(snapshot, prepared, outcome, memory, now=now)
        except FaultyServices as found:
            new = {fault.about: fault for fault in found.faults if fault.about not in faults}
            if not new:
                raise
            faults |= new
            snapshot, prepared = _without(snapshot, new), _prepared_without(prepared, new)
            continue
        kept = {
            key: memory.services[key]
            for key in (ServiceKey(about.namespace, about.name) for about in faults)
            if key in memory.services
        }
        services = {**decision.memory.services, **kept}
        return replace(
            decision,
            memory=replace(decision.memory, services=services),
            faults=(*decision.faults, *faults.values()),
        )


def _without(snapshot: Snapshot, faults: dict[ObjectKey, ObjectFault]) -> Snapshot:
    """The services with a fault count as objects that cannot be read."""
    invalid = tuple(
        unreadable(service, faults[_key(service)]) for service in snapshot.services if _key(service) in faults
    )
    left = tuple(service for service in snapshot.services if _key(service) not in faults)
    return replace(snapshot, services=left, rejected=(*snapshot.rejected, *invalid))


def unreadable(item: LLMService | GPUPool | RuntimeProfile | ModelProfile, fault: ObjectFault) -> InvalidObject:
    """The object as one that cannot be read. Its refusal is worded as its status has it already, since what is raised
    may hold figures that move."""
    metadata, refusal = item.metadata, fault.refusal
    shown = (each for each in item.status.conditions if each.reason == refusal.reason)
    same = next((each for each in shown if each.observed_generation == metadata.generation), None)
    return InvalidObject(
        key=fault.about,
        uid=metadata.uid,
        generation=metadata.generation,
        refusal=refusal if same is None else Refusal(refusal.reason, same.message),
        status=item.status.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


def _prepared_without(prepared: Prepared, faults: dict[ObjectKey, ObjectFault]) -> Prepared:
    left = tuple(each for each in prepared.services if _key(each.service) not in faults)
    return replace(prepared, services=left)


def _key(service: LLMService) -> ObjectKey:
    return ObjectKey.of("LLMService", service.metadata)
