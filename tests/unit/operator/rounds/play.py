"""Runs whole rounds of the pure core with the real planner, as the fleet loop does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from medley_operator.api.v1alpha1 import Condition, LLMService
from medley_operator.domain.decide import decide
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.candidates import Prepared, ServiceCandidate
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import (
    Decision,
    FleetMemory,
    Manifest,
    Observation,
    Snapshot,
)
from medley_planner.fleet_plan import PlanFailure, PlanOrFailure
from medley_planner.model import Plan
from medley_planner.optimize import plan, verify
from tests.unit.operator import factories as make
from tests.unit.operator.documented import is_documented

DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what went in, what was prepared, what was decided."""

    snapshot: Snapshot
    prepared: Prepared
    decision: Decision

    def candidate(self, name: str = "llama") -> ServiceCandidate:
        found = self.prepared.candidate(ServiceKey(make.NAMESPACE, name))
        assert found is not None
        return found

    def status(self, name: str = "llama") -> Manifest:
        """The status that is written for the service of that name."""
        return next(write.status for write in self.decision.statuses if write.key.name == name)

    def condition(self, type_: str, name: str = "llama") -> Condition:
        for service in make.carried_out(self.snapshot, self.decision).services:
            if service.metadata.name == name:
                return next(condition for condition in service.status.conditions if condition.type == type_)
        raise AssertionError(f"no service {name}")

    def applied(self, kind: str) -> dict[str, Manifest]:
        return {
            apply.manifest["metadata"]["name"]: apply.manifest
            for apply in self.decision.applies
            if apply.manifest["kind"] == kind
        }

    def replicas(self) -> dict[str, int]:
        """Replicas by name of the Deployments that are applied."""
        return {name: manifest["spec"]["replicas"] for name, manifest in self.applied("Deployment").items()}

    def deleted(self) -> list[str]:
        return sorted(str(delete.key) for delete in self.decision.deletes)

    def gauge(self, name: str, *labels: str) -> float | None:
        """The gauge `medley_NAME` of those labels, or else of the service llama; None where it has no such series."""
        labels = labels or (make.NAMESPACE, "llama")
        found = (each for each in self.decision.gauges if (each.name, each.labels) == (f"medley_{name}", labels))
        return next((each.value for each in found), None)

    def reasons(self) -> list[str]:
        """Reasons of the Events."""
        return [event.reason for event in self.decision.events]


def run(
    snapshot: Snapshot,
    memory: FleetMemory | None = None,
    *,
    failure: PlanFailure | None = None,
    faulty: bool = False,
    now: str = make.NOW,
) -> Round:
    """One round. `faulty`: the program fails on some object, and the firewall leaves it out."""
    before = memory if memory is not None else FleetMemory()
    prepared = prepare(snapshot, before)
    outcome: PlanOrFailure | None = failure
    if outcome is None and prepared.problem is not None:
        outcome = plan(prepared.problem, deadline_seconds=DEADLINE_SECONDS)
        assert verify(prepared.problem, outcome) == ()
    decision = decide(snapshot, prepared, outcome, before, now=now)
    assert ((*prepared.faults, *decision.faults) != ()) == faulty
    for write in decision.statuses:
        for condition in write.status["conditions"]:
            shown = (condition["type"], condition["status"], condition["reason"])
            assert is_documented(write.key.kind, *shown), f"{shown} of {write.key.kind} is not in docs/reference.md"
    return Round(snapshot, prepared, decision)


def planned(snapshot: Snapshot) -> Plan:
    """The plan of a first round."""
    problem = prepare(snapshot, FleetMemory()).problem
    assert problem is not None
    return plan(problem, deadline_seconds=DEADLINE_SECONDS)


def told(snapshot: Snapshot, outcome: Plan | PlanFailure) -> Round:
    """The round that this outcome of planning makes of the snapshot."""
    prepared = prepare(snapshot, FleetMemory())
    return Round(snapshot, prepared, decide(snapshot, prepared, outcome, FleetMemory(), now=make.NOW))


def follow(
    earlier: Round,
    *,
    ready: bool = True,
    failure: PlanFailure | None = None,
    observations: Mapping[str, Observation] | None = None,
    forget: bool = False,
    faulty: bool = False,
    now: str = make.LATER,
) -> Round:
    """The next round, after the earlier one was carried out. `forget`: the operator was restarted in between."""
    snapshot = make.carried_out(earlier.snapshot, earlier.decision, ready=ready)
    if observations is not None:
        by_key = {ServiceKey(make.NAMESPACE, name): value for name, value in observations.items()}
        snapshot = replace(snapshot, observations=by_key)
    memory = FleetMemory() if forget else earlier.decision.memory
    return run(snapshot, memory, failure=failure, faulty=faulty, now=now)


def settle(snapshot: Snapshot, memory: FleetMemory | None = None, *, faulty: bool = False) -> Round:
    """Rounds until nothing is written any more; the last one that wrote nothing is returned."""
    current = run(snapshot, memory, faulty=faulty)
    for _ in range(8):
        current = follow(current, faulty=faulty)
        if is_quiet(current.decision):
            return current
    raise AssertionError(f"still writing: {current.decision.applies or current.decision.statuses}")


def is_quiet(decision: Decision) -> bool:
    return not (decision.applies or decision.deletes or decision.statuses or decision.events)


def changed(snapshot: Snapshot, *services: LLMService, **fields: object) -> Snapshot:
    """The snapshot with other services (their statuses kept from the old ones of the same name) and other fields."""
    old = {service.metadata.name: service.status for service in snapshot.services}
    if services:
        fresh = tuple(
            service.model_copy(update={"status": old.get(service.metadata.name, service.status)})
            for service in services
        )
        snapshot = replace(snapshot, services=fresh)
    return replace(snapshot, **fields)  # type: ignore[arg-type]
