"""Whose a pod is follows from whose Deployment is whose, and never from labels alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.held import held_by_node, owned_deployments
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from medley_operator.domain.values.stock import Holder, Workload
from medley_operator.domain.values.views import PodView
from tests.unit.operator import factories as make
from tests.unit.operator.placing import GPU, applied, foreign, on, pod, service
from tests.unit.operator.rounds.play import run

HOLDER = Holder(ServiceKey("demo", "llama"), "l4")


def cluster(**status: int) -> tuple[Snapshot, Manifest]:
    """One service with a Deployment of two replicas."""
    first = run(make.snapshot(service(variants=[on("l4", minReplicas=2, maxReplicas=2)]), pools=[make.pool()]))
    assert applied(first) == {"llama-l4": 2}
    snapshot = make.carried_out(first.snapshot, first.decision)
    (key,) = (key for key in snapshot.children if key.kind == "Deployment")
    found = {**snapshot.children[key]}
    found["status"] = {**found["status"], **status}
    return replace(snapshot, children={**snapshot.children, key: found}), found


def holders(snapshot: Snapshot, *pods: PodView) -> list[Holder | None]:
    held = held_by_node(pods, owned_deployments(snapshot))
    return [each.holder for name in sorted(held) for each in held[name]]


def test_pods_of_our_deployments_are_ours() -> None:
    snapshot, deployment = cluster()
    (owned,) = owned_deployments(snapshot)
    assert owned.workload == Workload(
        HOLDER, deployment=deployment["metadata"]["name"], pool="l4", gpus=1, replicas=2, ready=2
    )
    assert (
        holders(snapshot, pod("a", "n1", deployment=deployment), pod("b", "n2", deployment=deployment)) == [HOLDER] * 2
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"namespace": "other"},
        {"controller": ("", "")},
        {"controller": ("StatefulSet", "uid")},
        {"labels": {}},
        {"labels": {"medley.dev/service": "llama", "medley.dev/variant": "l4"}},
        {
            "labels": {
                "app.kubernetes.io/managed-by": "medley",
                "medley.dev/service": "llama",
                "medley.dev/variant": "x",
            }
        },
    ],
)
def test_a_pod_of_anything_else_is_not(fields: dict[str, Any]) -> None:
    snapshot, deployment = cluster()
    assert holders(snapshot, pod("a", "n1", deployment=deployment, **fields)) == [None]


def test_no_more_pods_are_ours_than_the_deployment_has() -> None:
    snapshot, deployment = cluster()
    three = [pod(name, "n1", deployment=deployment) for name in "abc"]
    assert holders(snapshot, *three) == [HOLDER, HOLDER, None]
    # One beyond spec.replicas, while new pods replace old ones.
    surging, deployment = cluster(replicas=3)
    assert holders(surging, *three) == [HOLDER] * 3
    # A Deployment does not count its pods that end.
    ending = [replace(each, terminating=True) for each in three[:1]]
    assert holders(snapshot, *ending, *three[1:]) == [HOLDER] * 3


def test_an_orphan_of_our_form_is_ours_and_so_are_its_pods() -> None:
    """The LLMService of its name adopts it."""
    snapshot, deployment = cluster()
    orphan = {**deployment, "metadata": {**deployment["metadata"], "ownerReferences": []}}
    snapshot = replace(snapshot, children={key_of(orphan): orphan})
    (owned,) = owned_deployments(snapshot)
    assert owned.workload.holder == HOLDER
    assert holders(snapshot, pod("a", "n1", deployment=orphan)) == [HOLDER]


@pytest.mark.parametrize("change", ["no owner", "another kind's", "namespace", "not the controller"])
def test_a_deployment_without_its_llmservice_is_nobodys(change: str) -> None:
    snapshot, deployment = cluster()
    reference = deployment["metadata"]["ownerReferences"][0]
    owners = {
        "no owner": [],
        "another kind's": [{**reference, "kind": "Job", "uid": "uid-other"}],
        "namespace": [reference],
        "not the controller": [{**reference, "controller": False}],
    }[change]
    namespace = "other" if change == "namespace" else "demo"
    metadata = {**deployment["metadata"], "name": "not-of-our-form", "ownerReferences": owners, "namespace": namespace}
    children = {ObjectKey("Deployment", namespace, "not-of-our-form"): {**deployment, "metadata": metadata}}
    assert owned_deployments(replace(snapshot, children=children)) == []


def test_a_service_that_does_not_parse_still_owns_its_deployment() -> None:
    snapshot, _ = cluster()
    broken = make.unreadable("LLMService", "llama", namespace="demo")
    (owned,) = owned_deployments(replace(snapshot, services=(), rejected=(broken,)))
    assert owned.workload.holder == HOLDER


def test_gpus_are_held_where_a_pod_is_bound_or_kept_a_place_until_it_is_gone() -> None:
    pods = [
        foreign("bound", "n1", gpus=2),
        foreign("ending", "n1", terminating=True),
        foreign("nominated", "", nominated="n2"),
        foreign("pending", ""),
        foreign("ended", "n3", ended=True),
        replace(foreign("no GPU", "n4"), gpus={GPU: 0}),
    ]
    held = held_by_node(pods, [])
    assert {name: [each.gpus[GPU] for each in found] for name, found in held.items()} == {"n1": [2, 1], "n2": [1]}
    assert [each.ending for each in held["n1"]] == [False, True]
