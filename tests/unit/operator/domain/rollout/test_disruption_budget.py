"""A drain of nodes takes the pods of a service one after the other, and is never blocked by its last one."""

from __future__ import annotations

from medley_operator.domain.rollout.disruption_budget import render_disruption_budget
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import deployment


def test_a_drain_of_all_nodes_leaves_all_replicas_but_one() -> None:
    """Without a budget a drain of all nodes took nine of nine replicas at once."""
    made = render_disruption_budget(make.service())
    assert made["spec"]["maxUnavailable"] == 1
    assert "minAvailable" not in made["spec"]
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    selector = made["spec"]["selector"]["matchLabels"]
    assert selector.items() <= labels.items()
    assert "medley.dev/variant" not in selector


def test_a_pod_that_never_becomes_ready_blocks_no_drain() -> None:
    assert render_disruption_budget(make.service())["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_it_belongs_to_its_service() -> None:
    metadata = render_disruption_budget(make.service("chat"))["metadata"]
    assert metadata["ownerReferences"][0]["uid"] == "uid-chat"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "medley"
