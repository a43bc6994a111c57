"""A namespace that is being deleted is left alone: nothing is written there, and no GPU is kept for it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from medley_operator.domain.act import act
from medley_operator.domain.conclude import conclude
from medley_operator.domain.passes import Steps
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values import labels
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from tests.unit.operator import factories as make
from tests.unit.operator.placing import nodes, on, settled_placed, with_seen
from tests.unit.operator.placing import service as placed
from tests.unit.operator.rounds.play import Round, run

ENDING = frozenset({make.NAMESPACE})
ROUTED = {"gatewayRef": {"name": "inference"}}
SCALED: dict[str, Any] = {"variants": [on("l4", minReplicas=3, maxReplicas=8)], "routing": ROUTED}


def settled() -> Round:
    pools = [make.pool(nodes=None)]
    return settled_placed(make.snapshot(placed(rate="1", **SCALED), pools=pools, nodes=nodes("l4", 3)))


def disturbed(steady: Round) -> Snapshot:
    """Another image on the Deployment, a Service gone, and pods that are Ready and still protected."""
    children = {key: each for key, each in steady.snapshot.children.items() if key.kind != labels.CORE_SERVICE}
    for key in children:
        if key.kind == labels.DEPLOYMENT:
            children[key] = copy.deepcopy(children[key])
            children[key]["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.com/vllm:v1"
    pods = [replace(pod, protected=True) for pod in steady.snapshot.pods]
    return with_seen(replace(steady.snapshot, children=children, at_seconds=600.0), pods)


def test_a_pass_with_the_intent_of_before_writes_nothing_there() -> None:
    """The planner is on its way; its next intent has the status that says why."""
    steady = settled()
    seen = disturbed(steady)
    intent = conclude(seen, prepare(seen, steady.memory), None, steady.memory, now=make.LATER).intent
    written, _ = act(intent, seen, Steps(), now=make.LATER)
    assert written.applies
    assert written.pod_notes
    decision, _ = act(intent, replace(seen, ending=ENDING), Steps(), now=make.LATER)
    assert (decision.applies, decision.deletes, decision.pod_notes, decision.statuses) == ((), (), (), ())


def test_what_runs_stays_as_it_is_and_the_status_says_why() -> None:
    steady = settled()
    done = run(replace(disturbed(steady), ending=ENDING), steady.memory, steps=steady.steps)
    assert (done.decision.applies, done.decision.deletes, done.decision.pod_notes) == ((), (), ())
    condition = done.condition("PlanReady")
    assert (condition.status, condition.reason) == ("False", "NamespaceEnding")
    assert done.status()["readyReplicas"] == 3


def test_a_namespace_of_the_same_name_made_anew_is_planned_again() -> None:
    steady = settled()
    ended = run(replace(steady.snapshot, ending=ENDING), steady.memory, steps=steady.steps)
    again = run(replace(steady.snapshot, ending=frozenset()), ended.memory, steps=ended.steps)
    assert again.condition("PlanReady").reason == "Optimal"


def test_gpus_of_pods_that_can_never_be_made_again_are_for_others() -> None:
    """Its pods end one by one, and nothing can be created there: what its Deployments ask for has no claim."""
    steady = settled()
    other = placed("other", rate="1", variants=[on("l4", minReplicas=10, maxReplicas=12)])
    other = other.model_copy(update={"metadata": other.metadata.model_copy(update={"namespace": "lab"})})
    seen = replace(steady.snapshot, services=(*steady.snapshot.services, other), pods=steady.snapshot.pods[:2])
    planned = prepare(replace(seen, ending=ENDING), FleetMemory()).problem
    assert planned is not None
    assert [each.name for each in planned.services] == ["lab/other"]
    assert sum(planned.pools[0].node_gpus or ()) == 10
