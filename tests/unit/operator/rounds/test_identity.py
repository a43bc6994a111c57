"""Whose a child is and what it is, in whole rounds: names that cannot clash, owners that cannot be forged, and layouts
that are made before others are broken."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.values.labels import LAYOUT, owner_reference, pod_selector
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from medley_operator.domain.values.views import Autoscaler
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, rounds_until_deleted, run, settle

ROUTED = {"routing": {"gatewayRef": {"name": "inference"}}}
A100 = make.pool("a100", gpu="A100-80", price="3.67", gpus_per_node=8)
H100 = make.pool("h100", gpu="H100", price="6.88", gpus_per_node=8)


def named(pool_name: str, degree: int, *, replicas: int = 4, **spec: Any) -> dict[str, Any]:
    variant = {"name": "main", "poolRef": pool_name, "tensorParallel": degree}
    return {"variants": [variant], "scaling": {"minReplicas": replicas, "maxReplicas": replicas}, **ROUTED, **spec}


def ready(snapshot: Snapshot) -> int:
    return sum(
        child.get("status", {}).get("readyReplicas", 0)
        for key, child in snapshot.children.items()
        if key.kind == "Deployment"
    )


def backends(done: Round, name: str = "llama") -> dict[str, int]:
    """Weights of the route that is there after the round, by Service."""
    after = make.carried_out(done.snapshot, done.decision)
    route = after.children[ObjectKey("HTTPRoute", make.NAMESPACE, name)]
    return {item["name"]: item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]}


@pytest.mark.parametrize("after", [named("a100", 4), named("h100", 1), named("a100", 1, runtime={"profileRef": "fp8"})])
def test_a_named_variant_of_another_layout_is_made_before_the_old_one_is_broken(after: dict[str, Any]) -> None:
    """Variant main goes from one GPU to four, from a100 to h100, or to an FP8 cache, with GPUs to spare."""
    profiles = [make.profile(), make.profile("fp8", args=["--kv-cache-dtype=fp8"])]
    steady = settle(make.snapshot(make.service(spec=named("a100", 1)), pools=[A100, H100], profiles=profiles))
    before = ready(steady.snapshot)
    old = steady.child("Deployment", "main")[0].name
    assert before == 4

    started = run(changed(steady.snapshot, make.service(spec=after, generation=2)), steady.memory)
    assert started.replicas() == {"llama-main": 4}
    assert old not in {apply.manifest["metadata"]["name"] for apply in started.decision.applies}
    assert not started.decision.deletes
    status = {row["name"]: (row["desired"], row["ready"]) for row in started.status()["variants"]}
    assert status == {"main": (4, 0), f"main@{old.rpartition('-')[2]}": (0, 4)}
    assert backends(started)[old] == 1000
    assert started.condition("WorkloadsReady").reason == "Progressing"
    assert started.condition("Ready").reason == "Serving"

    waiting = follow(started, ready=False)
    assert ready(waiting.snapshot) >= before
    assert not waiting.decision.deletes

    swapping = rounds_until_deleted(waiting, "llama-main")
    assert all(ready(each.snapshot) >= before for each in swapping)
    swapped = swapping[-1]
    assert swapped.deleted() == ["Deployment demo/llama-main", "Service demo/llama-main"]
    assert old not in {key.name for key in make.carried_out(swapped.snapshot, swapped.decision).children}
    done = settle(swapped.snapshot, swapped.memory)
    assert done.condition("WorkloadsReady").reason == "AllReady"
    assert [row.name for row in done.snapshot.services[0].status.variants] == ["main"]


def test_old_and_new_pods_of_a_variant_are_never_selected_by_one_service() -> None:
    steady = settle(make.snapshot(make.service(spec=named("a100", 1)), pools=[A100, H100]))
    started = run(changed(steady.snapshot, make.service(spec=named("h100", 1), generation=2)), steady.memory)
    after = make.carried_out(started.snapshot, started.decision).children
    pods = [child["spec"]["template"]["metadata"]["labels"] for key, child in after.items() if key.kind == "Deployment"]
    assert len({labels[LAYOUT] for labels in pods}) == 2
    for key, child in after.items():
        if key.kind == "Service" and key.name != "llama":
            assert sum(child["spec"]["selector"].items() <= labels.items() for labels in pods) == 1
        if key.kind == "Deployment":
            selector = child["spec"]["selector"]["matchLabels"]
            assert sum(selector.items() <= labels.items() for labels in pods) == 1


def test_half_ready_new_replicas_do_not_get_the_load_of_all() -> None:
    steady = settle(make.snapshot(make.service(spec=named("a100", 1)), pools=[A100, H100]))
    old = steady.child("Deployment", "main")[0].name
    started = run(changed(steady.snapshot, make.service(spec=named("a100", 2), generation=2)), steady.memory)
    snapshot = make.carried_out(started.snapshot, started.decision, ready=False)
    for key, child in snapshot.children.items():
        if key.kind == "Deployment" and key.name != old:
            child["status"]["readyReplicas"] = 1
    partly = run(snapshot, started.memory)
    weights = backends(partly)
    assert weights[old] >= 500
    assert not partly.decision.deletes


@pytest.mark.parametrize("routing", [ROUTED, {}])
def test_a_service_named_as_the_variant_of_another_shares_no_object_with_it(routing: dict[str, Any]) -> None:
    """LLMServices chat and chat-h100 in one namespace, chat with a variant h100: traffic of one stays with it."""
    on_h100 = {"variants": [{"poolRef": "h100", "tensorParallel": 1}], **routing}
    chat, other = make.service("chat", spec=on_h100), make.service("chat-h100", spec=on_h100)
    steady = settle(make.snapshot(chat, other, pools=[H100]))
    for name in ("chat", "chat-h100"):
        assert steady.condition("RoutingReady", name).reason == "Routed"
        assert steady.condition("WorkloadsReady", name).reason == "AllReady"
    for key, child in steady.snapshot.children.items():
        owner = child["metadata"]["ownerReferences"][0]["name"]
        if key.kind == "Service":
            assert child["spec"]["selector"]["medley.dev/service"] == owner
        if key.kind == "HTTPRoute":
            for backend in child["spec"]["rules"][0]["backendRefs"]:
                found = steady.snapshot.children[ObjectKey("Service", make.NAMESPACE, backend["name"])]
                assert found["metadata"]["ownerReferences"][0]["name"] == owner


@pytest.mark.parametrize("mode", [ROUTED, {}])
def test_a_common_service_of_another_is_told_in_routing_ready_until_it_goes(mode: dict[str, Any]) -> None:
    key = ObjectKey("Service", make.NAMESPACE, "llama")
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "llama",
            "namespace": make.NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "medley"},
        },
    }
    done = run(make.snapshot(make.service(spec=mode), children={key: foreign}))
    assert "llama" not in done.applied("Service")
    condition = done.condition("RoutingReady")
    assert (condition.status, condition.reason) == ("False", "NameConflict")
    assert "Service demo/llama belongs to another object" in condition.message
    healed = settle(replace(done.snapshot, children={}), done.memory)
    assert healed.condition("RoutingReady").reason == "Routed"


def test_a_route_leaves_out_a_backend_that_is_another_objects() -> None:
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key, service = steady.child("Service", "main")
    service["metadata"]["ownerReferences"] = [{"kind": "Gateway", "name": "x", "uid": "u", "controller": True}]
    done = run(steady.with_child(key, service), steady.memory)
    assert backends(done) == {"llama": 1}
    assert done.condition("RoutingReady").reason == "NameConflict"


def forged(child: Manifest, *, namespace: str) -> tuple[ObjectKey, Manifest]:
    made = copy.deepcopy(child)
    made["metadata"] |= {"namespace": namespace, "name": "decoy", "uid": "uid-decoy"}
    return ObjectKey("Deployment", namespace, "decoy"), made


def test_a_child_in_another_namespace_does_not_count_whatever_uid_it_names() -> None:
    """A Deployment elsewhere with the uid of the victim and Ready pods took the victim's own replicas to 0."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key, decoy = forged(steady.child("Deployment", "main")[1], namespace="attacker")
    decoy["metadata"]["labels"]["medley.dev/variant"] = "cheap"
    decoy["spec"]["selector"]["matchLabels"]["medley.dev/variant"] = "cheap"
    assert is_quiet(run(steady.with_child(key, decoy), steady.memory).decision)


@pytest.mark.parametrize("limit", ["8", "1k", "many"])
def test_labels_alone_take_no_stock_and_end_no_round(limit: str) -> None:
    """A Deployment with our labels, 1000 replicas and no owner took every GPU from everybody; "1k" ended the round."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    for controller in (None, {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama", "uid": "uid-llama"}):
        key, decoy = forged(steady.child("Deployment", "main")[1], namespace=make.NAMESPACE)
        decoy["metadata"]["ownerReferences"] = [] if controller is None else [controller | {"controller": True}]
        decoy["spec"]["replicas"] = 1000
        decoy["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/gpu": limit}
        assert is_quiet(run(steady.with_child(key, decoy), steady.memory).decision)


def test_a_quantity_that_others_wrote_into_our_own_deployment_ends_no_round() -> None:
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/gpu": "1k"}
    done = run(steady.with_child(key, child), steady.memory)
    assert done.applied("Deployment")["llama-main"]["spec"]["replicas"] == 4


def orphaned(steady: Round, former: str | None) -> Snapshot:
    """All children without an owner, or with one that is gone."""
    children = copy.deepcopy(dict(steady.snapshot.children))
    for child in children.values():
        child["metadata"]["ownerReferences"] = [owner_reference(service="llama", uid=former)] if former else []
    return replace(steady.snapshot, children=children)


@pytest.mark.parametrize("former", [None, "uid-before-the-restore"])
def test_orphans_that_are_plainly_ours_are_adopted_and_go_on_serving(former: str | None) -> None:
    """After `--cascade=orphan` or a restore without owners: no conflict, nothing counted twice, nothing restarted."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    done = run(orphaned(steady, former), steady.memory)
    assert done.condition("Ready").reason == "Serving"
    assert done.condition("WorkloadsReady").reason == "AllReady"
    assert done.condition("RoutingReady").reason == "Routed"
    assert done.replicas() == {"llama-main": 4}
    assert not done.decision.deletes
    old = {key.name: child for key, child in steady.snapshot.children.items() if key.kind == "Deployment"}
    for apply in done.decision.applies:
        references = apply.manifest["metadata"]["ownerReferences"]
        assert [reference["uid"] for reference in references if reference["controller"]] == ["uid-llama"]
        assert {reference["uid"] for reference in references} >= ({former} if former else set())
        if apply.manifest["kind"] == "Deployment":
            held = old[apply.manifest["metadata"]["name"]]
            assert held["spec"]["selector"] == apply.manifest["spec"]["selector"]
    # The garbage collector takes the reference to what is gone away, or has not come to it yet.
    assert is_quiet(follow(done).decision)
    gpus = {row["name"]: row["plannedGpus"] for row in _pools(done)}
    assert gpus == {"h100": 4}


def _pools(done: Round) -> list[dict[str, Any]]:
    pools = make.carried_out(done.snapshot, done.decision).pools
    return [{"name": pool.metadata.name, "plannedGpus": pool.status.planned_gpus} for pool in pools]


def test_an_orphan_of_an_old_layout_serves_until_the_new_one_is_ready() -> None:
    steady = settle(make.snapshot(make.service(spec=named("a100", 1)), pools=[A100, H100]))
    snapshot = orphaned(steady, None)
    moved = run(changed(snapshot, make.service(spec=named("h100", 1), generation=2)), steady.memory)
    assert not moved.decision.deletes
    assert moved.condition("Ready").reason == "Serving"
    swapping = rounds_until_deleted(moved, "llama-main")
    assert all(ready(each.snapshot) >= ready(snapshot) for each in swapping)


def test_what_only_looks_like_ours_is_not_adopted() -> None:
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["metadata"]["ownerReferences"] = []
    child["spec"]["selector"]["matchLabels"] = pod_selector(service="llama") | {"app": "mine"}
    done = run(steady.with_child(key, child), steady.memory)
    assert done.condition("WorkloadsReady").reason == "NameConflict"
    assert not done.replicas()


def test_a_label_that_is_overwritten_is_put_back() -> None:
    """The variant is known by what its Deployment selects, which nobody can change."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["metadata"]["labels"] |= {"medley.dev/variant": "other", LAYOUT: "other"}
    done = run(steady.with_child(key, child), steady.memory)
    assert done.replicas() == {"llama-main": 4}
    assert not done.decision.deletes
    assert done.condition("WorkloadsReady").reason == "AllReady"


def test_names_of_the_greatest_length_are_cut_and_differ() -> None:
    long = "a-very-long-name-of-a-language-model"
    variants = [{"name": f"variant-{n}-with-a-name", "poolRef": "h100", "minReplicas": 1} for n in range(2)]
    steady = settle(make.snapshot(make.service(long, spec={"variants": variants, **ROUTED}), pools=[H100]))
    names = [key.name for key in steady.snapshot.children if key.kind == "Deployment"]
    assert len(set(names)) == 2
    assert all(len(name) <= 63 for name in names)


def later(earlier: Round, seconds: float, **fields: Any) -> Snapshot:
    """The cluster after the round, as a look at that time sees it."""
    return replace(make.carried_out(earlier.snapshot, earlier.decision), at_seconds=seconds, **fields)


def test_a_client_in_a_loop_gets_five_writes_and_is_named() -> None:
    """An admission policy that rewrites the image made one PATCH each round, with all conditions green."""
    current = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key = current.child("Deployment", "main")[0]
    writes, told = 0, []
    for number in range(12):
        snapshot = later(current, 30.0 * (number + 1))
        child = copy.deepcopy(snapshot.children[key])
        child["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.com/vllm:v0.32.0"
        snapshot = replace(snapshot, children={**snapshot.children, key: child})
        at_seconds = current.at_seconds + 30.0
        current = run(snapshot, current.memory, steps=current.steps, at_seconds=at_seconds)
        writes += len(current.decision.applies)
        told += current.reasons()
    assert writes == 5
    assert told == ["DriftContention"]
    condition = current.condition("ChildrenUnchanged")
    assert (condition.status, condition.reason) == ("False", "DriftContention")
    assert f"Deployment demo/{key.name}: spec.template.spec.containers[main].image" in condition.message


def test_an_autoscaler_on_our_deployment_is_told_and_not_fought() -> None:
    """An HPA with minReplicas 4 and the plan's 1 wrote 1 and 4 in turn, with all conditions green."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1, replicas=1)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["spec"]["replicas"] = 4
    hpa = {key: Autoscaler(replicas="HorizontalPodAutoscaler demo/mine")}
    scaled = run(replace(steady.with_child(key, child), autoscalers=hpa), steady.memory)
    assert not scaled.decision.applies
    condition = scaled.condition("ChildrenUnchanged")
    assert condition.reason == "ConflictingAutoscaler"
    assert f"HorizontalPodAutoscaler demo/mine scales Deployment demo/{key.name}" in condition.message
    gone = run(later(scaled, 60.0, autoscalers={}), scaled.memory, steps=scaled.steps, at_seconds=60.0)
    assert gone.replicas() == {"llama-main": 2}, "half of the four at once"
    with pytest.raises(StopIteration):
        gone.condition("ChildrenUnchanged")


def test_an_autoscaler_of_resources_is_told_and_replicas_are_still_set() -> None:
    """A VerticalPodAutoscaler on a Deployment of Medley evicted its pods, with all conditions green."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1, replicas=1)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["spec"]["replicas"] = 4
    vpa = {key: Autoscaler(resources="VerticalPodAutoscaler demo/mine")}
    resized = run(replace(steady.with_child(key, child), autoscalers=vpa), steady.memory)
    assert resized.replicas() == {"llama-main": 1}
    condition = resized.condition("ChildrenUnchanged")
    assert condition.reason == "ConflictingAutoscaler"
    assert f"VerticalPodAutoscaler demo/mine sets the resources of the pods of Deployment demo/{key.name}" in (
        condition.message
    )


def test_what_others_add_to_a_pod_is_told() -> None:
    steady = settle(make.snapshot(make.service(spec=named("h100", 1)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["spec"]["template"]["spec"]["hostNetwork"] = True
    done = run(steady.with_child(key, child), steady.memory)
    assert not done.decision.applies
    assert done.condition("ChildrenUnchanged").reason == "ChangedByOthers"
    assert "spec.template.spec.hostNetwork" in done.condition("ChildrenUnchanged").message


def test_a_paused_deployment_keeps_its_replicas_and_is_told() -> None:
    steady = settle(make.snapshot(make.service(spec=named("h100", 1, replicas=2)), pools=[A100, H100]))
    key, child = steady.child("Deployment", "main")
    child["spec"]["paused"] = True
    paused = steady.with_child(key, child)
    for after in (named("h100", 1, replicas=4), named("h100", 1, replicas=1)):
        done = run(changed(paused, make.service(spec=after, generation=2)), steady.memory)
        assert not done.decision.applies
        condition = done.condition("WorkloadsReady")
        assert (condition.status, condition.reason) == ("False", "Paused")
        assert f"kubectl rollout resume deployment/{key.name} -n demo" in condition.message
    moved = settle(changed(paused, make.service(spec=named("a100", 1, replicas=2), generation=2)))
    assert key in moved.snapshot.children
    assert moved.condition("WorkloadsReady").reason == "Paused"


def test_a_paused_deployment_that_others_scale_up_follows_the_plan() -> None:
    """A tenant who paused a Deployment and scaled it to 20 kept 20 replicas, which nobody had planned."""
    steady = settle(make.snapshot(make.service(spec=named("h100", 1, replicas=2)), pools=[H100]))
    key, child = steady.child("Deployment", "main")
    child["spec"] |= {"paused": True, "replicas": 20}
    scaled: Manifest = {"f:spec": {"f:replicas": {}}}
    child["metadata"]["managedFields"] = [{"manager": "kubectl", "operation": "Update", "fieldsV1": scaled}]
    done = run(steady.with_child(key, child), steady.memory, steps=steady.steps)
    assert done.replicas() == {"llama-main": 2}


def test_a_copy_without_a_service_goes_though_no_route_ever_had_it() -> None:
    """A copy of a Deployment with its owner kept 20 replicas for ever: its shrink waited for a weight in the route,
    which names no Service that is not there."""
    current = settle(make.snapshot(make.service(spec=named("h100", 1, replicas=2)), pools=[H100]))
    key, copied = current.child("Deployment", "main")
    copied["metadata"] |= {"name": "copy", "uid": "uid-copy"}
    copied["spec"]["replicas"] = 20
    current = run(current.with_child(replace(key, name="copy"), copied), current.memory, steps=current.steps)
    done = rounds_until_deleted(current, "copy")
    assert ready(done[-1].snapshot) >= 2
