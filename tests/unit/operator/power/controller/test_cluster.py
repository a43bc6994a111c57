"""What the controller of power keeps of the objects that it follows."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.power.dynamo import ANNOTATION
from medley_operator.domain.values.snapshot import InvalidObject, Manifest
from medley_operator.domain.values.views import PodView
from medley_operator.kube.resources import NODE_POWER_CAPS, PODS, Resource
from medley_operator.power.controller.cluster import FOLLOWED, MOST_TEXT
from tests.unit.operator.power.agent.caps import node_power_cap


@pytest.mark.parametrize(
    ("annotations", "kept"),
    [(None, ""), ({}, ""), ({ANNOTATION: "250"}, "250"), ({ANNOTATION: "9" * 5000}, "9" * MOST_TEXT)],
)
def test_pods_of_anybody_are_seen_with_the_limit_that_they_ask_for(
    annotations: dict[str, str] | None, kept: str
) -> None:
    metadata = {"name": "a", "namespace": "team", "uid": "u", "annotations": annotations}
    container = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    seen = projected(PODS, {"metadata": metadata, "spec": {"containers": [container]}})
    assert isinstance(seen, PodView)
    assert seen.power_limit == kept
    assert projected(PODS, {"metadata": metadata, "spec": {"containers": []}}) is None


def test_equal_limits_of_caps_are_one_object_and_what_does_not_parse_is_kept_as_such() -> None:
    gpus = [{"uuid": f"GPU-{index}", "limit": {"capWatts": 300}, "safe": {"capWatts": 200}} for index in range(2)]
    kind = {"apiVersion": NODE_POWER_CAPS.api_version, "kind": NODE_POWER_CAPS.kind}
    caps = [kind | node_power_cap(gpus=gpus).model_dump(mode="json", by_alias=True) for _ in range(2)]
    one, other = (projected(NODE_POWER_CAPS, cap) for cap in caps)
    assert one == node_power_cap(gpus=gpus)
    assert len({id(gpu.limit) for cap in (one, other) for gpu in cap.spec.gpus}) == 1
    caps[0]["spec"]["unknown"] = 1
    assert isinstance(projected(NODE_POWER_CAPS, caps[0]), InvalidObject)


def projected(resource: Resource, manifest: Manifest) -> Any:
    (kind,) = (kind for kind in FOLLOWED if kind.resource is resource)
    return kind.project(manifest)
