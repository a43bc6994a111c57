"""Passes that leave out what did not change decide as ones that look at everything, whatever happens in between."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.act import act
from medley_operator.domain.conclude import conclude
from medley_operator.domain.passes import Steps
from medley_operator.domain.prepare import prepare
from medley_operator.domain.rollout.drift import WINDOW_SECONDS
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.rollout.shrink import SHRINK_SECONDS
from medley_operator.domain.rollout.step_memory import ServiceSteps
from medley_operator.domain.rollout.unchanged import with_former
from medley_operator.domain.values import labels
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from medley_operator.domain.values.views import Autoscaler, PodTrouble
from tests.unit.operator import factories as make
from tests.unit.operator.placing import foreign, nodes, on, scheduled, with_nodes, with_seen
from tests.unit.operator.rounds.play import solved

OTHERS = "others"
TURNS = 24
BEGIN = 1_800_000_000.0
POOLED = {"routing": {"mode": "InferencePool", "gatewayRef": {"name": "inference"}}}
WEIGHTED = {"routing": {"gatewayRef": {"name": "inference"}}}
PLAIN: dict[str, Any] = {}
LIVE = {"workload": {"source": "Prometheus"}, "variants": [on("l4"), on("a100")]}
SERVICES = (
    ("one", make.NAMESPACE, POOLED),
    ("two", make.NAMESPACE, POOLED),
    ("three", make.NAMESPACE, WEIGHTED),
    ("four", OTHERS, PLAIN),
)
NODE_NAMES = [node.name for pool, count in (("l4", 4), ("a100", 2)) for node in nodes(pool, count)]


def service(name: str, namespace: str, spec: dict[str, Any], **fields: Any) -> Any:
    return make.service(name, spec={**LIVE, **spec}, namespace=namespace, **fields)


class Play:
    """A cluster, a planner that looks now and then, and two actuators: one leaves out what did not change."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - the same each time, on purpose
        fleet = make.snapshot(
            *(service(*each) for each in SERVICES),
            pools=[make.pool(nodes=None), make.pool("a100", gpu="A100-80", price="3.67", nodes=None, gpus_per_node=8)],
            nodes=[*nodes("l4", 4), *nodes("a100", 2, gpus=8)],
            gateways=frozenset((namespace, "inference") for namespace in (make.NAMESPACE, OTHERS)),
            pods=(),
        )
        self.rates = {ServiceKey(namespace, name): 4.0 for name, namespace, _ in SERVICES}
        self.now = 0.0
        self.cluster: Snapshot = fleet
        self.memory = FleetMemory()
        self.steps = Steps()
        self.intent: FleetIntent | None = None
        self.generations: dict[str, int] = {}

    def plan(self) -> None:
        """A round of the planner."""
        observations = {key: make.found(rate) for key, rate in self.rates.items()}
        seen = replace(self._seen(), observations=observations, unix_seconds=BEGIN + self.now)
        prepared = prepare(seen, self.memory)
        done = conclude(seen, prepared, solved(prepared.problem), self.memory, now=self._text())
        self.memory = done.memory
        self.intent = with_former(done.intent, self.intent)

    def passes(self) -> None:
        """Passes until one writes nothing, or a few."""
        for _ in range(6):
            assert self.intent is not None
            view, now = self._seen(), self._text()
            whole, full = act(self.intent, view, replace(self.steps, parts={}), now=now)
            decision, steps = act(self.intent, view, self.steps, now=now)
            assert decision == whole
            assert self._lasting(steps) == self._lasting(full)
            self.steps = steps
            if not (decision.applies or decision.deletes or decision.statuses or decision.pod_notes):
                return
            self.cluster = make.carried_out(self.cluster, decision, ready=None)
            self.now += 0.1

    def _lasting(self, steps: Steps) -> Any:
        """What is remembered, less what is over: a pass that leaves a service out forgets that later."""

        def lasting(each: ServiceSteps) -> ServiceSteps:
            taken = {
                key: found for key, found in each.taken_back.items() if self.now - found.at_seconds[-1] < WINDOW_SECONDS
            }
            shrunk = {name: at for name, at in each.shrunk_at.items() if self.now - at < SHRINK_SECONDS}
            return replace(each, taken_back=taken, shrunk_at=shrunk)

        return {key: lasting(each) for key, each in steps.services.items()}, steps.released

    def controllers(self) -> None:
        """Deployments make pods, the scheduler places them, gateways accept routes."""
        after = scheduled(self.cluster)
        children = {}
        for key, child in after.children.items():
            ready = child.get("status", {}).get("readyReplicas", 0)
            child = make.settled(child)
            if key.kind == labels.DEPLOYMENT:
                child = {**child, "status": {**child["status"], "readyReplicas": ready, "updatedReplicas": ready}}
            children[key] = child
        self.cluster = replace(after, children=children)

    def happens(self) -> None:
        """One event, of whatever kind."""
        self.chance.choice(EVENTS)(self)

    def _seen(self) -> Snapshot:
        return replace(self.cluster, at_seconds=self.now)

    def _text(self) -> str:
        return utc_text(BEGIN + self.now)

    # events

    def time_passes(self) -> None:
        self.now += self.chance.choice((0.5, 3.0, 11.0, 70.0, 700.0))

    def load_moves(self) -> None:
        self.rates[self.chance.choice(sorted(self.rates))] = self.chance.choice((0.5, 4.0, 12.0, 30.0))

    def spec_changes(self) -> None:
        name, namespace, own = self.chance.choice(SERVICES)
        spec = self.chance.choice((own, own, WEIGHTED, POOLED, {**own, "scaling": {"minReplicas": 3}}))
        generation = self.generations[name] = self.generations.get(name, 1) + 1
        fresh = service(name, namespace, spec, generation=generation)
        others = [each for each in self.cluster.services if each.metadata.name != name]
        old = {each.metadata.name: each.status for each in self.cluster.services}
        if name in old:
            fresh = fresh.model_copy(update={"status": old[name]})
        self.cluster = replace(self.cluster, services=(*others, fresh))

    def service_goes(self) -> None:
        """With all that it owns."""
        if len(self.cluster.services) < 2:
            return
        gone = self.chance.choice(self.cluster.services)
        services = tuple(each for each in self.cluster.services if each is not gone)
        children = {
            key: child
            for key, child in self.cluster.children.items()
            if all(owner["uid"] != gone.metadata.uid for owner in child["metadata"].get("ownerReferences") or [])
        }
        self.cluster = replace(self.cluster, services=services, children=children)

    def child_goes(self) -> None:
        children = dict(self.cluster.children)
        if children:
            del children[self.chance.choice(sorted(children))]
        self.cluster = replace(self.cluster, children=children)

    def child_changes(self) -> None:
        def edit(key: ObjectKey, child: Manifest) -> None:
            if key.kind == labels.DEPLOYMENT:
                choice = self.chance.choice(("replicas", "image", "paused", "ready", "stalled"))
                if choice == "replicas":
                    child["spec"]["replicas"] = self.chance.choice((0, 1, 5))
                elif choice == "image":
                    child["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.com/vllm"
                elif choice == "paused":
                    child["spec"]["paused"] = not child["spec"].get("paused", False)
                elif choice == "ready":
                    child.setdefault("status", {})["readyReplicas"] = self.chance.choice((0, 1, 2))
                else:
                    stalled = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
                    child.setdefault("status", {})["conditions"] = [stalled]
            elif key.kind == labels.HTTP_ROUTE:
                child["status"] = {}
            else:
                child["metadata"]["labels"]["team"] = self.chance.choice(("a", "b"))

        children = dict(self.cluster.children)
        if not children:
            return
        key = self.chance.choice(sorted(children))
        children[key] = copy.deepcopy(children[key])
        edit(key, children[key])
        self.cluster = replace(self.cluster, children=children)

    def decoy_comes(self) -> None:
        """Another's object under a name that one of ours has, or may want."""
        children = dict(self.cluster.children)
        if not children:
            return
        key = self.chance.choice(sorted(children))
        theirs = copy.deepcopy(children[key])
        theirs["metadata"] |= {"uid": f"theirs-{self.now}", "ownerReferences": []}
        theirs["metadata"]["labels"] = {labels.MANAGED_BY: labels.MANAGED_BY_VALUE}
        children[key] = theirs
        self.cluster = replace(self.cluster, children=children)

    def pod_changes(self) -> None:
        if not self.cluster.pods:
            return
        pods = list(self.cluster.pods)
        index = self.chance.randrange(len(pods))
        changes: tuple[dict[str, Any], ...] = (
            {"ready": False},
            {"terminating": True},
            {"protected": True},
            {"deletion_cost": -1000},
            {"trouble": PodTrouble("CrashLoopBackOff", "back-off", since=BEGIN + self.now)},
            {"labels": {}},
        )
        # A pod without a node is placed by its labels.
        pods[index] = replace(pods[index], **self.chance.choice(changes if pods[index].node else changes[:-1]))
        self.cluster = with_seen(self.cluster, pods)

    def pod_goes(self) -> None:
        if self.cluster.pods:
            gone = self.chance.choice(self.cluster.pods)
            self.cluster = with_seen(self.cluster, [pod for pod in self.cluster.pods if pod is not gone])

    def notebook_comes(self) -> None:
        node = self.chance.choice(NODE_NAMES)
        taken = foreign(f"notebook-{self.now}", node, gpus=self.chance.choice((1, 2, 4)))
        self.cluster = with_seen(self.cluster, (*self.cluster.pods, taken))

    def node_changes(self) -> None:
        name = self.chance.choice(NODE_NAMES)
        change = self.chance.choice(({"cordoned": True}, {"cordoned": False}, {"ready": False}, {"ready": True}))
        self.cluster = with_nodes(self.cluster, [name], **change)

    def autoscaler_comes_or_goes(self) -> None:
        deployments = sorted(key for key in self.cluster.children if key.kind == labels.DEPLOYMENT)
        found = {} if self.cluster.autoscalers or not deployments else {deployments[0]: Autoscaler("HPA demo/mine")}
        self.cluster = replace(self.cluster, autoscalers=found)

    def gateways_come_or_go(self) -> None:
        both = frozenset((namespace, "inference") for namespace in (make.NAMESPACE, OTHERS))
        self.cluster = replace(self.cluster, gateways=self.chance.choice((both, frozenset(), None)))

    def budgets_are_hidden_or_seen(self) -> None:
        hidden = {} if self.cluster.unreadable else {labels.DISRUPTION_BUDGET: "forbidden"}
        self.cluster = replace(self.cluster, unreadable=hidden)

    def namespace_ends_or_comes(self) -> None:
        self.cluster = replace(self.cluster, ending=self.chance.choice((frozenset(), frozenset({OTHERS}))))

    def image_changes(self) -> None:
        image = self.chance.choice(("vllm/vllm-openai:v0.32.0", "vllm/vllm-openai:v0.32.1"))
        self.cluster = replace(self.cluster, profiles=(make.profile(image=image),))


EVENTS: tuple[Callable[[Play], None], ...] = (
    Play.time_passes,
    Play.time_passes,
    Play.controllers,
    Play.controllers,
    Play.controllers,
    Play.plan,
    Play.plan,
    Play.load_moves,
    Play.spec_changes,
    Play.service_goes,
    Play.child_goes,
    Play.child_changes,
    Play.child_changes,
    Play.decoy_comes,
    Play.pod_changes,
    Play.pod_changes,
    Play.pod_goes,
    Play.notebook_comes,
    Play.node_changes,
    Play.autoscaler_comes_or_goes,
    Play.gateways_come_or_go,
    Play.budgets_are_hidden_or_seen,
    Play.namespace_ends_or_comes,
    Play.image_changes,
)


@pytest.mark.parametrize("seed", range(10))
def test_passes_that_leave_out_what_did_not_change_decide_as_whole_ones(seed: int) -> None:
    play = Play(seed)
    for _ in range(3):
        play.plan()
        play.passes()
        play.controllers()
    for _ in range(TURNS):
        for _ in range(play.chance.randrange(1, 3)):
            play.happens()
        play.passes()
