"""What wakes the planner: what plans rest on, and nothing that the operator's own writes bring about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.cluster.relevance import bears_on_plans, is_disturbed
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE
from medley_operator.domain.values.power import GpuHeld
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import PodTrouble, PodView
from tests.unit.operator import factories as make

OURS = {MANAGED_BY: MANAGED_BY_VALUE}
FOREIGN = PodView(namespace="other", name="notebook", uid="1", gpus={"nvidia.com/gpu": 2}, node="node-1")
MINE = replace(FOREIGN, name="chat-0", labels=OURS)
STUCK = replace(MINE, node="", trouble=PodTrouble("Unschedulable", "no room"))


def test_a_spec_that_changes_wakes_it_and_a_status_does_not() -> None:
    before = make.service()
    after = make.service(generation=2)
    told = before.model_copy(update={"status": before.status.model_copy(update={"mix": "l4:1/1"})})
    assert bears_on_plans("LLMService", before, after)
    assert not bears_on_plans("LLMService", before, told)


@pytest.mark.parametrize(("old", "new"), [(None, make.pool()), (make.pool(), None)])
def test_an_object_of_ours_that_comes_or_goes_wakes_it(old: object, new: object) -> None:
    assert bears_on_plans("GPUPool", old, new)


@pytest.mark.parametrize("kind", ["Deployment", "Service", "HTTPRoute"])
def test_children_do_not(kind: str) -> None:
    assert not bears_on_plans(kind, {"kind": kind}, {"kind": kind, "status": {}})


def test_nodes_do() -> None:
    assert bears_on_plans("Node", None, make.node("node-1", pool_name="l4"))


@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        (None, FOREIGN, True),
        (FOREIGN, None, True),
        (FOREIGN, replace(FOREIGN, ended=True), True),
        (FOREIGN, replace(FOREIGN, terminating=True), False),
        (replace(FOREIGN, gpus={}), None, False),
        (None, MINE, False),
        (MINE, replace(MINE, ready=True), False),
        (MINE, STUCK, True),
        (STUCK, MINE, True),
    ],
)
def test_pods_do_where_gpus_of_others_change_hands_or_ours_are_stuck(
    old: PodView | None, new: PodView | None, wakes: bool
) -> None:
    assert bears_on_plans("Pod", old, new) is wakes


@pytest.mark.parametrize("kind", ["RuntimeProfile", "Pod", "Deployment"])
def test_a_kind_that_comes_starts_a_round_though_it_has_no_object(kind: str) -> None:
    """CRDs that were applied after the start were noticed at the next resync."""
    assert bears_on_plans(kind, None, None)


def test_a_power_domain_wakes_it_by_its_level_and_not_by_its_watts() -> None:
    calm = make.power_domain("rack", 9000, status={"level": 0, "watts": 5000})
    assert not bears_on_plans("PowerDomain", calm, make.power_domain("rack", 9000, status={"level": 0, "watts": 6000}))
    assert bears_on_plans("PowerDomain", calm, make.power_domain("rack", 9000, status={"level": 2, "watts": 6000}))
    assert bears_on_plans("PowerDomain", calm, make.power_domain("rack", 9000, generation=2))
    assert bears_on_plans("PowerDomain", None, calm)
    event = make.power_event("rack", start="2027-01-15T16:00:00Z", end="2027-01-15T19:00:00Z", targetWatts=4000)
    assert bears_on_plans("PowerEvent", None, event)
    begun = event.model_copy(update={"status": event.status.model_copy(update={"phase": "Active"})})
    assert bears_on_plans("PowerEvent", event, begun)
    met = begun.model_copy(update={"status": begun.status.model_copy(update={"met_at": make.NOW})})
    assert not bears_on_plans("PowerEvent", begun, met)


def test_the_caps_of_nodes_do_not() -> None:
    assert not bears_on_plans("NodePowerCap", (), (GpuHeld(79),))


CHILD: Manifest = {
    "metadata": {"labels": {MANAGED_BY: MANAGED_BY_VALUE}},
    "spec": {"replicas": 2},
    "status": {"replicas": 2},
}


@pytest.mark.parametrize(
    ("old", "new", "disturbed"),
    [
        (CHILD, {**CHILD, "spec": {"replicas": 0}}, True),
        (CHILD, {**CHILD, "metadata": {"labels": {}}}, True),
        (CHILD, None, True),
        (CHILD, {**CHILD, "status": {"replicas": 1}}, False),
        (None, CHILD, False),
        (
            {"metadata": {}, "spec": {"gatewayClassName": "a"}},
            {"metadata": {}, "spec": {"gatewayClassName": "b"}},
            False,
        ),
        (make.service(), make.service(generation=2), False),
        (None, None, False),
    ],
)
def test_a_child_that_others_change_or_delete_is_disturbed(old: object, new: object, disturbed: bool) -> None:
    assert is_disturbed(old, new) is disturbed
