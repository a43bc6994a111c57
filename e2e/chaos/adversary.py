"""A tenant with edit rights and an admin of the platform who do their worst, by a generator with a seed.

The tenant may do all that the role `edit` and rights on routes allow in one namespace: it scales, edits, labels,
deletes and takes over what the operator made there, and makes objects that look like it. The platform cordons and
taints nodes. Meanwhile the service of another tenant runs, of which no Ready replica may go. At the end both take back
what is theirs alone; all else the operator must have mended within a minute.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from e2e.chaos import scenario
from e2e.chaos.oracle import KeptReplicas, PlanPeak, differing
from e2e.chaos.run import CONVERGE_SECONDS, Act, State, clear, prepare, settle, state_of, take
from e2e.chaos.scenario import DECOY, LAYOUTS, NAME, POOLS, Step
from e2e.chaos.world import MERGE, OURS, OWN_API, World
from e2e.controlplane.errors import CommandFailed
from e2e.controlplane.loopback import request_json
from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.domain.values import labels

Json = dict[str, Any]

OTHER = Step("other", 4, ("l4",))
"""The service of the other tenant, which runs during the attack."""
MARK = "example.org/adversary"
PEAK_SECONDS = 20.0
"""So long may more GPUs be asked than planned: somebody scales, and it is put back."""
NOT_AS_BEFORE = ("observedGeneration", ".plan.limits", ".startFailures")
"""The spec was changed and changed back; a plan shows the limits that bound when it was made, which may have been
while somebody else held GPUs; and replicas that could not start then are remembered, so that the next failure is one in
a row."""
TOLD_DEEDS = 12
PAUSES_SECONDS = (0.0, 0.3, 1.0, 2.0)
_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"


@dataclass(slots=True)
class Hand:
    """Who does it, with which rights, and what was done."""

    world: World
    namespace: str
    token: str
    chance: random.Random
    began: float = field(default_factory=time.monotonic)
    deeds: list[str] = field(default_factory=list)
    made: int = 0

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request, as admin without a token; noted where it changes something."""
        plane, content = self.world.plane, MERGE if method == "PATCH" else "application/json"
        told = (
            f"{time.monotonic() - self.began:.1f} s: {method} {path} {'' if body is None else json.dumps(body)[:200]}"
        )
        try:
            if not self.token:
                answer = plane.request(method, path, body, content_type=content)
            else:
                answer = request_json(
                    method,
                    plane.api_url + path,
                    token=self.token,
                    certificate=plane.workdir / "certs" / "apiserver.crt",
                    body=body,
                    content_type=content,
                )
        except CommandFailed as error:
            self.deeds.append(f"{told} ({error.returncode})")
            raise
        if method != "GET":
            self.deeds.append(told)
        return answer

    def path(self, kind: str) -> str:
        api, _, plural = kind.rpartition("/")
        return f"{api}/namespaces/{self.namespace}/{plural}"

    def one(self, kind: str) -> Json:
        """An object with the operator's labels. Raises `IndexError` where there is none."""
        listed = self.ask("GET", f"{self.path(kind)}?labelSelector={OURS}")["items"]
        # The decoy that stands in each namespace is whatever nobody may touch.
        found = [each for each in listed if each["metadata"]["name"] != DECOY]
        chosen: Json = self.chance.choice(sorted(found, key=lambda each: str(each["metadata"]["name"])))
        return chosen

    def patch_one(self, kind: str, body: Json) -> None:
        self.ask("PATCH", f"{self.path(kind)}/{self.one(kind)['metadata']['name']}", body)

    def next_name(self, stem: str) -> str:
        self.made += 1
        return f"{stem}-{self.made}"


DEPLOYMENTS, REPLICA_SETS = "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets"
PODS, SERVICES = "/api/v1/pods", "/api/v1/services"
ROUTES, BUDGETS = f"{_GATEWAY_API}/httproutes", "/apis/policy/v1/poddisruptionbudgets"
AUTOSCALERS, OWN = "/apis/autoscaling/v2/horizontalpodautoscalers", f"{OWN_API}/llmservices"
CHILDREN = (DEPLOYMENTS, SERVICES, ROUTES, BUDGETS)

Move = Callable[[Hand], None]


def _scale(hand: Hand) -> None:
    path = f"{hand.path(DEPLOYMENTS)}/{hand.one(DEPLOYMENTS)['metadata']['name']}{hand.chance.choice(('', '/scale'))}"
    hand.ask("PATCH", path, {"spec": {"replicas": hand.chance.choice((0, 1, 3, 20))}})


def _label(hand: Hand) -> None:
    kind = hand.chance.choice(CHILDREN)
    child = hand.one(kind)
    # A label of its own that others add stays; those that are there are the operator's. By its mark it finds its decoys
    # when it leaves.
    name = hand.chance.choice(sorted(child["metadata"]["labels"].keys() - {MARK}))
    change = {"metadata": {"labels": {name: hand.chance.choice(("theirs", None))}}}
    hand.ask("PATCH", f"{hand.path(kind)}/{child['metadata']['name']}", change)


def _label_pod(hand: Hand) -> None:
    name = hand.chance.choice((labels.SERVICE, labels.VARIANT, labels.COMPONENT))
    hand.patch_one(PODS, {"metadata": {"labels": {name: "theirs"}}})


def _annotate(hand: Hand) -> None:
    name = hand.chance.choice((MARK, "medley.dev/profile", "medley.dev/template"))
    kind = hand.chance.choice((*CHILDREN, PODS))
    hand.patch_one(kind, {"metadata": {"annotations": {name: "theirs\nand more"}}})


def _delete(hand: Hand) -> None:
    kind, policy = hand.chance.choice((*CHILDREN, PODS, PODS)), hand.chance.choice(("Background", "Orphan"))
    hand.ask("DELETE", f"{hand.path(kind)}/{hand.one(kind)['metadata']['name']}?propagationPolicy={policy}")


def _weights(hand: Hand) -> None:
    route = hand.one(ROUTES)
    rules = route["spec"]["rules"]
    for backend in rules[0].get("backendRefs") or []:
        backend["weight"] = hand.chance.choice((0, 1, 300, 900))
    hand.ask("PATCH", f"{hand.path(ROUTES)}/{route['metadata']['name']}", {"spec": {"rules": rules}})


def _selector(hand: Hand) -> None:
    hand.patch_one(SERVICES, {"spec": {"selector": {"app": "theirs"}}})


def _image(hand: Hand) -> None:
    deployment = hand.one(DEPLOYMENTS)
    containers = deployment["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = hand.chance.choice(("theirs", "mirror.example/engine:theirs"))
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    hand.ask("PATCH", f"{hand.path(DEPLOYMENTS)}/{deployment['metadata']['name']}", body)


def _owner(hand: Hand) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "1-2-3", "controller": True}
    hand.patch_one(hand.chance.choice(CHILDREN), {"metadata": {"ownerReferences": hand.chance.choice(([], [other]))}})


def _finalizer(hand: Hand) -> None:
    kind = hand.chance.choice(CHILDREN)
    path = f"{hand.path(kind)}/{hand.one(kind)['metadata']['name']}"
    hand.ask("PATCH", path, {"metadata": {"finalizers": [MARK]}})
    if hand.chance.random() < 0.5:
        hand.ask("DELETE", path)


def _pause(hand: Hand) -> None:
    hand.patch_one(DEPLOYMENTS, {"spec": {"paused": hand.chance.choice((True, None))}})


def _autoscaler(hand: Hand) -> None:
    target = hand.one(DEPLOYMENTS)["metadata"]["name"]
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        # What an autoscaler wants it gets, so this one wants little: it cannot measure, and keeps between these.
        "minReplicas": 1,
        "maxReplicas": 2,
    }
    hand.ask("POST", hand.path(AUTOSCALERS), {"metadata": _mine(hand.next_name("theirs")), "spec": spec})


def _no_autoscalers(hand: Hand) -> None:
    hand.ask("DELETE", f"{hand.path(AUTOSCALERS)}?labelSelector={MARK}")


def _decoy(hand: Hand) -> None:
    """A Deployment with our labels; some bear the owner reference of a service too, their own or the other tenant's."""
    pool = hand.chance.choice(sorted(LAYOUTS))
    own = labels.child_labels(service=NAME, component=labels.COMPONENT_ENGINE, variant=f"{pool}-tp{LAYOUTS[pool]}",
                              layout=hand.chance.choice(("theirs", None)), pool=pool)  # fmt: skip
    metadata: Json = {**_mine(hand.next_name("decoy")), "annotations": {}}
    metadata["labels"] |= own
    owner = hand.chance.choice((None, hand.namespace, other_of(hand.namespace)))
    if owner is not None:
        service = hand.world.find(f"{OWN_API}/namespaces/{owner}/llmservices/{NAME}") or {}
        uid = str(service.get("metadata", {}).get("uid", "1-2-3"))
        metadata["ownerReferences"] = [
            {"apiVersion": API_VERSION, "kind": "LLMService", "name": NAME, "uid": uid, "controller": True}
        ]
    spec = {
        "replicas": hand.chance.choice((0, 1, 5)),
        "selector": {"matchLabels": own},
        "template": {"metadata": {"labels": own}, "spec": {"containers": [_container(hand.chance.choice((0, 1)))]}},
    }
    hand.ask("POST", hand.path(DEPLOYMENTS), {"metadata": metadata, "spec": spec})


def _decoy_pod(hand: Hand) -> None:
    own = labels.child_labels(service=NAME, component=labels.COMPONENT_ENGINE, variant="l4-tp2", pool="l4")
    metadata = _mine(hand.next_name("decoy"))
    metadata["labels"] |= own
    hand.ask("POST", hand.path(PODS), {"metadata": metadata, "spec": {"containers": [_container(1)]}})


def _spec(hand: Hand) -> None:
    path = f"{hand.path(OWN)}/{NAME}"
    change: Json = hand.chance.choice(
        (
            {"workload": {"static": {"requestsPerSecond": str(hand.chance.choice((1, 8, 1000)))}}},
            {"priority": hand.chance.choice(("High", "Low", None))},
            {"scaling": hand.chance.choice(({"minReplicas": 3}, None))},
            {"slo": {"ttft": "1ms"}},
            {"model": {"configJson": "{not JSON"}},
        )
    )
    hand.ask("PATCH", path, {"spec": change})


def _remake(hand: Hand) -> None:
    hand.ask("DELETE", f"{hand.path(OWN)}/{NAME}?propagationPolicy={hand.chance.choice(('Background', 'Orphan'))}")
    hand.world.pause(hand.chance.choice((0.1, 2.0)))
    _restore(hand)


def _restore(hand: Hand) -> None:
    """The service as it was: deleted ones are made anew."""
    with suppress(CommandFailed):
        added = {"priority": None, "scaling": None, "model": {"configJson": None}}
        hand.ask("PATCH", f"{hand.path(OWN)}/{NAME}", {"spec": added})
    hand.world.apply("llmservices", scenario.service(hand.namespace, scenario.GROW))


TENANT: tuple[tuple[Move, int], ...] = (
    (_scale, 4), (_label, 3), (_label_pod, 1), (_annotate, 2), (_delete, 4), (_weights, 1), (_selector, 1), (_image, 1),
    (_owner, 2), (_finalizer, 2), (_pause, 2), (_autoscaler, 1), (_no_autoscalers, 1), (_decoy, 2), (_decoy_pod, 1),
    (_spec, 3), (_remake, 1), (_restore, 1),
)  # fmt: skip


def _node(hand: Hand) -> str:
    pool = hand.chance.choice(POOLS)
    return f"/api/v1/nodes/{pool.name}-{hand.chance.randrange(pool.nodes)}"


def _cordon(hand: Hand) -> None:
    hand.ask("PATCH", _node(hand), {"spec": {"unschedulable": hand.chance.choice((True, None))}})


def _taint(hand: Hand) -> None:
    taints = [{"key": MARK, "value": "now", "effect": hand.chance.choice(("NoSchedule", "PreferNoSchedule"))}]
    hand.ask("PATCH", _node(hand), {"spec": {"taints": hand.chance.choice((taints, None))}})


PLATFORM: tuple[tuple[Move, int], ...] = ((_cordon, 1), (_taint, 1))
PLATFORM_SHARE = 0.1


def other_of(namespace: str) -> str:
    """The namespace of the other tenant."""
    return f"{namespace}-other"


def attack(seconds: float, *, seed: int) -> Act:
    """Both do their worst for a while. Raises `AssertionError` with the seed and the last deeds where something of the
    other tenant's goes, or where either service is not as before within a minute."""

    def act(world: World, namespace: str) -> None:
        other = other_of(namespace)
        prepare(world, other)
        began = time.time()
        take(world, other, OTHER)
        settle(world, other, OTHER, began)
        settle(world, namespace, scenario.GROW, began)
        before = {each: state_of(world, each) for each in (namespace, other)}
        chance = random.Random(seed)  # noqa: S311 - the same each time, on purpose
        tenant = Hand(world, namespace, tenant_token(world, namespace), chance)
        platform = Hand(world, "", "", chance, began=tenant.began, deeds=tenant.deeds)
        pods = len(world.items(f"/api/v1/namespaces/{other}/pods"))
        world.judge.begin(other, OTHER.rate_rps, rules=(KeptReplicas(other, pods), PlanPeak(PEAK_SECONDS, but=MARK)))
        try:
            while time.monotonic() - tenant.began < seconds:
                _one_move(tenant, platform)
            _leave(tenant, platform)
            _come_back(world, before)
            if world.judge.breaches:
                raise AssertionError("; ".join(map(str, world.judge.breaches)))
        except AssertionError as error:
            last = "\n    ".join(tenant.deeds[-TOLD_DEEDS:])
            raise AssertionError(f"seed {seed}: {error}\n  the last deeds:\n    {last}") from None
        finally:
            world.judge.begin(namespace, None)
            clear(world, other)
            world.judge.begin(namespace, scenario.GROW.rate_rps)

    return act


def _one_move(tenant: Hand, platform: Hand) -> None:
    chance = tenant.chance
    hand, moves = (platform, PLATFORM) if chance.random() < PLATFORM_SHARE else (tenant, TENANT)
    (move,) = chance.choices([move for move, _ in moves], [weight for _, weight in moves])
    # What it wanted to change may have just gone, and some of it the API server refuses.
    with suppress(CommandFailed, IndexError):
        move(hand)
    tenant.world.pause(chance.choice(PAUSES_SECONDS))


def _leave(tenant: Hand, platform: Hand) -> None:
    """Takes back what the operator leaves to others: their objects, pauses, finalizers, taints and cordons."""
    for pool in POOLS:
        for index in range(pool.nodes):
            platform.ask(
                "PATCH", f"/api/v1/nodes/{pool.name}-{index}", {"spec": {"taints": None, "unschedulable": None}}
            )
    for kind in (AUTOSCALERS, DEPLOYMENTS, PODS):
        tenant.ask("DELETE", f"{tenant.path(kind)}?labelSelector={MARK}")
    for kind in CHILDREN:
        for child in tenant.ask("GET", tenant.path(kind))["items"]:
            change: Json = {"metadata": {"finalizers": None, "annotations": {MARK: None}}}
            if kind == DEPLOYMENTS:
                change["spec"] = {"paused": None}
            with suppress(CommandFailed):
                tenant.ask("PATCH", f"{tenant.path(kind)}/{child['metadata']['name']}", change)
            if child["metadata"]["name"].startswith(NAME) and not labels.owner_uid(child):
                # Without owner, and maybe without labels, it is the tenant's own.
                with suppress(CommandFailed):
                    tenant.ask("DELETE", f"{tenant.path(kind)}/{child['metadata']['name']}")
    for kind in (REPLICA_SETS, PODS):
        for each in tenant.ask("GET", tenant.path(kind))["items"]:
            # Orphaned, or their labels were changed: nobody controls them any more.
            if not each["metadata"].get("ownerReferences"):
                with suppress(CommandFailed):
                    tenant.ask("DELETE", f"{tenant.path(kind)}/{each['metadata']['name']}")
    _restore(tenant)


def _come_back(world: World, before: Mapping[str, State]) -> None:
    """Waits until all is as before. Raises `AssertionError` with what differs after a minute."""
    until, wrong = time.monotonic() + CONVERGE_SECONDS, ["not looked yet"]
    while wrong and time.monotonic() < until:
        world.pause(0.5)
        with suppress(OSError, CommandFailed):
            found = [each for name, state in before.items() for each in differing(state, state_of(world, name))]
            wrong = [each for each in found if not any(part in each for part in NOT_AS_BEFORE)]
    if wrong:
        raise AssertionError(f"not as before within {CONVERGE_SECONDS:.0f} s: {'; '.join(wrong[:6])}")


def tenant_token(world: World, namespace: str) -> str:
    """The token of an account that may edit this namespace, its routes included."""
    request = world.plane.request
    account, rbac = {"metadata": {"name": "tenant"}}, f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    rules = [{"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": ["*"]}]
    request("POST", f"{rbac}/roles", {"metadata": {"name": "routes"}, "rules": rules})
    subjects = [{"kind": "ServiceAccount", "name": "tenant", "namespace": namespace}]
    for kind, name in (("ClusterRole", "edit"), ("Role", "routes")):
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        body = {"metadata": {"name": f"tenant-{name}"}, "roleRef": role, "subjects": subjects}
        request("POST", f"{rbac}/rolebindings", body)
    config = json.loads(world.plane.service_account_kubeconfig(namespace, "tenant").read_text())
    return str(config["users"][0]["user"]["token"])


def _mine(name: str) -> Json:
    return {"name": name, "labels": {MARK: "yes"}}


def _container(gpus: int) -> Json:
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    return {"name": "main", "image": "theirs", "resources": limits}
