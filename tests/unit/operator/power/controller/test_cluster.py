"""What the controller of power keeps of the objects that it follows."""

from __future__ import annotations

import pytest

from medley_operator.domain.power.dynamo import ANNOTATION
from medley_operator.kube.resources import PODS
from medley_operator.power.controller.cluster import FOLLOWED, MOST_TEXT


@pytest.mark.parametrize(
    ("annotations", "kept"),
    [(None, ""), ({}, ""), ({ANNOTATION: "250"}, "250"), ({ANNOTATION: "9" * 5000}, "9" * MOST_TEXT)],
)
def test_pods_of_anybody_are_seen_with_the_limit_that_they_ask_for(
    annotations: dict[str, str] | None, kept: str
) -> None:
    (pods,) = (kind for kind in FOLLOWED if kind.resource is PODS)
    metadata = {"name": "a", "namespace": "team", "uid": "u", "annotations": annotations}
    container = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    assert pods.project({"metadata": metadata, "spec": {"containers": [container]}}).power_limit == kept
    assert pods.project({"metadata": metadata, "spec": {"containers": []}}) is None
