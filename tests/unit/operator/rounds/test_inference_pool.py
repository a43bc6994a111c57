"""Mode InferencePool in whole rounds: made in order, planned by prompt length, and left without losing requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.domain.act import act
from medley_operator.domain.conclude import conclude
from medley_operator.domain.passes import Steps
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.labels import LAYOUT, MANAGED_BY, POOL, PROMPT_RANGE, SERVICE, VARIANT
from medley_operator.domain.values.snapshot import Manifest, MetricsReason, ObjectKey, Observation, Snapshot
from medley_operator.domain.values.views import PodView
from medley_planner.fleet_plan import PlanFailure
from medley_planner.model import Bucket, Demand, SizeSource
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, planned, run, settle

POOLED = {"routing": {"mode": "InferencePool", "gatewayRef": {"name": "inference"}}}
WEIGHTED = {"routing": {"gatewayRef": {"name": "inference"}}}
BOTH = [{"poolRef": name, "tensorParallel": 1, "minReplicas": 1} for name in ("l4", "h100")]
LIVE = {"workload": {"source": "Prometheus"}, "variants": BOTH}
SHORT, LONG = 200.0, 12000.0


def mixed(rate_rps: float = 12.0) -> Observation:
    """Short prompts, and long ones, which an L4 does not serve within the targets."""
    buckets = (Bucket(SHORT, 100.0), Bucket(LONG, 100.0))
    demand = Demand(rate_rps, buckets=buckets, shares=(0.9, 0.1), size_source=SizeSource.GATEWAY)
    return Observation(reason=MetricsReason.FOUND, demand=demand, samples=10000.0, message="seen")


def pooled(**spec: Any) -> Snapshot:
    return make.snapshot(make.service(spec={**LIVE, **POOLED, **spec}), observations={"llama": mixed()})


def kinds(decision: Decision) -> set[str]:
    return {apply.manifest["kind"] for apply in decision.applies}


def ranges(round_: Round) -> dict[str, str]:
    (service,) = make.carried_out(round_.snapshot, round_.decision).services
    return {row.name: row.prompt_range or "" for row in service.status.variants}


def with_pods(round_: Round) -> Snapshot:
    """The cluster with a Ready pod of each Deployment."""
    snapshot = make.carried_out(round_.snapshot, round_.decision)
    pods = []
    for key, manifest in snapshot.children.items():
        if key.kind == "Deployment":
            labels = manifest["spec"]["template"]["metadata"]["labels"]
            own = {name: labels[name] for name in (MANAGED_BY, SERVICE, VARIANT, LAYOUT, POOL)}
            pods.append(PodView(make.NAMESPACE, f"{key.name}-x", f"uid-{own[VARIANT]}", labels=own, ready=True))
    return replace(snapshot, pods=tuple(pods))


def labelled(snapshot: Snapshot, before: Round, *, steps: Steps, at_seconds: float = 1000.0) -> dict[str, str]:
    """The ranges that one pass gives to pods, by variant."""
    intent = conclude(snapshot, before.prepared, None, before.memory, now=make.LATER).intent
    decision, _ = act(intent, replace(snapshot, at_seconds=at_seconds), steps, now=make.LATER)
    given = {each.uid.removeprefix("uid-"): each.labels[PROMPT_RANGE] for each in decision.pod_notes}
    return {variant: text for variant, text in given.items() if text is not None}


def test_configuration_and_pool_come_before_the_route() -> None:
    """A route to a pool that is not there answers with errors."""
    snapshot, passes = pooled(), []
    first = run(snapshot)
    intent = conclude(snapshot, first.prepared, planned(snapshot), first.memory, now=make.NOW).intent
    view, steps = snapshot, Steps()
    current = snapshot
    for _ in range(6):
        decision, steps = act(intent, view, steps, now=make.NOW)
        passes.append(kinds(decision))
        current = make.carried_out(current, decision, ready=None)
        view = current
    made = [next(at for at, found in enumerate(passes) if kind in found) for kind in ("InferencePool", "HTTPRoute")]
    assert made[0] < made[1]
    assert "ConfigMap" in passes[made[0]]
    assert first.applied("InferencePool")["llama"]["spec"]["targetPorts"] == [{"number": 8000}]


def test_a_settled_service_is_routed_and_writes_nothing() -> None:
    steady = settle(pooled())
    assert steady.condition("RoutingReady").reason == "Routed"
    (service,) = steady.snapshot.services
    assert service.status.url == "/demo/llama"
    assert is_quiet(follow(steady).decision)
    assert is_quiet(follow(steady, forget=True).decision)


def test_each_variant_gets_the_prompts_of_its_classes_and_the_pods_their_label() -> None:
    steady = settle(pooled())
    shown = ranges(steady)
    assert shown == {"l4": "0-1549", "h100": "0-16384"}
    snapshot = with_pods(steady)
    assert labelled(snapshot, steady, steps=Steps()) == shown
    templates = [each["spec"]["template"] for key, each in snapshot.children.items() if key.kind == "Deployment"]
    assert all(PROMPT_RANGE not in template["metadata"]["labels"] for template in templates)


def test_ranges_outlive_a_restart_and_a_plan_that_is_held() -> None:
    """The status is the memory of what pods are labelled by; a solver that fails moves no request."""
    steady = settle(pooled())
    held = follow(steady, failure=PlanFailure("SolverTimeout", "no plan within 20 s"), forget=True)
    assert held.condition("PlanReady").reason == "Held"
    assert ranges(held) == ranges(steady)
    before = {row.name: row.capacity_rps for row in steady.candidate().service.status.variants}
    (service,) = make.carried_out(held.snapshot, held.decision).services
    assert {row.name: row.capacity_rps for row in service.status.variants} == before
    assert labelled(with_pods(held), held, steps=Steps()) == ranges(steady)


def test_capacity_in_the_status_is_that_of_the_prompts_a_variant_gets() -> None:
    """An L4 that serves no long prompt has not capacity 0."""
    steady = settle(pooled())
    (service,) = steady.snapshot.services
    assert all(row.replica_rps > 0 for row in service.status.variants)
    assert sum(row.desired * row.replica_rps for row in service.status.variants) >= 12.0


@pytest.mark.parametrize("mode", [ActingMode.ADVISORY, ActingMode.PAUSED])
def test_pods_are_not_labelled_where_nothing_may_be_changed(mode: ActingMode) -> None:
    steady = settle(pooled())
    prepared = replace(
        steady.prepared, services=tuple(replace(each, mode=mode) for each in steady.prepared.services), problem=None
    )
    snapshot = with_pods(steady)
    assert labelled(snapshot, replace(steady, prepared=prepared), steps=Steps()) == {}


def test_a_cluster_without_the_kind_is_shown_and_serves_by_the_common_service() -> None:
    done = run(replace(pooled(), lacking=frozenset({"InferencePool"})))
    assert done.condition("RoutingReady").reason == "InferencePoolMissing"
    assert not done.applied("HTTPRoute")
    assert not done.applied("ConfigMap")
    assert "llama" in done.applied("Service")
    settle(replace(pooled(), lacking=frozenset({"InferencePool"})))


def test_from_weights_to_a_pool_the_route_moves_once_the_pool_is_there() -> None:
    weighted = settle(make.snapshot(make.service(spec={**LIVE, **WEIGHTED}), observations={"llama": mixed()}))
    moved = run(changed(weighted.snapshot, make.service(spec={**LIVE, **POOLED}, generation=2)), weighted.memory)
    (backend,) = moved.applied("HTTPRoute")["llama"]["spec"]["rules"][0]["backendRefs"]
    assert (backend["kind"], backend["name"]) == ("InferencePool", "llama")
    assert "HTTPRoute demo/llama" not in moved.deleted()


@pytest.mark.parametrize("after", [WEIGHTED, {"routing": {"mode": "Service"}}])
def test_a_pool_goes_after_no_route_names_it(after: dict[str, Any]) -> None:
    steady = settle(pooled())
    other = changed(steady.snapshot, make.service(spec={**LIVE, **after}, generation=2))
    done = run(other, steady.memory)
    assert {"ConfigMap demo/medley-endpoint-picker", "InferencePool demo/llama"} <= set(done.deleted())
    seen: list[str] = [str(delete.key) for delete in done.decision.deletes]
    if "HTTPRoute demo/llama" in seen:
        assert seen.index("HTTPRoute demo/llama") < seen.index("InferencePool demo/llama")
    assert settle(done.snapshot, done.memory).condition("RoutingReady").reason == "Routed"


def test_services_of_a_namespace_share_the_configuration_and_it_outlives_its_maker() -> None:
    """It is one object, since a right on all ConfigMaps would be one on those of the cluster's admins."""
    services = [make.service(name, spec={**LIVE, **POOLED}) for name in ("a", "b")]
    observations = {name: mixed() for name in ("a", "b")}
    steady = settle(make.snapshot(*services, observations=observations))
    key = ObjectKey("ConfigMap", make.NAMESPACE, "medley-endpoint-picker")
    assert owner(steady.snapshot.children[key]) == "a"
    for name in ("a", "b"):
        assert steady.condition("RoutingReady", name).reason == "Routed"
    children = {key_: child for key_, child in steady.snapshot.children.items() if owner(child) != "a"}
    alone = settle(changed(steady.snapshot, services[1], children=children), steady.memory)
    assert owner(alone.snapshot.children[key]) == "b"


def owner(manifest: Manifest) -> str:
    return str(manifest["metadata"]["ownerReferences"][0]["name"])


def test_an_inference_pool_of_another_owner_is_left_alone_and_no_route_names_it() -> None:
    key = ObjectKey("InferencePool", make.NAMESPACE, "llama")
    theirs: Manifest = {"kind": "InferencePool", "metadata": {"name": "llama", "namespace": make.NAMESPACE}, "spec": {}}
    done = run(replace(pooled(), children={key: theirs}))
    assert done.condition("RoutingReady").reason == "NameConflict"
    assert not done.applied("HTTPRoute")
    assert not done.applied("InferencePool")
