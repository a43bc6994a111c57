"""A pod is born protected, and stays protected until it is Ready, without a change of its template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from medley_operator.domain.engine.startup_protection import AGAIN_SECONDS, due_releases, is_protected
from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.labels import SERVICE
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView
from tests.unit.operator.domain.engine.test_deployment import deployment

BORN = deployment()["spec"]["template"]["metadata"]["annotations"]
POD = PodView("demo", "llama-1", "u", labels={SERVICE: "llama"}, ready=True, protected=True)


def due(pod: PodView, asked: Mapping[str, float] | None = None, *, at_seconds: float = 100.0) -> list[str]:
    known = {ServiceKey("demo", "llama")}
    return [each.uid for each in due_releases([pod], services=known, asked=asked or {}, at_seconds=at_seconds)[0]]


def test_a_pod_is_born_protected() -> None:
    assert BORN == {
        "karpenter.sh/do-not-disrupt": "true",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }
    assert is_protected({**BORN, "team": "a"})


@pytest.mark.parametrize("annotations", [{}, {"karpenter.sh/do-not-disrupt": "true"}, dict.fromkeys(BORN, "false")])
def test_what_a_person_set_alone_is_no_protection_of_ours(annotations: Mapping[str, str]) -> None:
    assert not is_protected(annotations)


def test_a_ready_pod_loses_it_and_is_remembered() -> None:
    found = due_releases([POD], services={ServiceKey("demo", "llama")}, asked={"gone": 99.0}, at_seconds=100.0)
    note = PodNote(ObjectKey("Pod", "demo", "llama-1"), "u", dict.fromkeys(BORN), "start-up protection taken away")
    assert found == ((note,), {"u": 100.0})


@pytest.mark.parametrize(
    "changes",
    [
        {"ready": False},
        {"terminating": True},
        {"protected": False},
        {"labels": {SERVICE: "another"}},
        {"namespace": "another"},
        {"labels": {}},
    ],
)
def test_a_pod_that_starts_or_ends_or_is_of_no_service_keeps_what_it_has(changes: dict[str, object]) -> None:
    assert due(POD) == ["u"]
    assert due(replace(POD, **changes)) == []  # type: ignore[arg-type]


def test_a_pod_that_gets_it_back_is_asked_once_a_minute() -> None:
    """A webhook that puts it back would make a write for each event of the pod."""
    assert due(POD, {"u": 100.0}, at_seconds=100.0 + AGAIN_SECONDS / 2) == []
    assert due(POD, {"u": 100.0}, at_seconds=100.0 + AGAIN_SECONDS) == ["u"]
