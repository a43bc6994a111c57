"""Runs whole rounds of the pure core with the real planner, as the fleet loop does."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from medley_operator.api.v1alpha1 import ActingMode, Condition, LLMService
from medley_operator.domain.act import act
from medley_operator.domain.advice import with_advice
from medley_operator.domain.conclude import Conclusion, conclude
from medley_operator.domain.passes import Steps
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.candidates import Prepared, ServiceCandidate
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.labels import VARIANT, key_of
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectFault, ObjectKey, Observation, Snapshot
from medley_operator.fleet.report_write_failures import WriteFailure, report_write_failures
from medley_operator.kube.errors import KubeError
from medley_planner.fleet_plan import PlanFailure, PlanOrFailure
from medley_planner.model import Plan, Problem
from medley_planner.optimize import plan, verify
from tests.unit.operator import factories as make
from tests.unit.operator.documented import is_documented

DEADLINE_SECONDS = 10.0


def plain(name: str) -> str:
    """The name of a variant's object without the hash of its layout."""
    return re.sub(r"-[a-z2-7]{8}$", "", name)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the planner, with the passes of the actuator until it writes nothing more: what went in, what was
    prepared, all that was written (of each object the last), and what both remember."""

    snapshot: Snapshot
    prepared: Prepared
    decision: Decision
    memory: FleetMemory
    steps: Steps
    at_seconds: float
    """The actuator's time."""
    faults: tuple[ObjectFault, ...]
    """Objects that the program failed on, in the whole round."""

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
        """Manifests of that kind by name, without the hash at its end."""
        return {
            plain(apply.manifest["metadata"]["name"]): apply.manifest
            for apply in self.decision.applies
            if apply.manifest["kind"] == kind
        }

    def replicas(self) -> dict[str, int]:
        """Replicas by name of the Deployments that are applied, without the hash at its end."""
        return {name: manifest["spec"]["replicas"] for name, manifest in self.applied("Deployment").items()}

    def deleted(self) -> list[str]:
        """Objects that are deleted, without the hash at the end of their names."""
        return sorted(plain(str(delete.key)) for delete in self.decision.deletes)

    def child(self, kind: str, variant: str) -> tuple[ObjectKey, Manifest]:
        """The one child of that kind and variant that the round saw, as a copy to change."""
        ((key, manifest),) = (
            (key, manifest)
            for key, manifest in self.snapshot.children.items()
            if key.kind == kind and manifest["metadata"]["labels"].get(VARIANT) == variant
        )
        return key, copy.deepcopy(manifest)

    def with_child(self, key: ObjectKey, manifest: Manifest) -> Snapshot:
        """What the round saw, with that child as it is given."""
        return replace(self.snapshot, children={**self.snapshot.children, key: manifest})

    def gauge(self, name: str, *labels: str) -> float | None:
        """The gauge `medley_NAME` of those labels, or else of the service llama; None where it has no such series."""
        labels = labels or (make.NAMESPACE, "llama")
        found = (each for each in self.decision.gauges if (each.name, each.labels) == (f"medley_{name}", labels))
        return next((each.value for each in found), None)

    def reasons(self) -> list[str]:
        """Reasons of the Events."""
        return [event.reason for event in self.decision.events]


ROUND_SECONDS = 30.0
MOST_PASSES = 12
Refused = Mapping[str, KubeError]
"""What the API server answers to each apply of a kind."""
NOTHING_REFUSED: Refused = MappingProxyType({})


def run(
    snapshot: Snapshot,
    memory: FleetMemory | None = None,
    *,
    failure: PlanFailure | None = None,
    faulty: bool = False,
    now: str = make.NOW,
    steps: Steps | None = None,
    at_seconds: float = 0.0,
    fleet_mode: ActingMode = ActingMode.AUTO,
    refused: Refused = NOTHING_REFUSED,
) -> Round:
    """One round. `faulty`: the program fails on some object, and the firewall leaves it out."""
    before = memory if memory is not None else FleetMemory()
    prepared = prepare(snapshot, before, fleet_mode=fleet_mode)
    outcome: PlanOrFailure | None = failure
    if outcome is None:
        outcome = with_advice(solved(prepared.problem), solved(prepared.advice))
    done = concluded(snapshot, prepared, outcome, before, now=now, steps=steps, at_seconds=at_seconds, refused=refused)
    assert (done.faults != ()) == faulty, done.faults
    return done


def solved(problem: Problem | None) -> Plan | None:
    if problem is None:
        return None
    found = plan(problem, deadline_seconds=DEADLINE_SECONDS)
    assert verify(problem, found) == ()
    return found


def concluded(
    snapshot: Snapshot,
    prepared: Prepared,
    outcome: PlanOrFailure | None,
    memory: FleetMemory,
    *,
    now: str = make.NOW,
    steps: Steps | None = None,
    at_seconds: float = 0.0,
    refused: Refused = NOTHING_REFUSED,
) -> Round:
    """The round that this outcome of planning makes; pods do not become Ready within it."""
    conclusion = conclude(snapshot, prepared, outcome, memory, now=now)
    decision, after = act_until_quiet(
        snapshot, conclusion, steps or Steps(), now=now, at_seconds=at_seconds, refused=refused
    )
    for write in decision.statuses:
        for condition in write.status["conditions"]:
            shown = (condition["type"], condition["status"], condition["reason"])
            assert is_documented(write.key.kind, *shown), f"{shown} of {write.key.kind} is not in docs/reference.md"
    faults = (*prepared.faults, *conclusion.faults, *decision.faults)
    return Round(snapshot, prepared, decision, conclusion.memory, after, at_seconds, faults)


def act_until_quiet(
    snapshot: Snapshot,
    conclusion: Conclusion,
    steps: Steps,
    *,
    now: str,
    at_seconds: float,
    refused: Refused = NOTHING_REFUSED,
) -> tuple[Decision, Steps]:
    """All that passes write until one writes nothing, as one decision: of each object the last write."""
    done = Decision(statuses=conclusion.statuses, events=conclusion.events)
    current = make.carried_out(snapshot, done, ready=None)
    for _ in range(MOST_PASSES):
        seen = replace(current, at_seconds=at_seconds)
        whole, _ = act(conclusion.intent, seen, replace(steps, parts={}), now=now)
        before = steps
        decision, steps = act(conclusion.intent, seen, steps, now=now)
        assert decision == whole, "a pass that leaves out what did not change decides as one that looks at everything"
        decision, unwritten = _written(seen, decision, refused, now=now)
        steps = steps.but_for(unwritten, before)
        done = Decision(
            applies=tuple({key_of(each.manifest): each for each in (*done.applies, *decision.applies)}.values()),
            deletes=(*done.deletes, *decision.deletes),
            statuses=tuple({write.key: write for write in (*done.statuses, *decision.statuses)}.values()),
            events=(*done.events, *decision.events),
            gauges=decision.gauges,
            wait_seconds=decision.wait_seconds,
            pod_notes=(*done.pod_notes, *decision.pod_notes),
            faults=tuple({fault.about: fault for fault in (*done.faults, *decision.faults)}.values()),
        )
        if not (decision.applies or decision.deletes or decision.statuses or decision.pod_notes):
            return done, steps
        current = make.carried_out(current, decision, ready=None)
    raise AssertionError(f"still writing after {MOST_PASSES} passes: {decision.applies or decision.statuses}")


def _written(
    view: Snapshot, decision: Decision, refused: Refused, *, now: str
) -> tuple[Decision, frozenset[ServiceKey]]:
    """What of the decision is written, as the publisher does it, and the services of which a child is not."""
    failures: dict[ServiceKey, list[WriteFailure]] = {}
    for apply in decision.applies:
        error = refused.get(apply.manifest["kind"])
        if error is not None:
            failures.setdefault(apply.service, []).append(WriteFailure.of(key_of(apply.manifest), error))
    unwritten = frozenset(failures)
    told = report_write_failures(view, decision, failures, unwritten=unwritten, now=now)
    applies = tuple(each for each in decision.applies if each.manifest["kind"] not in refused)
    return replace(decision, applies=applies, statuses=told.statuses, events=told.events), unwritten


def planned(snapshot: Snapshot) -> Plan:
    """The plan of a first round."""
    problem = prepare(snapshot, FleetMemory()).problem
    assert problem is not None
    return plan(problem, deadline_seconds=DEADLINE_SECONDS)


def told(snapshot: Snapshot, outcome: Plan | PlanFailure) -> Round:
    """The round that this outcome of planning makes of the snapshot."""
    return concluded(snapshot, prepare(snapshot, FleetMemory()), outcome, FleetMemory())


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
    memory, steps = (FleetMemory(), Steps()) if forget else (earlier.memory, earlier.steps)
    at_seconds = earlier.at_seconds + ROUND_SECONDS
    return run(snapshot, memory, failure=failure, faulty=faulty, now=now, steps=steps, at_seconds=at_seconds)


def rounds_until_deleted(earlier: Round, deployment: str) -> list[Round]:
    """The rounds after an earlier one, all pods becoming Ready, up to that which deletes the Deployment of that name
    (without the hash at its end)."""
    done: list[Round] = []
    for _ in range(12):
        earlier = follow(earlier)
        done.append(earlier)
        if f"Deployment {make.NAMESPACE}/{deployment}" in earlier.deleted():
            return done
    raise AssertionError(f"{deployment} is not deleted")


def settle(snapshot: Snapshot, memory: FleetMemory | None = None, *, faulty: bool = False) -> Round:
    """Rounds until nothing is written any more; the last one that wrote nothing is returned."""
    current = run(snapshot, memory, faulty=faulty)
    for _ in range(8):
        current = follow(current, faulty=faulty)
        if is_quiet(current.decision):
            return current
    raise AssertionError(f"still writing: {current.decision.applies or current.decision.statuses}")


def is_quiet(decision: Decision) -> bool:
    written = (decision.applies, decision.deletes, decision.statuses, decision.pod_notes)
    return not (any(written) or decision.events)


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
