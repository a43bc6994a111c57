"""Which GPUs of which node are held by pods, and by whom: ours, by service and variant, or others. Pure.

A pod counts as ours only where its Deployment is controlled by an LLMService of the same namespace, and no more pods
than that Deployment has: labels alone make nothing ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medley_operator.domain.cluster.children import by_owner, owners_in, workloads_in
from medley_operator.domain.engine.workloads import WORKLOADS, observed
from medley_operator.domain.values import labels
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, Manifest
from medley_operator.domain.values.stock import Holder, Workload
from medley_operator.domain.values.views import PodView


@dataclass(frozen=True, slots=True)
class HeldGpus:
    """The GPUs that one pod holds on a node, by resource. `holder` None: it is not ours.

    `pool`: as the labels of a pod of ours say. `ending`: it is on its way out. `deployment`: the name of that of ours.
    """

    gpus: Mapping[str, int]
    holder: Holder | None
    pool: str
    ending: bool
    deployment: str = ""


HeldByNode = Mapping[str, Sequence[HeldGpus]]


@dataclass(frozen=True, slots=True)
class OwnedDeployment:
    """A Deployment of an LLMService of its namespace. `pods`: the labels that select its pods."""

    workload: Workload
    pods: Mapping[str, str]
    most_pods: int


def owned_deployments(view: ActuatorView) -> list[OwnedDeployment]:
    """Those of all LLMServices, also of such that are being deleted or do not parse, and orphans that these adopt, by
    namespace and name."""
    services = {owner.uid: ServiceKey(owner.namespace, owner.name) for owner in owners_in(view)}
    found = [
        (key, _owned_deployment(services[uid], manifest))
        for uid, own in by_owner(view).items()
        for key, manifest in workloads_in(own).items()
    ]
    return [deployment for _, deployment in sorted(found, key=lambda each: each[0])]


def _owned_deployment(service: ServiceKey, manifest: Manifest) -> OwnedDeployment:
    variant = observed(manifest)
    workload = Workload(
        holder=Holder(service, variant.name),
        deployment=variant.object_name,
        pool=variant.pool,
        gpus=WORKLOADS[manifest["kind"]].footprint(manifest).gpus,
        replicas=variant.replicas,
        ready=min(variant.ready, variant.replicas),
    )
    pods = int((manifest.get("status") or {}).get("replicas", 0) or 0)
    return OwnedDeployment(workload, labels.selected(manifest), max(variant.replicas, pods))


def held_by_node(pods: Iterable[PodView], owned: Iterable[OwnedDeployment]) -> dict[str, list[HeldGpus]]:
    """The pods of anybody that are bound to a node, or for which one is kept, and that have not ended, by node."""
    known = _Owners(owned)
    by_node: dict[str, list[HeldGpus]] = {}
    for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
        if pod.ended or not pod.place or not any(pod.gpus.values()):
            continue
        workload = known.workload(pod)
        held = HeldGpus(pod.gpus, None, "", pod.terminating)
        if workload is not None:
            pool = pod.labels.get(labels.POOL, "")
            held = HeldGpus(pod.gpus, workload.holder, pool, pod.terminating, workload.deployment)
        by_node.setdefault(pod.place, []).append(held)
    return by_node


class _Owners:
    """Which Deployment of ours a pod is of. Asked once for each pod, since it counts how many a Deployment has."""

    def __init__(self, owned: Iterable[OwnedDeployment]) -> None:
        self._by_labels: dict[tuple[str, str, str], list[OwnedDeployment]] = defaultdict(list)
        self._left: dict[int, int] = {}
        for each in owned:
            namespace = each.workload.holder.service.namespace
            self._by_labels[_label_key(namespace, each.pods)].append(each)
            self._left[id(each)] = each.most_pods

    def workload(self, pod: PodView) -> Workload | None:
        if pod.controller[0] != "ReplicaSet":
            return None
        for each in self._by_labels.get(_label_key(pod.namespace, pod.labels), ()):
            if any(pod.labels.get(key) != value for key, value in each.pods.items()):
                continue
            # A Deployment does not count its pods that end.
            self._left[id(each)] -= 0 if pod.terminating else 1
            if pod.terminating or self._left[id(each)] >= 0:
                return each.workload
        return None


def _label_key(namespace: str, of: Mapping[str, str]) -> tuple[str, str, str]:
    return namespace, of.get(labels.SERVICE, ""), of.get(labels.VARIANT, "")
