"""The judge of a run: what must hold at every moment, and what two runs must have in common at the end. Pure.

A breach counts once it has lasted for a while: the lists of one sample are not from one moment, and whatever serves
needs some time to see that a pod has gone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from e2e.chaos.calls import WRITES, Write
from e2e.fleet.cluster import ClusterState, Key
from medley_operator.domain.values import labels

Json = dict[str, Any]

GRACE_SECONDS = 1.0
_OF_THE_RUN = frozenset({"lastTransitionTime", "startupSeconds", "since", "history"})
"""Fields that two runs do not share: times, and the history of plans, to which a fault may add one."""
_MADE_BY_SERVER = frozenset(
    {
        "creationTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "uid",
        "clusterIP",
        "clusterIPs",
        "deployment.kubernetes.io/revision",
    }
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The cluster at one moment, as far as it can be seen by lists. `deployments` and `services` are manifests."""

    at: float
    state: ClusterState
    deployments: Sequence[Json]
    services: Sequence[Json]


class Rule(Protocol):
    """A further invariant. A breach counts when it lasts longer than `grace_seconds`."""

    grace_seconds: float

    def wrongs(self, sample: Sample) -> Iterable[str]:
        """What is not so in this sample, in words that stay the same while it lasts."""


@dataclass(slots=True)
class KeptReplicas:
    """No Ready replica of this namespace goes."""

    namespace: str
    replicas: int
    grace_seconds: float = GRACE_SECONDS

    def wrongs(self, sample: Sample) -> Iterable[str]:
        pods = [pod for pod in sample.state.pods.values() if pod.key.namespace == self.namespace and pod.service]
        if sum(pod.ready for pod in pods) < self.replicas:
            yield f"fewer than {self.replicas} replicas of {self.namespace} are Ready"


@dataclass(slots=True)
class PlanPeak:
    """All Deployments of ours together ask for no more GPUs than a plan ever did, and a tenth.

    Those with the label `but` do not count: whoever made them could have made pods as well, which a quota bounds.
    """

    grace_seconds: float
    but: str = ""
    peak: int = 0

    def wrongs(self, sample: Sample) -> Iterable[str]:
        gpus: dict[str, int] = defaultdict(int)
        owned = [each for each in sample.deployments if _is_owned(each) and not labels.label(each, self.but)]
        for each in owned:
            variant = labels.label(each, labels.VARIANT)
            gpus[variant] = max(gpus[variant], gpus_of(each))
        rows = [row for each in sample.services for row in (each.get("status") or {}).get("variants") or []]
        self.peak = max(self.peak, sum(int(row.get("desired") or 0) * gpus[row["name"]] for row in rows))
        asked = sum(each["spec"]["replicas"] * gpus_of(each) for each in owned)
        if asked > 1.1 * self.peak:
            yield "more GPUs are asked than any plan had, and a tenth"


@dataclass(slots=True)
class Breach:
    """Something that must not be, and how long it was seen."""

    what: str
    since: float
    until: float

    @property
    def seconds(self) -> float:
        return self.until - self.since

    def __str__(self) -> str:
        return f"{self.what} for {self.seconds:.1f} s"


@dataclass(slots=True)
class Judge:
    """Sees one sample after the other. `stock`: GPUs by pool."""

    stock: Mapping[str, int]
    grace_seconds: float = GRACE_SECONDS
    capacity: dict[str, float] = field(default_factory=dict)
    """Requests per second of one replica, by variant, as the operator reported it last."""
    namespace: str = ""
    needed_rps: float | None = None
    had_rps: float = 0.0
    ready_rps: float = 0.0
    breaches: list[Breach] = field(default_factory=list)
    rules: Sequence[Rule] = ()
    _open: dict[str, Breach] = field(default_factory=dict)

    def begin(self, namespace: str, needed_rps: float | None, *, rules: Sequence[Rule] = ()) -> None:
        """A step begins that needs this rate from now on (None: nothing), and in which these rules hold too."""
        self.namespace, self.needed_rps, self.had_rps, self.rules = namespace, needed_rps, self.ready_rps, rules

    def new_case(self, *, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        self.breaches, self._open = [], {}
        self.ready_rps = self.had_rps = 0.0
        self.needed_rps = None

    def see(self, sample: Sample) -> None:
        for service in sample.services:
            for row in (service.get("status") or {}).get("variants") or []:
                if float(row.get("capacityRps") or 0) > 0:
                    self.capacity[row["name"]] = float(row["capacityRps"])
        found = dict.fromkeys(self._wrongs(sample), self.grace_seconds)
        for rule in self.rules:
            found |= dict.fromkeys(rule.wrongs(sample), rule.grace_seconds)
        for what, grace_seconds in found.items():
            breach = self._open.setdefault(what, Breach(what, sample.at, sample.at))
            breach.until = sample.at
            if breach.seconds > grace_seconds and breach not in self.breaches:
                self.breaches.append(breach)
        self._open = {what: breach for what, breach in self._open.items() if what in found}

    def _wrongs(self, sample: Sample) -> Iterable[str]:
        yield from self._too_little(sample)
        yield from self._too_many_gpus(sample)
        yield from dead_weights(sample.state, self.namespace)

    def _too_little(self, sample: Sample) -> Iterable[str]:
        self.ready_rps = sum(
            self.capacity.get(pod.variant, 0.0)
            for pod in sample.state.pods.values()
            if pod.ready and pod.key.namespace == self.namespace and pod.service
        )
        if self.needed_rps is None:
            return
        # What has come since may not go again either, as far as it is needed.
        self.had_rps = max(self.had_rps, min(self.ready_rps, self.needed_rps))
        if self.ready_rps < min(self.needed_rps, self.had_rps) - 1e-6:
            yield "Ready capacity is below what was there and is needed"

    def _too_many_gpus(self, sample: Sample) -> Iterable[str]:
        asked: dict[str, int] = defaultdict(int)
        for deployment in sample.deployments:
            if _is_owned(deployment):
                asked[labels.label(deployment, labels.POOL)] += deployment["spec"]["replicas"] * gpus_of(deployment)
        for pool, gpus in sorted(asked.items()):
            if gpus > self.stock.get(pool, 0):
                yield f"{gpus} GPUs are asked of pool {pool}, which has {self.stock.get(pool, 0)}"


def _is_owned(deployment: Json) -> bool:
    return bool(labels.owner_uid(deployment)) and not deployment["metadata"].get("deletionTimestamp")


def gpus_of(deployment: Mapping[str, Any]) -> int:
    """GPUs of one replica."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    limits = [(container.get("resources") or {}).get("limits") or {} for container in containers]
    return sum(int(each.get("nvidia.com/gpu", 0)) for each in limits)


def dead_weights(state: ClusterState, namespace: str) -> Iterable[str]:
    """Backends with weight and no Ready pod, while another has some."""
    for key, route in state.routes.items():
        if key.namespace != namespace:
            continue
        live = {backend.service: _ready(state, key.namespace, backend.service) for backend in route.backends}
        if any(live.values()):
            for backend in route.backends:
                if backend.weight > 0 and not live[backend.service]:
                    yield f"route {key} sends requests to {backend.service}, which has no Ready pod"


def _ready(state: ClusterState, namespace: str, service: str) -> bool:
    selector = state.selectors.get(Key(namespace, service)) or {}
    return bool(selector) and any(
        pod.ready and key.namespace == namespace and selector.items() <= pod.labels.items()
        for key, pod in state.pods.items()
    )


def two_writers(writes: Sequence[Write]) -> list[str]:
    """Operators that wrote again after another had begun to."""
    order: list[str] = []
    wrong: list[str] = []
    for write in writes:
        if order and order[-1] == write.call.agent:
            continue
        if write.call.agent in order:
            wrong.append(f"{write.call.agent} wrote {write.call} after {order[-1]} had begun")
        order.append(write.call.agent)
    return wrong


def late_writes(events: Sequence[Json], agent: str) -> list[str]:
    """Writes of `agent` in the audit log (oldest first) after another client of its kind had taken the Lease."""
    late: list[str] = []
    taken = False
    kind = agent.partition(" (")[0]
    for event in events:
        by = event.get("userAgent", "")
        done = event["verb"] in WRITES.values() and event["responseStatus"]["code"] < 300
        if not done or not by.startswith(kind):
            continue
        of = event["objectRef"]
        if by != agent:
            taken = taken or of["resource"] == "leases"
        elif taken:
            late.append(f"{event['verb']} {of['resource']} {of.get('namespace', '')}/{of.get('name', '')}")
    return late


def comparable(value: Any) -> Any:
    """An object less what differs from run to run: times, versions, uids, addresses. Conditions go by their type."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name not in _OF_THE_RUN and name not in _MADE_BY_SERVER}
        if isinstance(kept.get("conditions"), list):
            kept["conditions"] = {each["type"]: each for each in kept["conditions"]}
        return {name: comparable(each) for name, each in kept.items()}
    return [comparable(each) for each in value] if isinstance(value, list) else value


def child_state(manifest: Mapping[str, Any]) -> Any:
    """What counts of a child: all but its status."""
    kept = comparable({name: manifest[name] for name in ("metadata", "spec") if name in manifest})
    kept["metadata"].pop("namespace", None)
    # Controllers annotate what they have seen, and the operator what the template was made of: with names of the run.
    annotations = kept["metadata"].pop("annotations", None) or {}
    left = {name: text for name, text in annotations.items() if not name.startswith("medley.dev/")}
    if left:
        kept["metadata"]["annotations"] = left
    return kept


def differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The paths at which two states differ."""
    wrong: list[str] = []
    for name in sorted(expected.keys() | found.keys()):
        one, other = expected.get(name), found.get(name)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            wrong += [f"{name}.{rest}" for rest in differing(one, other)]
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            pairs = {str(index): (a, b) for index, (a, b) in enumerate(zip(one, other, strict=True))}
            wrong += [
                f"{name}.{rest}"
                for rest in differing({i: a for i, (a, _) in pairs.items()}, {i: b for i, (_, b) in pairs.items()})
            ]
        else:
            wrong.append(f"{name}: {_short(other)} instead of {_short(one)}")
    return wrong


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 160 else text[:157] + "..."
