"""Whose pods count as whose: labels make nothing ours, and what services that are not planned run or keep is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.operator import factories as make
from tests.unit.operator.placing import (
    applied,
    nodes,
    on,
    pod,
    scheduled,
    service,
    settled_placed,
    with_pods,
    with_seen,
    without_pods,
)
from tests.unit.operator.rounds.play import run, settle


@pytest.mark.parametrize("owner", ["none", "unknown", "other namespace", "1k"])
@pytest.mark.parametrize("pods_known", [True, False], ids=["pods seen", "pods not seen"])
def test_a_deployment_that_only_looks_like_ours_takes_nothing(owner: str, pods_known: bool) -> None:
    """1000 replicas with our labels and no pod: the plan stays, and no service hears of a stock that is out."""
    steady = settle(make.snapshot(service(), pools=[make.pool(nodes=8)]))
    (key,) = (key for key in steady.snapshot.children if key.kind == "Deployment")
    own = steady.snapshot.children[key]
    metadata: dict[str, Any] = {**own["metadata"], "name": "decoy", "namespace": "elsewhere", "ownerReferences": []}
    decoy = {**own, "metadata": metadata, "spec": {**own["spec"], "replicas": 1000}}
    if owner == "unknown":
        metadata["ownerReferences"] = [{**own["metadata"]["ownerReferences"][0], "uid": "uid-nobody"}]
    elif owner == "other namespace":
        metadata["ownerReferences"] = own["metadata"]["ownerReferences"]
    elif owner == "1k":
        limits = {"limits": {"example.com/bandwidth": "1k"}}
        pod_spec = {**own["spec"]["template"]["spec"], "containers": [{"name": "main", "resources": limits}]}
        decoy["spec"] = {**decoy["spec"], "template": {**own["spec"]["template"], "spec": pod_spec}}
    children = {**steady.snapshot.children, replace(key, namespace="elsewhere", name="decoy"): decoy}
    snapshot = replace(steady.snapshot, children=children)
    snapshot = with_seen(snapshot) if pods_known else without_pods(snapshot)
    before = steady.prepared.problem
    after = run(snapshot, steady.memory).prepared.problem
    assert before is not None
    assert after is not None
    assert after.pools == before.pools


def test_pods_that_only_look_like_ours_are_not_planned_with() -> None:
    """A tenant's own ReplicaSet makes pods with the labels of a service: no more of them count as the service's than
    its Deployment has, and the others hold their GPUs."""
    spec = service(variants=[on("l4", minReplicas=2, maxReplicas=2)])
    steady = settled_placed(make.snapshot(spec, pools=[make.pool(nodes=None)], nodes=nodes("l4", 2)))
    (deployment,) = (each for each in steady.snapshot.children.values() if each["kind"] == "Deployment")
    decoys = [pod(f"zz-{n}", "l4-1", deployment=deployment, controller=("ReplicaSet", "uid-own")) for n in range(4)]
    done = run(with_pods(steady.snapshot, *decoys), steady.memory)
    assert done.prepared.problem is not None
    assert done.prepared.problem.pools[0].stock_gpus == 4
    assert done.prepared.ledger.pools["l4"].foreign_gpus == 4


def test_pods_of_a_deleted_service_count_until_they_are_gone() -> None:
    """A finalizer holds a deleted service: what it runs is not planned a second time."""
    spec = service(variants=[on("l4", minReplicas=6, maxReplicas=6)])
    pools = [make.pool(nodes=2)]
    steady = settled_placed(make.snapshot(spec, pools=pools, nodes=nodes("l4", 2)))
    leaving = make.service("llama", deleting=True)
    leaving = leaving.model_copy(update={"status": steady.snapshot.services[0].status})
    more = service("more", rate="800", variants=[on("l4")])
    snapshot = replace(steady.snapshot, services=(leaving, more))
    for known in (snapshot, without_pods(snapshot)):
        done = run(known, steady.memory)
        assert applied(done)["more-l4"] == 2
    # Its pods end, and hold their GPUs.
    ending = tuple(replace(each, terminating=True) for each in snapshot.pods)
    children = {key: each for key, each in snapshot.children.items() if key.kind != "Deployment"}
    ended = with_seen(replace(snapshot, services=(more,), children=children), ending)
    assert applied(run(ended, steady.memory))["more-l4"] == 2
    gone = with_seen(ended, (replace(each, ended=True) for each in ending))
    assert applied(run(gone, steady.memory))["more-l4"] == 8


def test_a_service_that_is_refused_or_does_not_parse_keeps_what_it_runs() -> None:
    spec = service(variants=[on("l4", minReplicas=6, maxReplicas=6)])
    steady = settled_placed(make.snapshot(spec, pools=[make.pool(nodes=2)], nodes=nodes("l4", 2)))
    more = service("more", rate="800", variants=[on("l4")])
    refused = service(runtime={"profileRef": "none"}).model_copy(update={"status": steady.snapshot.services[0].status})
    unreadable = make.unreadable("LLMService", "llama", namespace=make.NAMESPACE)
    for changed in (
        replace(steady.snapshot, services=(refused, more)),
        replace(steady.snapshot, services=(more,), rejected=(unreadable,)),
    ):
        done = run(changed, steady.memory)
        assert applied(done) == {"llama-l4": 6, "more-l4": 2}


def test_what_a_refused_service_asks_for_beyond_its_plan_takes_nothing() -> None:
    """Its owner breaks the spec and scales the Deployment to 1000: no pod of it is bound beyond those that ran."""
    spec = service(variants=[on("l4", minReplicas=2, maxReplicas=2)])
    steady = settled_placed(make.snapshot(spec, pools=[make.pool(nodes=2)], nodes=nodes("l4", 2)))
    refused = service(runtime={"profileRef": "none"}).model_copy(update={"status": steady.snapshot.services[0].status})
    children = {
        key: {**each, "spec": {**each["spec"], "replicas": 1000}} if key.kind == "Deployment" else each
        for key, each in steady.snapshot.children.items()
    }
    more = service("more", rate="800", variants=[on("l4")])
    snapshot = replace(steady.snapshot, services=(refused, more), children=children)
    assert applied(run(snapshot, steady.memory))["more-l4"] == 6


def test_replicas_of_a_plan_that_is_held_keep_their_gpus_before_they_have_a_node() -> None:
    live: dict[str, Any] = {"workload": {"source": "Prometheus"}, "variants": [on("l4", minReplicas=4, maxReplicas=4)]}
    snapshot = make.snapshot(
        make.service(spec=live),
        pools=[make.pool(nodes=2)],
        nodes=nodes("l4", 2),
        observations={"llama": make.found(1.0)},
    )
    first = run(with_seen(snapshot))
    assert applied(first) == {"llama-l4": 4}
    more = service("more", rate="800", variants=[on("l4")])
    pending = make.carried_out(first.snapshot, first.decision)
    pending = replace(
        pending, services=(*pending.services, more), observations={key: make.lost() for key in pending.observations}
    )
    for known in (pending, scheduled(pending), without_pods(pending)):
        done = run(known, first.memory)
        assert done.condition("PlanReady").reason == "Held"
        assert applied(done)["more-l4"] == 4
