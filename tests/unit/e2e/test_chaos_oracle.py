"""The judge of the fault suite on clusters that are made up: it sees each breach, and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from e2e.chaos.calls import Call, Write
from e2e.chaos.oracle import (
    Judge,
    KeptReplicas,
    PlanPeak,
    Rule,
    Sample,
    comparable,
    differing,
    late_writes,
    two_writers,
)
from e2e.fleet.cluster import Backend, ClusterState, EnginePod, Key, Route
from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.domain.values import labels

NAMESPACE = "team"
SERVICES = [{"status": {"variants": [{"name": "l4", "capacityRps": "2.0"}]}}]


def pod(name: str, *, ready: bool = True) -> EnginePod:
    return EnginePod(
        key=Key(NAMESPACE, name), labels={"variant": name[0]}, service="chat", variant="l4", pool="l4", gpu="L4",
        args=(), ready=ready, terminating=False, grace_seconds=30,
    )  # fmt: skip


def cluster(*pods: EnginePod, backends: dict[str, int] | None = None) -> ClusterState:
    key = Key(NAMESPACE, "chat")
    weighted = tuple(Backend(service=name, weight=weight) for name, weight in (backends or {}).items())
    return ClusterState(
        pods={each.key: each for each in pods},
        selectors={Key(NAMESPACE, name): {"variant": name} for name in ("a", "b")},
        routes={key: Route(key=key, accepted=True, backends=weighted)},
    )


def deployment(replicas: int, *, gpus: int = 1, owner: str = "uid") -> dict[str, Any]:
    reference = {"apiVersion": API_VERSION, "kind": "LLMService", "name": "chat", "uid": owner, "controller": True}
    container = {"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    return {
        "metadata": {"labels": {labels.POOL: "l4"}, "ownerReferences": [reference] if owner else []},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
    }


def judged(*states: ClusterState, needed: float = 4.0, deployments: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """The breaches where each state lasts for two seconds; the need is that of all but the first."""
    judge = Judge(stock={"l4": 4})
    at = 0.0
    for number, state in enumerate(states):
        if number == 1:
            judge.begin(NAMESPACE, needed)
        for _ in range(5):
            judge.see(Sample(at=at, state=state, deployments=deployments, services=SERVICES))
            at += 0.5
        if number == 0:
            judge.namespace = NAMESPACE
            judge.see(Sample(at=at, state=state, deployments=deployments, services=SERVICES))
    return [breach.what for breach in judge.breaches]


def test_capacity_that_is_needed_must_not_go() -> None:
    two, one = cluster(pod("a1"), pod("a2")), cluster(pod("a1"))
    assert judged(two, one) == ["Ready capacity is below what was there and is needed"]
    assert judged(two, one, needed=2.0) == []
    assert judged(one, one) == []
    assert judged(one, two, one) == ["Ready capacity is below what was there and is needed"]


def test_a_pod_that_is_not_ready_is_no_capacity() -> None:
    assert judged(cluster(pod("a1")), cluster(pod("a1", ready=False))) != []


def test_no_more_gpus_are_asked_than_there_are() -> None:
    state = cluster(pod("a1"))
    assert judged(state, deployments=(deployment(2, gpus=2),)) == []
    assert judged(state, deployments=(deployment(3, gpus=2),)) == ["6 GPUs are asked of pool l4, which has 4"]
    assert judged(state, deployments=(deployment(3, gpus=2, owner=""),)) == []


def test_no_weight_is_on_what_has_no_ready_pod_while_another_has() -> None:
    assert judged(cluster(pod("a1"), backends={"a": 500, "b": 500}), cluster(pod("a1"), backends={"a": 1000})) == []
    dead = cluster(pod("a1"), backends={"a": 500, "b": 500})
    assert judged(dead, dead) == ["route team/chat sends requests to b, which has no Ready pod"]
    assert judged(cluster(backends={"a": 500, "b": 500}), cluster(backends={"a": 500, "b": 500})) == []


def test_what_lasts_for_a_moment_is_not_a_breach() -> None:
    judge = Judge(stock={"l4": 1}, grace_seconds=1.0)
    for at, replicas in ((0.0, 1), (0.5, 2), (1.0, 2), (1.5, 1)):
        judge.see(Sample(at=at, state=ClusterState(), deployments=[deployment(replicas)], services=[]))
    assert judge.breaches == []


def write(agent: str) -> Write:
    call = Call.of("PATCH", "/api/v1/namespaces/team/services/a", watch=False, agent=agent)
    return Write(call=call, digest="", status=200, at=0.0)


def test_an_operator_that_writes_after_its_successor_is_found() -> None:
    assert two_writers([write("one"), write("one"), write("two")]) == []
    assert len(two_writers([write("one"), write("two"), write("one")])) == 1


def test_states_are_compared_without_times_and_versions() -> None:
    one = {"a": {"uid": "1", "lastTransitionTime": "x", "spec": [{"weight": 1}]}}
    other = {"a": {"uid": "2", "lastTransitionTime": "y", "spec": [{"weight": 2}]}}
    assert differing(comparable(one), comparable(other)) == ["a.spec.0.weight: 2 instead of 1"]
    assert differing(comparable(one), comparable(one)) == []


def test_the_way_to_a_state_is_not_compared() -> None:
    one = {"target": {"planId": "a", "since": "1"}, "history": [{"planId": "a", "at": "1"}]}
    other = {"target": {"planId": "a", "since": "2"}, "history": []}
    assert comparable(one) == comparable(other)
    assert comparable(one) != comparable({"target": {"planId": "b"}})


def ruled(rule: Rule, *samples: Sample) -> list[str]:
    """The breaches of a rule where each sample lasts for three seconds."""
    judge = Judge(stock={"l4": 99})
    judge.begin("elsewhere", None, rules=(rule,))
    for number, sample in enumerate(samples):
        for step in range(4):
            judge.see(replace(sample, at=3.0 * number + step))
    return [breach.what for breach in judge.breaches]


def planned(*deployments: dict[str, Any], desired: int) -> Sample:
    rows = [{"name": "l4", "capacityRps": "2.0", "desired": desired}]
    return Sample(0.0, cluster(pod("a1"), pod("a2")), deployments, [{"status": {"variants": rows}}])


def of_variant(replicas: int) -> dict[str, Any]:
    found = deployment(replicas, gpus=2)
    found["metadata"]["labels"][labels.VARIANT] = "l4"
    return found


def test_no_more_gpus_are_asked_than_a_plan_had_and_a_tenth() -> None:
    before = planned(of_variant(5), desired=5)
    assert ruled(PlanPeak(2.0), before, planned(of_variant(5), desired=3)) == []
    assert ruled(PlanPeak(2.0), before, planned(of_variant(6), desired=5)) != []
    assert ruled(PlanPeak(9.0), before, planned(of_variant(6), desired=5)) == []
    assert ruled(PlanPeak(2.0), before, planned(of_variant(5), of_variant(1), desired=5)) != []


def test_no_ready_replica_of_the_other_tenant_goes() -> None:
    both, one = planned(desired=2), replace(planned(desired=2), state=cluster(pod("a1")))
    assert ruled(KeptReplicas(NAMESPACE, 2), both) == []
    assert ruled(KeptReplicas(NAMESPACE, 2), both, one) == ["fewer than 2 replicas of team are Ready"]


def test_a_write_after_the_lease_was_lost_is_late() -> None:
    def event(name: str, verb: str = "patch", resource: str = "deployments", code: int = 200) -> dict[str, Any]:
        of = {"resource": resource, "namespace": NAMESPACE, "name": "chat"}
        return {"userAgent": name, "verb": verb, "objectRef": of, "responseStatus": {"code": code}}

    old, new = "medley/1 (operator-1)", "medley/1 (operator-2)"
    taken = event(new, "update", "leases")
    assert late_writes([event(old), taken, event(new), event(old, code=409), event(old, "get")], old) == []
    assert late_writes([event(old), event("kubectl", "update", "leases"), event(old)], old) == []
    assert late_writes([event(old), taken, event(old)], old) == ["patch deployments team/chat"]
