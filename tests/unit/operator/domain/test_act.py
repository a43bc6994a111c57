"""From plan to writes: what is applied, deleted, reported and remembered, round after round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUPoolStatus
from medley_operator.domain.act import act
from medley_operator.domain.conclude import conclude
from medley_operator.domain.values.labels import pod_selector
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView
from medley_planner.fleet_plan import PlanFailure
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, plain, run, settle

ROUTED = {"routing": {"gatewayRef": {"name": "inference"}}}
TWO_VARIANTS = {"variants": [{"poolRef": "l4", "minReplicas": 1}, {"poolRef": "h100", "minReplicas": 1}]}


def on(pool_name: str, **spec: object) -> dict[str, object]:
    return {"variants": [{"poolRef": pool_name, "tensorParallel": 1}], **spec}


def test_a_first_plan_makes_services_deployments_and_says_so() -> None:
    done = run(make.snapshot(make.service()))
    replicas = done.replicas()
    assert replicas
    assert all(count > 0 for count in replicas.values())
    assert set(done.applied("Service")) == {"llama", *replicas}
    assert not done.applied("HTTPRoute")
    status = done.status()
    assert status["load"] == {
        "source": "Static",
        "requestsPerSecond": "4",
        "promptTokens": 500,
        "generationTokens": 150,
        "sizeSource": "Static",
    }
    assert status["plan"]["state"] == "Optimal"
    assert status["url"] == "http://llama.demo.svc:8000"
    assert status["mix"].endswith(f":0/{sum(replicas.values())}")
    assert done.condition("Ready").reason == "NoReadyReplicas"
    assert done.condition("MetricsAvailable").reason == "StaticWorkload"
    assert done.condition("CapacityAvailable").reason == "Sufficient"
    assert done.condition("WorkloadsReady").reason == "Progressing"
    assert done.reasons()[0] == "PlanChanged"
    assert "first plan, for 4 req/s" in done.decision.events[0].message
    assert "ScaledUp" in done.reasons()


def test_a_plan_equal_to_the_cluster_writes_nothing() -> None:
    steady = settle(make.snapshot(make.service(spec=ROUTED), make.service("other")))
    assert steady.condition("Ready").reason == "Serving"
    assert steady.condition("WorkloadsReady").reason == "AllReady"
    assert steady.condition("RoutingReady").reason == "Routed"
    assert is_quiet(follow(steady).decision)
    assert is_quiet(follow(steady, forget=True).decision)


def test_noise_in_the_load_writes_nothing_and_a_real_change_does() -> None:
    service = make.service(spec={"workload": {"source": "Prometheus"}})
    steady = settle(make.snapshot(service, observations={"llama": make.found(4.0)}))
    noisy = follow(steady, observations={"llama": make.found(4.05)})
    assert is_quiet(noisy.decision)
    more = follow(noisy, observations={"llama": make.found(40.0)})
    assert more.status()["load"]["requestsPerSecond"] == "40"
    assert any("load changed from 4 req/s to 40 req/s" in event.message for event in more.decision.events)


def test_new_capacity_is_ready_before_old_is_removed() -> None:
    steady = settle(make.snapshot(make.service(spec=on("l4", **ROUTED))))
    moved = run(
        changed(steady.snapshot, make.service(spec={**ROUTED, "variants": TWO_VARIANTS["variants"]}, generation=2)),
        steady.memory,
    )
    assert "llama-h100" in moved.replicas()
    only = {"variants": [{"poolRef": "l4", "maxReplicas": 0}, {"poolRef": "h100", "tensorParallel": 1}], **ROUTED}
    steady = settle(make.snapshot(make.service(spec=on("l4", **ROUTED))))
    before = steady.child("Deployment", "l4")[1]["spec"]["replicas"]
    start = run(changed(steady.snapshot, make.service(spec=only, generation=2)), steady.memory)
    assert set(start.replicas()) == {"llama-h100"}
    assert "l4" in start.condition("WorkloadsReady").message or "h100" in start.condition("WorkloadsReady").message
    weights = {variant["name"]: variant["weight"] for variant in start.status()["variants"]}
    assert weights == {"h100": 0, "l4": 1000}
    waiting = follow(start, ready=False)
    assert "llama-l4" not in waiting.replicas()
    assert not waiting.decision.deletes
    swapped = follow(waiting)
    left, weight = before, 1000
    while left > 0:
        # The route goes first, by as much as the step will take.
        assert swapped.replicas() == {}
        assert "RouteUpdated" in swapped.reasons()
        told = swapped.condition("WorkloadsReady").message
        assert told == f"old replicas leave step by step, as others carry their load: l4 {left} → 0"
        route = swapped.applied("HTTPRoute")["llama"]["spec"]["rules"][0]["backendRefs"]
        weights = {plain(item["name"]): item["weight"] for item in route}
        assert weights.get("llama-l4", 0) < weight
        weight = weights.get("llama-l4", 0)
        shrunk = follow(swapped)
        assert f"{left}→" in shrunk.decision.events[0].message
        (left,) = shrunk.replicas().values()
        assert left >= before // 4 or weight == 0
        swapped = shrunk if left == 0 else follow(shrunk)
    assert weight == 0
    removed = follow(swapped)
    assert removed.deleted() == ["Deployment demo/llama-l4", "Service demo/llama-l4"]
    assert "VariantRemoved" in removed.reasons()
    settle(removed.snapshot, removed.memory)


def test_a_variant_whose_pool_is_deleted_goes_when_the_rest_is_ready() -> None:
    small = {"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "1"}}}
    steady = settle(make.snapshot(make.service(spec=small)))
    (old,) = steady.candidate().last_replicas
    pool_name = steady.candidate().service.status.variants[0].pool
    pools = tuple(pool for pool in steady.snapshot.pools if pool.metadata.name != pool_name)
    start = run(changed(steady.snapshot, pools=pools), steady.memory)
    assert not start.decision.deletes
    done = follow(start)
    assert done.deleted() == [f"Deployment demo/llama-{old}", f"Service demo/llama-{old}"]
    settle(done.snapshot, done.memory)


def test_a_full_fixed_pool_is_rolled_in_place() -> None:
    spec = {"scaling": {"minReplicas": 4, "maxReplicas": 4}}
    full = run(make.snapshot(make.service(spec=spec), pools=[make.pool(nodes=1)]))
    assert full.applied("Deployment")["llama-l4"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
    roomy = run(make.snapshot(make.service(spec=spec), pools=[make.pool(nodes=2)]))
    assert roomy.applied("Deployment")["llama-l4"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 1


def test_a_solver_failure_keeps_the_last_plan_or_says_that_there_is_none() -> None:
    failure = PlanFailure("SolverTimeout", "no plan within 20 s")
    first = run(make.snapshot(make.service()), failure=failure)
    assert first.condition("PlanReady").reason == "SolverFailed"
    assert not first.decision.applies
    steady = settle(make.snapshot(make.service()))
    for forget in (False, True):
        failed = follow(steady, failure=failure, forget=forget)
        assert not failed.decision.applies
        assert not failed.decision.deletes
        assert failed.condition("PlanReady").reason == "Held"
        assert "SolverTimeout" in failed.condition("PlanReady").message
        assert failed.reasons() == ["PlanHeld"]
        assert failed.gauge("service_plan_held") == 1
        again = follow(failed, failure=failure)
        assert is_quiet(again.decision)
        assert follow(again).gauge("service_plan_held") == 0


def test_two_services_of_one_model_are_both_planned_and_the_second_is_told() -> None:
    spec = {"model": {"uri": make.LLAMA, "name": "chat"}}
    done = run(make.snapshot(make.service("a", spec=spec), make.service("b", spec=spec)))
    assert {apply.service[1] for apply in done.decision.applies} == {"a", "b"}
    condition = done.condition("ModelNameUnique", "b")
    assert (condition.status, condition.reason) == ("False", "SameModelName")
    assert 'spec.model.name "chat"' in condition.message
    assert '"a"' in condition.message
    with pytest.raises(StopIteration):
        done.condition("ModelNameUnique", "a")


def test_names_that_would_meet_differ_by_their_hash() -> None:
    pools = [make.pool("c", gpu="L4"), make.pool("b-c", gpu="L4", price="0.1")]
    first = make.service("a", spec=on("b-c"))
    second = make.service("a-b", spec=on("c"))
    steady = settle(make.snapshot(first, second, pools=pools))
    owners = {
        key.name: child["metadata"]["ownerReferences"][0]["name"]
        for key, child in steady.snapshot.children.items()
        if key.kind == "Deployment"
    }
    assert sorted((plain(name), owner) for name, owner in owners.items()) == [("a-b-c", "a"), ("a-b-c", "a-b")]
    for name in ("a", "a-b"):
        assert steady.condition("WorkloadsReady", name).reason == "AllReady"


def test_a_child_of_another_owner_is_left_alone() -> None:
    steady = settle(make.snapshot(make.service(spec=on("l4"))))
    key, foreign = steady.child("Deployment", "l4")
    foreign["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "x", "uid": "u", "controller": True}]
    done = run(steady.with_child(key, foreign), steady.memory)
    assert "llama-l4" not in done.applied("Deployment")
    assert not done.decision.deletes
    assert done.condition("WorkloadsReady").reason == "NameConflict"


@pytest.mark.parametrize(
    ("gateways", "reason", "words"),
    [
        (
            None,
            "GatewayApiMissing",
            ['spec.routing.gatewayRef.name "inference"', "install its CRDs", "Service demo/llama"],
        ),
        (frozenset({(make.NAMESPACE, "edge")}), "GatewayNotFound", ["existing: edge", "spec.routing.mode to Service"]),
    ],
)
def test_a_gateway_that_is_not_there(
    gateways: frozenset[tuple[str, str]] | None, reason: str, words: list[str]
) -> None:
    done = run(make.snapshot(make.service(spec=ROUTED), gateways=gateways))
    condition = done.condition("RoutingReady")
    assert condition.reason == reason
    assert all(word in condition.message for word in words)
    assert reason in done.reasons()
    assert bool(done.applied("HTTPRoute")) == (gateways is not None)
    assert done.applied("Deployment")
    steady = settle(make.snapshot(make.service(spec=ROUTED), gateways=gateways))
    assert steady.condition("RoutingReady").reason == reason


def test_a_route_that_its_gateway_refuses() -> None:
    steady = settle(make.snapshot(make.service(spec=ROUTED)))
    key = ObjectKey("HTTPRoute", make.NAMESPACE, "llama")
    route = dict(steady.snapshot.children[key])
    refused = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no listener"}
    route["status"] = {"parents": [{"parentRef": {"name": "inference"}, "conditions": [refused]}]}
    done = run(changed(steady.snapshot, children={**steady.snapshot.children, key: route}), steady.memory)
    condition = done.condition("RoutingReady")
    assert condition.reason == "RouteNotAccepted"
    assert "NotAllowedByListeners" in condition.message
    assert not done.decision.applies


def test_a_route_goes_with_its_mode() -> None:
    steady = settle(make.snapshot(make.service(spec=ROUTED)))
    done = run(changed(steady.snapshot, make.service(generation=2)), steady.memory)
    assert "HTTPRoute demo/llama" in done.deleted()


def test_weights_follow_ready_capacity_and_not_the_plan() -> None:
    spec = {**ROUTED, **TWO_VARIANTS}
    steady = settle(make.snapshot(make.service(spec=spec)))
    weights = {variant["name"]: variant["weight"] for variant in _dump(steady)["variants"]}
    assert sum(weights.values()) == 1000
    assert weights["h100"] > weights["l4"] > 0
    key, broken = steady.child("Deployment", "h100")
    broken["status"]["readyReplicas"] = 0
    down = run(steady.with_child(key, broken), steady.memory)
    backends = down.applied("HTTPRoute")["llama"]["spec"]["rules"][0]["backendRefs"]
    assert {plain(item["name"]): item["weight"] for item in backends} == {"llama-h100": 0, "llama-l4": 1000}


def test_a_service_that_is_leaving_is_left_alone() -> None:
    steady = settle(make.snapshot(make.service(spec=ROUTED)))
    done = run(changed(steady.snapshot, make.service(spec=ROUTED, deleting=True)), steady.memory)
    assert not done.decision.applies
    assert not done.decision.deletes
    assert not [write for write in done.decision.statuses if write.key.kind == "LLMService"]
    assert done.memory.services == {}


def test_too_few_gpus_are_said_and_what_fits_is_planned() -> None:
    spec = {"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "20"}}}
    done = run(make.snapshot(make.service(spec=spec), pools=[make.pool(nodes=1)]))
    assert done.replicas() == {"llama-l4-tp2": 2}
    assert done.condition("PlanReady").reason == "Partial"
    assert "GPUPool spec.capacity" in done.condition("PlanReady").message
    assert done.condition("CapacityAvailable").reason == "StockOut"
    assert done.status()["plan"]["unserved"][0]["reason"] == "Stock"
    assert "Partial" in done.reasons()
    assert (done.gauge("service_unserved_request_rate") or 0.0) > 0


def test_nothing_that_runs_is_touched_where_nothing_can_be_planned() -> None:
    steady = settle(make.snapshot(make.service(), pools=[make.pool()]))
    dark = make.pool(power={"budgetWatts": 1})
    done = run(changed(steady.snapshot, pools=(dark,)), steady.memory)
    assert not done.decision.applies
    assert not done.decision.deletes
    assert done.condition("PlanReady").reason == "Infeasible"
    assert done.condition("Ready").reason == "Serving"
    assert is_quiet(follow(done).decision)


def test_pool_statuses_tell_stock_and_use() -> None:
    pools = [
        make.pool(nodes=None),
        make.pool("none", nodes=None),
        make.pool("elastic", kind="Elastic", nodes=None, gpu="H100", price="9"),
        make.pool("odd", gpu="RTX-1"),
    ]
    nodes = [make.node("n1", pool_name="l4"), make.node("n2", pool_name="l4", gpus=2)]
    load = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "2"}}
    pair = make.service(spec={"slo": {"ttft": "2s", "tpot": "70ms"}, "workload": load})
    done = run(make.snapshot(pair, pools=pools, nodes=nodes))
    by_name = {write.key.name: write.status for write in done.decision.statuses if write.key.kind == "GPUPool"}
    assert (by_name["l4"]["readyNodes"], by_name["l4"]["stockGpus"]) == (2, 6)
    assert done.replicas() == {"llama-l4-tp2": 1}
    assert by_name["l4"]["plannedGpus"] == 2
    assert "stockGpus" not in by_name["elastic"]
    reasons = {name: status["conditions"][0]["reason"] for name, status in by_name.items()}
    assert reasons == {"l4": "Accepted", "none": "NoNodes", "elastic": "Accepted", "odd": "UnknownGpu"}
    settle(done.snapshot)


def test_a_replica_stays_on_one_node() -> None:
    """Three nodes with a third GPU left over each hold no fourth replica of two, whatever they hold together."""
    pools = [make.pool(nodes=None, gpus_per_node=4)]
    nodes = [make.node(f"n{index}", pool_name="l4", gpus=3) for index in range(3)]
    load = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "40"}}
    spec = {"variants": [{"poolRef": "l4", "tensorParallel": 2}], "workload": load}
    done = run(make.snapshot(make.service(spec=spec), pools=pools, nodes=nodes))
    assert done.prepared.problem is not None
    assert done.prepared.problem.pools[0].node_gpus == (3, 3, 3)
    assert done.condition("PlanReady").reason == "Partial"
    assert done.replicas() == {"llama-l4-tp2": 3}


def test_plan_ids_are_stable_and_follow_the_plan() -> None:
    first = run(make.snapshot(make.service())).status()["plan"]["id"]
    assert run(make.snapshot(make.service())).status()["plan"]["id"] == first
    spec = {"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "5"}}}
    assert run(make.snapshot(make.service(spec=spec))).status()["plan"]["id"] != first


def test_headroom_lowers_the_load_a_replica_may_carry() -> None:
    done = run(make.snapshot(make.service(spec={"scaling": {"headroomPercent": 25}})))
    assert done.prepared.problem is not None
    assert done.prepared.problem.services[0].utilisation_limit == pytest.approx(0.8)


def test_an_object_made_anew_starts_without_memory() -> None:
    steady = settle(
        make.snapshot(make.service(spec={"workload": {"source": "Prometheus"}}), observations={"llama": make.found()})
    )
    anew = make.service(spec={"workload": {"source": "Prometheus"}})
    anew = anew.model_copy(update={"metadata": anew.metadata.model_copy(update={"uid": "uid-anew"})})
    snapshot = replace(steady.snapshot, services=(anew,), children={}, observations={})
    assert run(snapshot, steady.memory).status()["load"]["source"] == "MinReplicas"


def _dump(round_: Round) -> dict[str, Any]:
    (service,) = round_.snapshot.services
    return service.status.model_dump(by_alias=True)


def test_a_minimum_that_stock_forbids_is_said() -> None:
    spec = {"scaling": {"minReplicas": 6, "maxReplicas": 8}}
    done = run(make.snapshot(make.service(spec=spec), pools=[make.pool(nodes=1)]))
    assert done.replicas() == {"llama-l4": 4}
    condition = done.condition("PlanReady")
    assert condition.reason == "Partial"
    assert "spec.scaling.minReplicas" in condition.message


def test_an_outsider_that_scales_our_deployment_is_corrected() -> None:
    steady = settle(make.snapshot(make.service(spec=on("l4"))))
    key, edited = steady.child("Deployment", "l4")
    planned = edited["spec"]["replicas"]
    edited["spec"]["replicas"] = planned + 3
    done = run(steady.with_child(key, edited), steady.memory)
    assert done.replicas() == {"llama-l4": planned}
    assert done.reasons() == ["ScaledDown"]


def test_equal_input_gives_an_equal_decision() -> None:
    snapshot = make.snapshot(make.service(spec=ROUTED), make.service("other"))
    assert run(snapshot).decision.applies == run(snapshot).decision.applies
    assert run(snapshot).decision.statuses == run(snapshot).decision.statuses


@pytest.mark.parametrize("steps", [(4, 30, 2), (20, 1, 9), (2, 12, 40)])
def test_ready_capacity_never_falls_below_the_lower_of_now_and_the_plan(steps: tuple[int, ...]) -> None:
    """Loads come faster than pods become Ready; every step of every rollout is checked against the cluster."""
    live = {"workload": {"source": "Prometheus"}, **ROUTED}
    current = settle(make.snapshot(make.service(spec=live), observations={"llama": make.found(1.0)}))
    for step in steps:
        for ready in (False, True, True):
            observations = {"llama": make.found(float(step), prompt=500.0 if step % 2 else 2000.0)}
            current = follow(current, ready=ready, observations=observations)
            after = make.carried_out(current.snapshot, current.decision, ready=False)
            capacity = {
                variant.variant.name: variant.variant.capacity_rps[0] for variant in current.candidate().variants
            }
            planned = sum(
                capacity.get(variant["name"], 0.0) * variant["desired"] for variant in _after(current)["variants"]
            )
            left = sum(
                capacity.get(manifest["metadata"]["labels"]["medley.dev/variant"], 0.0)
                * manifest.get("status", {}).get("readyReplicas", 0)
                for key, manifest in after.children.items()
                if key.kind == "Deployment"
            )
            now = _ready_capacity(current)
            assert left >= min(now, planned) - 1e-9, (now, planned, left)


def _after(round_: Round) -> dict[str, Any]:
    (service,) = make.carried_out(round_.snapshot, round_.decision).services
    return service.status.model_dump(by_alias=True)


def _ready_capacity(round_: Round) -> float:
    capacity = {variant.variant.name: variant.variant.capacity_rps[0] for variant in round_.candidate().variants}
    ready: float = sum(
        capacity.get(manifest["metadata"]["labels"]["medley.dev/variant"], 0.0)
        * manifest.get("status", {}).get("readyReplicas", 0)
        for key, manifest in round_.snapshot.children.items()
        if key.kind == "Deployment"
    )
    return ready


def test_pools_keep_their_stock_and_say_so_while_nodes_cannot_be_listed() -> None:
    """M6: without the right to list nodes no round ended, though the capacity was declared."""
    pools = [make.pool(), make.pool("counted", nodes=None), make.pool("unseen", nodes=None)]
    seen = GPUPoolStatus(ready_nodes=3, stock_gpus=10)
    pools[1] = pools[1].model_copy(update={"status": seen})
    snapshot = replace(make.snapshot(make.service(), pools=pools), unreadable={"Node": "cannot list nodes: no right"})
    done = run(snapshot)
    by_name = {write.key.name: write.status for write in done.decision.statuses if write.key.kind == "GPUPool"}
    stock = {name: (status["readyNodes"], status["stockGpus"]) for name, status in by_name.items()}
    assert stock == {"l4": (0, 16), "counted": (3, 10), "unseen": (0, 0)}
    for name, source in (("l4", "declared by spec.capacity.nodes 4"), ("counted", "last seen")):
        (condition,) = by_name[name]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Ready", "Unknown", "NodesUnreadable")
        assert "cannot list nodes: no right" in condition["message"]
        assert source in condition["message"]
        assert "rbac.create=true" in condition["message"]
    assert done.replicas() == {"llama-l4": 3}


def starting(name: str, *, ready: bool, protected: bool = True) -> PodView:
    labels = pod_selector(service="llama", variant="l4", layout="abcdefgh")
    return PodView(make.NAMESPACE, name, f"uid-{name}", labels=labels, ready=ready, protected=protected)


def test_a_pod_loses_its_start_up_protection_once_it_is_ready_and_no_template_changes() -> None:
    """Karpenter and the cluster autoscaler could never empty a node with such a pod."""
    settled = settle(make.snapshot(make.service()))
    intent = conclude(settled.snapshot, settled.prepared, None, settled.memory, now=make.LATER).intent
    pods = (starting("old", ready=True), starting("new", ready=False), starting("free", ready=True, protected=False))
    view = replace(settled.snapshot, pods=pods, at_seconds=settled.at_seconds)
    decision, steps = act(intent, view, settled.steps, now=make.LATER)
    assert [(note.key, note.uid) for note in decision.pod_notes] == [
        (ObjectKey("Pod", make.NAMESPACE, "old"), "uid-old")
    ]
    assert (decision.applies, decision.deletes) == ((), ())
    again, _ = act(intent, replace(view, at_seconds=view.at_seconds + 1.0), steps, now=make.LATER)
    assert again.pod_notes == ()
