"""The API server of the replay: objects of ours with their statuses, the children that are applied, and what their
controllers report on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from medley_operator.api.v1alpha1 import GPUPool, GPUType, LLMService, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
from medley_operator.domain.cluster.gpu_types import gpu_types
from medley_operator.domain.routing.gateway import gateway_of
from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import Decision, PodNote, StatusWrite
from medley_operator.domain.values.labels import DELETION_COST
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey
from medley_operator.replay.agenda import Agenda
from medley_operator.replay.cluster import SimulatedCluster
from medley_operator.replay.pods import EngineWorkload
from medley_planner.variants import Replica

EngineOf = Callable[[ServiceKey, str, str], Replica]
"""How a replica is run, by service, variant and layout."""
Item = TypeVar("Item", LLMService, GPUPool, RuntimeProfile, ModelProfile, MedleyPolicy, GPUType)


@dataclass(frozen=True, slots=True)
class OwnObjects:
    """The objects that people write."""

    services: tuple[LLMService, ...]
    pools: tuple[GPUPool, ...]
    profiles: tuple[RuntimeProfile, ...]
    model_profiles: tuple[ModelProfile, ...] = ()
    policies: tuple[MedleyPolicy, ...] = ()
    gpu_types: tuple[GPUType, ...] = ()
    power_domains: tuple[PowerDomain, ...] = ()
    power_events: tuple[PowerEvent, ...] = ()


class ApiObjects:
    """Carries decisions out on the simulated cluster, and shows what came of them."""

    def __init__(self, own: OwnObjects, cluster: SimulatedCluster, agenda: Agenda, engine_of: EngineOf) -> None:
        self.own = own
        self._cluster = cluster
        self._agenda = agenda
        self._engine_of = engine_of
        self.children: dict[ObjectKey, Manifest] = {}
        gateways = (gateway_of(service) for service in own.services)
        self._gateways = frozenset(gateway for gateway in gateways if gateway is not None)

    def view(self) -> ActuatorView:
        """The cluster as the operator sees it now."""
        self._report()
        return ActuatorView(
            services=self.own.services,
            rejected=(),
            children=dict(self.children),
            gateways=self._gateways,
            pods=self._cluster.pod_views(),
            at_seconds=self._agenda.now,
            pools=self.own.pools,
            gpu_types=self.own.gpu_types,
            catalogue=gpu_types(self.own.gpu_types).catalogue,
            nodes=self._cluster.node_views(),
        )

    def carry_out(self, decision: Decision) -> None:
        """All writes of a decision, at once."""
        for apply in decision.applies:
            self._put(apply.manifest)
        for gone in decision.deletes:
            self._remove(gone.key)
        for note in decision.pod_notes:
            self._mark(note)
        self.write_statuses(decision.statuses)

    def write_statuses(self, writes: Sequence[StatusWrite]) -> None:
        if writes:
            statuses = {write.key: write.status for write in writes}
            own = self.own
            self.own = replace(
                own,
                services=tuple(_with_status(each, statuses) for each in own.services),
                pools=tuple(_with_status(each, statuses) for each in own.pools),
                profiles=tuple(_with_status(each, statuses) for each in own.profiles),
                model_profiles=tuple(_with_status(each, statuses) for each in own.model_profiles),
                policies=tuple(_with_status(each, statuses) for each in own.policies),
                gpu_types=tuple(_with_status(each, statuses) for each in own.gpu_types),
            )

    def rewrite_pool(self, pool: GPUPool) -> None:
        """The owner of a pool writes its spec anew."""
        pools = tuple(
            pool.model_copy(update={"status": known.status}) if known.metadata.uid == pool.metadata.uid else known
            for known in self.own.pools
        )
        self.own = replace(self.own, pools=pools)

    def _put(self, manifest: Manifest) -> None:
        key = labels.key_of(manifest)
        before = self.children.get(key)
        generation = 1
        if before is not None:
            generation = int(before["metadata"]["generation"]) + (before.get("spec") != manifest.get("spec"))
        metadata = {
            **manifest["metadata"],
            "uid": f"uid-{key.kind}-{key.name}",
            "generation": generation,
            "creationTimestamp": before["metadata"]["creationTimestamp"]
            if before is not None
            else utc_text(self._agenda.unix_seconds),
        }
        status = (before or {}).get("status", {})
        if key.kind in (labels.HTTP_ROUTE, labels.INFERENCE_POOL):
            status = _accepted(manifest, generation, self._gateway(key))
        self.children[key] = {**manifest, "metadata": metadata, "status": status}
        if key.kind == labels.DEPLOYMENT:
            self._cluster.put(self._workload(manifest))

    def _gateway(self, key: ObjectKey) -> Manifest:
        """The Gateway that the route or pool of a service is at, as a reference."""
        service = next(each for each in self.own.services if ServiceKey.of(each) == (key.namespace, key.name))
        namespace, name = gateway_of(service) or (key.namespace, "")
        return {"namespace": namespace, "name": name}

    def _workload(self, manifest: Manifest) -> EngineWorkload:
        metadata, spec = manifest["metadata"], manifest["spec"]
        pod = spec["template"]
        found: Mapping[str, str] = pod["metadata"]["labels"]
        service = ServiceKey(metadata["namespace"], found[labels.SERVICE])
        variant = found[labels.VARIANT]
        drain = next(each for each in self.own.services if ServiceKey.of(each) == service).spec.drain
        limits: Mapping[str, Any] = pod["spec"]["containers"][0]["resources"]["limits"]
        return EngineWorkload(
            name=metadata["name"],
            service=service,
            variant=variant,
            pool=found[labels.POOL],
            gpus=next(int(value) for name, value in limits.items() if "/" in name),
            replica=self._engine_of(service, variant, found[labels.LAYOUT]),
            labels=dict(found),
            replicas=int(spec["replicas"]),
            pre_stop_seconds=drain.pre_stop_seconds,
            drain_seconds=drain.timeout_seconds,
        )

    def _remove(self, key: ObjectKey) -> None:
        del self.children[key]
        if key.kind == labels.DEPLOYMENT:
            self._cluster.take_away(key.name)

    def _mark(self, note: PodNote) -> None:
        pod = self._cluster.pods.get(note.uid)
        if pod is None:
            return
        if DELETION_COST in note.annotations:
            pod.deletion_cost = int(note.annotations[DELETION_COST] or 0)
        elif note.annotations:
            pod.protected = False
        pod.labels.update({name: text for name, text in note.labels.items() if text is not None})
        pod.changed()

    def _report(self) -> None:
        """The statuses of Deployments, as their controller keeps them."""
        for key, manifest in self.children.items():
            if key.kind != labels.DEPLOYMENT:
                continue
            pods = self._cluster.of_workload(key.name)
            staying = [pod for pod in pods if not pod.terminating]
            ready = sum(pod.ready for pod in staying)
            status = {
                "observedGeneration": manifest["metadata"]["generation"],
                "replicas": len(staying),
                "updatedReplicas": len(staying),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "terminatingReplicas": len(pods) - len(staying),
            }
            if status != manifest["status"]:
                self.children[key] = {**manifest, "status": status}


def _with_status(item: Item, statuses: Mapping[ObjectKey, Manifest]) -> Item:
    status = statuses.get(ObjectKey.of(type(item).__name__, item.metadata))
    if status is None:
        return item
    model: type[BaseModel] = type(item.status)
    return item.model_copy(update={"status": model.model_validate(status)})


def _accepted(manifest: Manifest, generation: int, gateway: Manifest) -> Manifest:
    """The report of a controller that took a route or a pool at that Gateway."""
    parents = manifest["spec"].get("parentRefs") or [gateway]
    conditions = [
        {"type": type_, "status": "True", "observedGeneration": generation} for type_ in ("Accepted", "ResolvedRefs")
    ]
    return {"parents": [{"parentRef": parent, "conditions": conditions} for parent in parents]}
