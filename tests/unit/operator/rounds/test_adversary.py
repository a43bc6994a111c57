"""A tenant that edits, copies and deletes the children of its own service, in whole rounds: nothing of another tenant
changes, and soon after its end all is as before."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import ROUND_SECONDS, Round, follow, run, settle

OTHERS = "others"
NOBODY = "1-2-3"
TURNS = 8
SPEC_SHARE = 0.3
MOST_ROUNDS = 12
ROUTED = {"routing": {"gatewayRef": {"name": "inference"}}}
KUBECTL = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:paused": {}}}}


def steady() -> Round:
    """Two tenants with one service each."""
    pools = [make.pool("a100", gpu="A100-80", price="3.67", gpus_per_node=8)]
    services = [make.service(spec=ROUTED), make.service("other", spec=ROUTED, namespace=OTHERS)]
    gateways = frozenset((namespace, "inference") for namespace in (make.NAMESPACE, OTHERS))
    return settle(make.snapshot(*services, pools=pools, gateways=gateways))


SPECS: tuple[dict[str, Any], ...] = (
    {"workload": {"source": "Static", "static": make.STATIC | {"requestsPerSecond": "1000"}}},
    {"workload": {"source": "Static", "static": make.STATIC | {"requestsPerSecond": "0.1"}}},
    {"priority": "High", "scaling": {"minReplicas": 9, "maxReplicas": 9}},
    {"slo": {"ttft": "1ms", "tpot": "1ms"}},
    {"variants": [{"poolRef": "nothing", "tensorParallel": 3}]},
)


def with_spec(snapshot: Snapshot, spec: dict[str, Any]) -> Snapshot:
    """The tenant's service with these fields, as its next generation."""
    own, *others = sorted(snapshot.services, key=lambda each: each.metadata.namespace != make.NAMESPACE)
    fresh = make.service(spec={**ROUTED, **spec}, generation=own.metadata.generation + 1)
    return replace(snapshot, services=(fresh.model_copy(update={"status": own.status}), *others))


def edited(snapshot: Snapshot, chance: random.Random) -> Snapshot:
    """One move, on the service of the tenant or a child of its namespace."""
    if chance.random() < SPEC_SHARE:
        return with_spec(snapshot, chance.choice((*SPECS, {})))
    children = dict(snapshot.children)
    own = sorted(key for key in children if key.namespace == make.NAMESPACE)
    if not own:
        return snapshot
    key = chance.choice(own)
    child = copy.deepcopy(children[key])
    match chance.choice(("delete", "label", "owner", "spec", "copy", "terminating")):
        case "delete":
            del children[key]
            return replace(snapshot, children=children)
        case "label":
            child["metadata"]["labels"][chance.choice(sorted(child["metadata"]["labels"]))] = "theirs"
        case "owner":
            other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": NOBODY, "controller": True}
            child["metadata"]["ownerReferences"] = chance.choice(([], [other]))
        case "spec":
            _spoil(child, chance)
        case "copy" if key.kind == labels.DEPLOYMENT:
            child["metadata"] |= {"name": f"copy-{chance.randrange(3)}", "uid": "uid-copy"}
            child["spec"]["replicas"] = chance.choice((0, 1, 20))
            key = labels.key_of(child)
        case "terminating":
            child["metadata"] |= {"deletionTimestamp": make.NOW, "finalizers": ["example.org/held"]}
    children[key] = child
    return replace(snapshot, children=children)


def _spoil(child: Manifest, chance: random.Random) -> None:
    if child["kind"] == labels.DEPLOYMENT:
        child["spec"] |= {"replicas": chance.choice((0, 1, 20)), "paused": chance.choice((True, False))}
        child["metadata"]["managedFields"] = [KUBECTL]
    elif child["kind"] == labels.HTTP_ROUTE:
        for backend in child["spec"]["rules"][0]["backendRefs"]:
            backend["weight"] = chance.choice((0, 1, 300, 900))
    elif "selector" in child["spec"]:
        child["spec"]["selector"] = {"app": "theirs"}


def left(snapshot: Snapshot) -> Snapshot:
    """The tenant lets go: finalizers and pauses end, what it took owner and labels from is its own and goes, and the
    garbage collector takes what has an owner that is gone."""
    children = {}
    for key, child in snapshot.children.items():
        owners = {owner["uid"] for owner in child["metadata"].get("ownerReferences") or []}
        strange = not owners and "theirs" in child["metadata"]["labels"].values()
        if child["metadata"].get("deletionTimestamp") or owners == {NOBODY} or strange:
            continue
        if child["kind"] == labels.DEPLOYMENT:
            child = {**child, "spec": {name: value for name, value in child["spec"].items() if name != "paused"}}
        children[key] = child
    return replace(snapshot, children=children)


def essence(snapshot: Snapshot, namespace: str) -> dict[ObjectKey, Any]:
    return {
        key: (child["spec"], child["metadata"]["labels"], child["metadata"]["ownerReferences"])
        for key, child in snapshot.children.items()
        if key.namespace == namespace
    }


def serving(snapshot: Snapshot, namespace: str) -> dict[ObjectKey, Any]:
    """Replicas and routes: how a Deployment would roll depends on what room there is."""
    return {
        key: child["spec"].get("replicas", child["spec"].get("rules"))
        for key, child in snapshot.children.items()
        if key.namespace == namespace
    }


@pytest.mark.parametrize("seed", range(12))
def test_a_tenant_that_edits_its_children_changes_nothing_of_others_and_is_mended(seed: int) -> None:
    chance, current = random.Random(seed), steady()  # noqa: S311 - the same each time, on purpose
    own, others = essence(current.snapshot, make.NAMESPACE), serving(current.snapshot, OTHERS)

    def turn(snapshot: Snapshot) -> Round:
        at_seconds = current.at_seconds + ROUND_SECONDS
        done = run(snapshot, current.memory, now=make.LATER, steps=current.steps, at_seconds=at_seconds)
        assert serving(make.carried_out(snapshot, done.decision), OTHERS) == others
        return done

    for _ in range(TURNS):
        snapshot = make.carried_out(current.snapshot, current.decision)
        for _ in range(chance.randrange(1, 4)):
            snapshot = edited(snapshot, chance)
        current = turn(snapshot)
    current = turn(with_spec(left(make.carried_out(current.snapshot, current.decision)), {}))
    for _ in range(MOST_ROUNDS):
        current = follow(current)
    found = essence(current.snapshot, make.NAMESPACE)
    orphans = {key for key in found if key.name.startswith("copy-") and not found[key][2]}
    assert {key: value for key, value in found.items() if key not in orphans} == own
