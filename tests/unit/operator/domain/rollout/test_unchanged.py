"""A pass leaves out services of which nothing changed, and never one that has something to write or waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1.status import GPUPoolStatus
from medley_operator.domain import act as acting
from medley_operator.domain.act import act
from medley_operator.domain.conclude import conclude
from medley_operator.domain.passes import Steps
from medley_operator.domain.prepare import prepare
from medley_operator.domain.report.status import service_status
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.rollout.unchanged import with_former
from medley_operator.domain.values.snapshot import ActuatorView, ObjectKey, Snapshot
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, settle, solved

SERVICES = (
    make.service("one", spec={"workload": {"source": "Prometheus"}}),
    make.service("two", spec={"workload": {"source": "Prometheus"}}),
)


class Fleet:
    """Two settled services and an actuator that has looked at them; `looked_at` counts what its passes worked out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rates = {"one": make.found(4.0), "two": make.found(4.0)}
        self.settled: Round = settle(make.snapshot(*SERVICES, observations=rates))
        self.view: ActuatorView = self.settled.snapshot
        self.intent = with_former(self.concluded(self.settled.snapshot), None)
        self.steps = Steps()
        self.looked_at: list[str] = []

        def counted(outcome: Any, *, now: str) -> Any:
            self.looked_at.append(outcome.candidate.service.metadata.name)
            return service_status(outcome, now=now)

        monkeypatch.setattr(acting, "service_status", counted)
        self.act()

    def concluded(self, snapshot: Snapshot) -> FleetIntent:
        """The intent of one more round."""
        memory = self.settled.memory
        prepared = prepare(snapshot, memory)
        return conclude(snapshot, prepared, solved(prepared.problem), memory, now=make.LATER).intent

    def act(self) -> list[str]:
        """One more pass; the services that it worked out."""
        self.looked_at.clear()
        decision, self.steps = act(self.intent, self.view, self.steps, now=make.LATER)
        assert not decision.applies
        return list(self.looked_at)

    def change(self, name: str, **fields: Any) -> ObjectKey:
        """A Deployment of that service becomes another object."""
        key = next(
            key
            for key, found in self.view.children.items()
            if key.kind == "Deployment" and found["metadata"]["labels"]["medley.dev/service"] == name
        )
        child = self.view.children[key]
        changed = {**child, "status": {**child["status"], **fields}}
        self.view = replace(self.view, children={**self.view.children, key: changed})
        return key


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(monkeypatch)


def test_a_pass_over_what_did_not_change_works_nothing_out(fleet: Fleet) -> None:
    assert fleet.act() == []


def test_only_the_service_of_a_changed_child_is_worked_out(fleet: Fleet) -> None:
    fleet.change("two", readyReplicas=0)
    assert fleet.act() == ["two"]


def test_a_status_that_was_not_written_is_handed_out_again_and_not_worked_out(fleet: Fleet) -> None:
    """Hundreds of statuses take many passes to write, and each pass worked all of them out anew."""
    fleet.change("two", readyReplicas=0)
    assert fleet.act() == ["two"]
    assert fleet.act() == []
    decision, _ = act(fleet.intent, fleet.view, fleet.steps, now=make.LATER)
    assert [each.key.name for each in decision.statuses] == ["two"]


def test_what_is_seen_beside_the_services_counts(fleet: Fleet) -> None:
    fleet.view = replace(fleet.view, gateways=frozenset())
    assert fleet.act() == ["one", "two"]


def test_the_status_of_a_pool_counts_for_nothing(fleet: Fleet) -> None:
    """Each round writes some of them, and the pass after it looked at all services anew."""
    first, *others = fleet.view.pools
    told = first.model_copy(update={"status": GPUPoolStatus(planned_gpus=first.status.planned_gpus + 1)})
    fleet.view = replace(fleet.view, pools=(told, *others))
    assert fleet.act() == []
    edited = first.model_copy(update={"metadata": first.metadata.model_copy(update={"generation": 2})})
    fleet.view = replace(fleet.view, pools=(edited, *others))
    assert fleet.act() == ["one", "two"]


def test_a_child_that_is_gone_is_missed(fleet: Fleet) -> None:
    key = fleet.change("one")
    fleet.view = replace(fleet.view, children={k: v for k, v in fleet.view.children.items() if k != key})
    decision, _ = act(fleet.intent, fleet.view, fleet.steps, now=make.LATER)
    assert [each.manifest["metadata"]["name"] for each in decision.applies] == [key.name]


def test_a_round_that_asks_for_the_same_changes_no_intent(fleet: Fleet) -> None:
    fleet.settled = replace(fleet.settled, snapshot=replace(fleet.settled.snapshot, at_seconds=30.0))
    noisy = {key: make.found(4.01) for key in fleet.settled.snapshot.observations}
    fresh = fleet.concluded(replace(fleet.settled.snapshot, observations=noisy))
    assert fresh.services[0] is not fleet.intent.services[0]
    kept = with_former(fresh, fleet.intent)
    assert all(new is old for new, old in zip(kept.services, fleet.intent.services, strict=True))
    fleet.intent = kept
    assert fleet.act() == []


def test_a_round_that_asks_for_more_changes_the_intent_of_that_service(fleet: Fleet) -> None:
    names = [each.candidate.key.name for each in fleet.intent.services]
    more = {key: make.found(20.0 if key.name == "two" else 4.0) for key in fleet.settled.snapshot.observations}
    kept = with_former(fleet.concluded(replace(fleet.settled.snapshot, observations=more)), fleet.intent)
    same = [new is old for new, old in zip(kept.services, fleet.intent.services, strict=True)]
    assert dict(zip(names, same, strict=True)) == {"one": True, "two": False}
