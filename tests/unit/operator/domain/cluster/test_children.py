"""Which Deployments run which variants of a service, and whose they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.children import RunningVariant, running_variants
from medley_operator.domain.engine.deployment_seen import running_variant
from medley_operator.domain.values.labels import LAYOUT, MANAGED_BY, MANAGED_BY_VALUE, POOL, VARIANT, key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import deployment


def running(layout: str, ready: int, **fields: Any) -> tuple[ObjectKey, Manifest]:
    manifest = make.with_defaults(deployment(layout=layout, replicas=4, **fields))
    manifest["status"] = {"readyReplicas": ready}
    return key_of(manifest), manifest


def test_the_deployment_of_the_wanted_layout_bears_the_name_of_the_variant() -> None:
    own = dict([running("oldoldol", 4), running("newnewne", 0)])
    found = running_variants(own, {"l4": "newnewne"})
    assert {name: (each.ready, each.object_name) for name, each in found.items()} == {
        "l4": (0, "llama-l4-newnewne"),
        "l4@oldoldol": (4, "llama-l4-oldoldol"),
    }
    assert list(running_variants(dict([running("oldoldol", 4)]), {"l4": "newnewne"})) == ["l4@oldoldol"]


def test_of_a_service_that_is_not_planned_the_one_with_most_ready_replicas_bears_it() -> None:
    own = dict([running("aaaaaaaa", 1), running("bbbbbbbb", 4)])
    assert {name: each.layout for name, each in running_variants(own).items()} == {
        "l4": "bbbbbbbb",
        "l4@aaaaaaaa": "aaaaaaaa",
    }


@pytest.mark.parametrize("ready", [0, 4], ids=["without pods", "with more pods"])
def test_a_copy_of_a_deployment_takes_neither_its_name_nor_its_place(ready: int) -> None:
    """A copy with the labels and the owner of the real one hid it, and another copy was never seen."""
    real, copies = running("newnewne", 2), []
    for number in range(2):
        manifest = running("newnewne", ready)[1]
        manifest["metadata"]["name"] = f"copy-{number}"
        copies.append((key_of(manifest), manifest))
    found = running_variants(dict([*copies, real]), {"l4": "newnewne"})
    assert {name: each.object_name for name, each in found.items()} == {
        "l4": "llama-l4-newnewne",
        "l4@newnewne": "copy-0",
        "l4@copy-1": "copy-1",
    }


def test_a_deployment_of_before_layouts_had_names_is_an_old_layout() -> None:
    key, manifest = running("oldoldol", 4)
    for labels in (manifest["metadata"]["labels"], manifest["spec"]["selector"]["matchLabels"]):
        del labels["medley.dev/layout"]
    assert list(running_variants({key: manifest}, {"l4": "newnewne"})) == ["l4@former"]


def handmade(limits: dict[str, Any], *, replicas: object = 2, **status: object) -> Manifest:
    labels = {MANAGED_BY: MANAGED_BY_VALUE, POOL: "l4", VARIANT: "l4", LAYOUT: "abcdefgh"}
    return {
        "kind": "Deployment",
        "metadata": {"name": "made-by-hand", "namespace": "other", "labels": labels, "generation": 1},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"resources": {"limits": limits}}]}}},
        "status": status,
    }


@pytest.mark.parametrize(
    ("limit", "gpus"),
    [("1k", 1000), ("1", 1), (2, 2), ("2000m", 2), ("many", 0), ("1.5", 0), ("-1", 0), ("1e99999999", 0), (None, 0)],
)
def test_gpus_of_a_deployment_are_quantities_as_the_api_server_stores_them(limit: object, gpus: int) -> None:
    manifest = handmade({"nvidia.com/gpu": limit, "memory": "16Gi", "cpu": "x"})
    assert running_variant(manifest).gpus_per_replica == gpus


def test_counts_that_are_no_numbers_are_the_apis_defaults() -> None:
    odd = handmade({}, replicas=None, observedGeneration="x", readyReplicas=[1])
    assert running_variant(odd) == RunningVariant("l4", "abcdefgh", "made-by-hand", "l4", 1, 0, 0, drained=False)


def test_of_two_templates_any_pod_may_go_and_of_one_those_that_are_not_ready_go_first() -> None:
    one = running_variant(handmade({}, replicas=10, observedGeneration=1, readyReplicas=8))
    assert (one.staying(9), one.staying(4), one.loses(8), one.loses(7)) == (8, 4, False, True)
    status: dict[str, object] = {"observedGeneration": 1, "readyReplicas": 8, "updatedReplicas": 2}
    rolling = replace(one, made=10, updated=2)
    assert rolling.is_rolling
    assert (rolling.staying(9), rolling.staying(4), rolling.loses(9)) == (7, 2, True)
    assert (rolling.fewest(4, staying=7), rolling.fewest(4, staying=0), one.fewest(4, staying=7)) == (9, 4, 7)
    assert rolling.staying(1) == 0
    read = running_variant({**handmade({}, replicas=10, **status), "status": {**status, "replicas": 10}})
    assert read.is_rolling
    # Quota refuses the rest: there are no pods of another template.
    refused = {"observedGeneration": 1, "readyReplicas": 2, "updatedReplicas": 2, "replicas": 2}
    assert not running_variant({**handmade({}, replicas=10), "status": refused}).is_rolling
