"""More Ready variants than a route has backends: each gets requests, and the old ones go all the same."""

from __future__ import annotations

import copy

from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, run, settle

ROUTED = {"routing": {"gatewayRef": {"name": "inference"}}, "variants": [{"poolRef": "l4", "tensorParallel": 1}]}
OLD = 20


def renamed(manifest: Manifest, layout: str, *, replicas: int = 2) -> Manifest:
    """A child of a former layout of the same variant."""
    before = manifest["metadata"]["labels"]["medley.dev/layout"]
    text = copy.deepcopy(manifest)
    text["metadata"]["name"] = text["metadata"]["name"].replace(before, layout)
    text["metadata"]["labels"]["medley.dev/layout"] = layout
    if text["kind"] == "Service":
        text["spec"]["selector"]["medley.dev/layout"] = layout
        return text
    text["spec"]["selector"]["matchLabels"]["medley.dev/layout"] = layout
    text["spec"]["template"]["metadata"]["labels"]["medley.dev/layout"] = layout
    text["spec"]["replicas"] = replicas
    text["status"] = {**text["status"], **dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), replicas)}
    return text


def crowded() -> Round:
    """A service with a planned variant, and twenty of former layouts that are Ready and to go."""
    steady = settle(make.snapshot(make.service(spec=ROUTED)))
    made = [steady.child(kind, "l4")[1] for kind in ("Deployment", "Service")]
    old = [renamed(manifest, f"{'abcdefghij'[n % 10]}{'ab'[n // 10]}aaaaaa") for n in range(OLD) for manifest in made]
    children = {**steady.snapshot.children, **{key_of(manifest): manifest for manifest in old}}
    return run(changed(steady.snapshot, children=children), steady.memory, at_seconds=1000.0)


def backends(round_: Round) -> dict[str, int]:
    """Weights of the route by Service, once the round is carried out."""
    after = make.carried_out(round_.snapshot, round_.decision)
    route = after.children[ObjectKey("HTTPRoute", make.NAMESPACE, "llama")]
    return {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}


def deployments(round_: Round) -> set[str]:
    return {key.name for key in round_.snapshot.children if key.kind == "Deployment"}


def test_ready_replicas_of_twenty_old_layouts_get_requests_until_they_go() -> None:
    """Some got none, and the route never had the weights that taking the others away waited for."""
    current = crowded()
    first = backends(current)
    assert (len(deployments(current)), len(first)) == (OLD + 1, 16)
    assert first["llama"] > 0, "the Service over all pods, which the rest shares"
    for _ in range(8):
        sends, before = backends(current), deployments(current)
        current = follow(current)
        gone = before - deployments(current)
        assert not gone or sends.keys() <= deployments(current), "nothing goes that the route sends requests to"
    assert len(deployments(current)) == 1
    assert settle(current.snapshot, current.memory).condition("RoutingReady").reason == "Routed"
