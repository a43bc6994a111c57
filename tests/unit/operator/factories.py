"""Short ways to make the objects of domain tests; each keyword overrides one field of a working object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from medley_operator.api.v1alpha1 import GPUPool, GPUType, LLMService, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.cluster.gpu_types import gpu_types
from medley_operator.domain.cluster.ledger import stock_ledger
from medley_operator.domain.cluster.policies import Policies, bounds_by_namespace
from medley_operator.domain.cluster.pools import pool_state
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.labels import DELETION_COST, POD, key_of
from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.power import NO_POWER, PowerFacts
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import (
    InvalidObject,
    Manifest,
    MetricsReason,
    ObjectKey,
    Observation,
    Snapshot,
)
from medley_operator.domain.values.views import NodeView, PodView
from medley_planner.capacity import ESTIMATE
from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.refusal import Refusal

NAMESPACE = "demo"
NOW = "2026-11-24T12:00:00Z"
LATER = "2026-11-24T12:00:30Z"
LLAMA = "hf://meta-llama/Llama-3.1-8B-Instruct"
STATIC = {"requestsPerSecond": "4", "promptTokens": 500, "generationTokens": 150}


def service(
    name: str = "llama",
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    generation: int = 1,
    deleting: bool = False,
    namespace: str = NAMESPACE,
    created: str = "",
) -> LLMService:
    body: dict[str, Any] = {
        "model": {"uri": LLAMA},
        "slo": {"ttft": "2s", "tpot": "100ms"},
        "workload": {"source": "Static", "static": STATIC},
    }
    body.update(spec or {})
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "generation": generation,
        "creationTimestamp": created,
    }
    if deleting:
        metadata["deletionTimestamp"] = NOW
    return LLMService.model_validate({"metadata": metadata, "spec": body, "status": dict(status or {})})


def pool(
    name: str = "l4",
    *,
    gpu: str = "L4",
    price: str = "0.805",
    nodes: int | None = 4,
    gpus_per_node: int = 4,
    kind: str = "Fixed",
    **spec: Any,
) -> GPUPool:
    capacity: dict[str, Any] = {"type": kind, "gpusPerNode": gpus_per_node}
    if nodes is not None:
        capacity["nodes"] = nodes
    body = {"gpu": gpu, "nodeSelector": {"gpu": name}, "capacity": capacity, "cost": {"perHour": price}, **spec}
    return GPUPool.model_validate(
        {"metadata": {"name": name, "uid": f"uid-pool-{name}", "generation": 1}, "spec": body}
    )


def profile(name: str = "vllm", **spec: Any) -> RuntimeProfile:
    """A RuntimeProfile with one token budget, so that variants are named by pool, degree and precision;
    `tokenBudget=None`: chosen."""
    body = {
        "image": "vllm/vllm-openai:v0.32.0",
        "version": "0.32.0",
        "allowedArgs": ["--enable-prefix-caching", "--kv-cache-dtype"],
        "tokenBudget": 2048,
        **spec,
    }
    return RuntimeProfile.model_validate(
        {"metadata": {"name": name, "uid": f"uid-profile-{name}", "generation": 1}, "spec": body}
    )


def model_profile(name: str = "measured", **spec: Any) -> ModelProfile:
    """A ModelProfile of the default service on one H100; `stepFactors` all 1 unless `points` are given."""
    body: dict[str, Any] = {
        "model": LLAMA.removeprefix("hf://"),
        "gpu": "H100",
        "engineVersion": "0.32.0",
        **({} if "points" in spec else {"stepFactors": {}}),
        **spec,
    }
    return ModelProfile.model_validate(
        {"metadata": {"name": name, "uid": f"uid-measured-{name}", "generation": 1}, "spec": body}
    )


def policy(name: str = "tenants", *, labels: Mapping[str, str] | None = None, **limits: Any) -> MedleyPolicy:
    """A MedleyPolicy for all namespaces, or for those with the labels."""
    spec: dict[str, Any] = {"limits": limits}
    if labels is not None:
        spec["namespaceSelector"] = {"matchLabels": dict(labels)}
    metadata = {"name": name, "uid": f"uid-policy-{name}", "generation": 1}
    return MedleyPolicy.model_validate({"metadata": metadata, "spec": spec})


def node(name: str, *, pool_name: str, gpus: int = 4, resource: str = "nvidia.com/gpu") -> NodeView:
    return NodeView(name=name, labels={"gpu": pool_name}, allocatable={resource: gpus})


def demand(rate_rps: float = 4.0, *, prompt: float = 500.0, generation: float = 150.0) -> Demand:
    return Demand(
        rate_rps=rate_rps,
        buckets=(Bucket(prompt_tokens=prompt, generation_tokens=generation),),
        shares=(1.0,),
        size_source=SizeSource.INDEPENDENT,
    )


def found(rate_rps: float = 4.0, *, prompt: float = 500.0, samples: float = 10000.0) -> Observation:
    return Observation(
        reason=MetricsReason.FOUND, demand=demand(rate_rps, prompt=prompt), samples=samples, message="seen"
    )


def lost(reason: MetricsReason = MetricsReason.STALE, message: str = "no sample since 61 s") -> Observation:
    return Observation(reason=reason, message=message)


def snapshot(
    *services: LLMService,
    pools: Iterable[GPUPool] | None = None,
    profiles: Iterable[RuntimeProfile] | None = None,
    children: Mapping[ObjectKey, Manifest] | None = None,
    nodes: Iterable[NodeView] = (),
    gateways: frozenset[tuple[str, str]] | None = frozenset({(NAMESPACE, "inference")}),
    observations: Mapping[str, Observation] | None = None,
    rejected: Iterable[InvalidObject] = (),
    measured: Iterable[ModelProfile] = (),
    pods: Iterable[PodView] | None = None,
    policies: Iterable[MedleyPolicy] = (),
    own_types: Iterable[GPUType] = (),
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
    ending: Iterable[str] = (),
    power: PowerFacts = NO_POWER,
    unix_seconds: float = 0.0,
) -> Snapshot:
    """`pods` None: they cannot be listed."""
    return Snapshot(
        services=tuple(services),
        pools=tuple(pools if pools is not None else (pool(), pool("h100", gpu="H100", price="6.88", gpus_per_node=8))),
        profiles=tuple(profiles if profiles is not None else (profile(),)),
        rejected=tuple(rejected),
        nodes=tuple(nodes),
        children=dict(children or {}),
        gateways=gateways,
        observations={ServiceKey(NAMESPACE, name): value for name, value in (observations or {}).items()},
        model_profiles=tuple(measured),
        pods=tuple(pods or ()),
        unreadable={} if pods is not None else {POD: "pods are forbidden"},
        policies=tuple(policies),
        gpu_types=tuple(own_types),
        catalogue=gpu_types(tuple(own_types)).catalogue,
        namespaces=dict(namespaces or {}),
        ending=frozenset(ending),
        power=power,
        unix_seconds=unix_seconds,
    )


def power_domain(
    name: str, watts: int, *, status: Mapping[str, Any] | None = None, generation: int = 1, **spec: Any
) -> PowerDomain:
    body = {"budgetWatts": watts, "mode": "Enforce", **spec}
    if spec.get("nodeSelector"):
        body.setdefault("nonGpuWatts", 0)
    metadata = {"name": name, "uid": f"uid-power-{name}", "generation": generation}
    return PowerDomain.model_validate({"metadata": metadata, "spec": body, "status": dict(status or {})})


def power_event(
    domain: str, *, start: str, end: str, status: Mapping[str, Any] | None = None, **spec: Any
) -> PowerEvent:
    metadata = {"name": f"less-{domain}", "uid": f"uid-event-{domain}", "generation": 1}
    body = {"domain": domain, "start": start, "end": end, **spec}
    return PowerEvent.model_validate({"metadata": metadata, "spec": body, "status": dict(status or {})})


def unreadable(
    kind: str, name: str, message: str = "spec is missing", *, namespace: str = "", **fields: Any
) -> InvalidObject:
    """An object that does not parse."""
    given = {"uid": f"uid-{name}", "generation": 1, "status": {}, **fields}
    return InvalidObject(key=ObjectKey(kind, namespace, name), refusal=Refusal("InvalidSpec", message), **given)


def service_input(service: LLMService, snapshot: Snapshot, **fields: Any) -> ServiceInput:
    """What the checks of a service are asked with, where nothing was planned or measured before."""
    ledger = stock_ledger(snapshot)
    given: dict[str, Any] = {
        "pools": tuple(
            pool_state(pool, ledger.pools[pool.metadata.name], "", snapshot.catalogue)
            for pool in sorted(snapshot.pools, key=lambda pool: pool.metadata.name)
        ),
        "memory": ServiceMemory(uid=""),
        "last_replicas": {},
        "speeds": {},
        "estimate": ESTIMATE,
        "leads": LeadTimes(),
        "bounds": bounds_by_namespace(
            snapshot.services, Policies(snapshot.policies, snapshot.namespaces, snapshot.rejected)
        )[service.metadata.namespace],
        **fields,
    }
    return ServiceInput(service=service, snapshot=snapshot, **given)


def carried_out(before: Snapshot, decision: Decision, *, ready: bool | None = True) -> Snapshot:
    """The cluster after the decision was carried out: children with server defaults, statuses written.

    With `ready` every Deployment has all its pods Ready and every route is accepted; else new pods are not Ready yet.
    None: no controller has looked at the children since.
    """
    children = {key: manifest for key, manifest in before.children.items()}
    for apply in decision.applies:
        key = key_of(apply.manifest)
        children[key] = with_defaults(apply.manifest, previous=children.get(key))
    for delete in decision.deletes:
        del children[delete.key]
    if ready is not None:
        children = {key: settled(manifest) if ready else observed(manifest) for key, manifest in children.items()}
    statuses = {write.key: write.status for write in decision.statuses}

    def fresh(kind: str, item: Any) -> Any:
        metadata = item.metadata
        status = statuses.get(ObjectKey(kind=kind, namespace=metadata.namespace, name=metadata.name))
        if status is None:
            return item
        return type(item).model_validate({**item.model_dump(by_alias=True, exclude_none=True), "status": status})

    return replace(
        before,
        services=tuple(fresh("LLMService", item) for item in before.services),
        pools=tuple(fresh("GPUPool", item) for item in before.pools),
        profiles=tuple(fresh("RuntimeProfile", item) for item in before.profiles),
        rejected=tuple(
            InvalidObject(item.key, item.uid, item.generation, item.refusal, statuses.get(item.key, item.status))
            for item in before.rejected
        ),
        children=children,
        pods=tuple(_annotated(pod, decision) for pod in before.pods),
        model_profiles=tuple(fresh("ModelProfile", item) for item in before.model_profiles),
        policies=tuple(fresh("MedleyPolicy", item) for item in before.policies),
    )


def _annotated(pod: PodView, decision: Decision) -> PodView:
    for note in decision.pod_notes:
        if note.uid == pod.uid and DELETION_COST in note.annotations:
            pod = replace(pod, deletion_cost=int(note.annotations[DELETION_COST] or 0))
        if note.uid == pod.uid:
            pod = replace(pod, labels={**pod.labels, **{name: text for name, text in note.labels.items() if text}})
    return pod


def with_defaults(manifest: Manifest, *, previous: Manifest | None = None) -> Manifest:
    """The manifest as a real API server (1.36) returns it: metadata filled, defaults set, quantities rewritten."""
    metadata = {
        **manifest["metadata"],
        "uid": f"uid-{manifest['kind']}-{manifest['metadata']['name']}",
        "resourceVersion": "17",
        "generation": 1,
        "creationTimestamp": NOW,
        "managedFields": [{"manager": "medley", "operation": "Apply"}],
    }
    result: Manifest = {**manifest, "metadata": metadata, "status": (previous or {}).get("status", {})}
    if manifest["kind"] == "Deployment":
        result["spec"] = _deployment_defaults(manifest["spec"])
    elif manifest["kind"] == "Service":
        result["spec"] = {
            **manifest["spec"],
            "clusterIP": "10.0.0.7",
            "clusterIPs": ["10.0.0.7"],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
        }
    if previous is not None:
        before = int(previous["metadata"].get("generation", 1))
        metadata["generation"] = before + (previous.get("spec") != result["spec"])
    return result


def _deployment_defaults(spec: Manifest) -> Manifest:
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    probes = {
        name: {
            **container[name],
            "successThreshold": 1,
            "httpGet": {**container[name]["httpGet"], "scheme": "HTTP"},
        }
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    container = {
        **container,
        **probes,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    defaults = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    return {
        **spec,
        "template": {
            "metadata": {**spec["template"]["metadata"], "creationTimestamp": None},
            "spec": {**pod, **defaults, "containers": [container]},
        },
    }


def _seen(manifest: Manifest) -> Manifest:
    """Its controller has seen the spec as it is."""
    return {"observedGeneration": manifest["metadata"].get("generation", 1)}


def observed(manifest: Manifest) -> Manifest:
    """A Deployment whose controller has seen it but whose ready count has not changed."""
    if manifest["kind"] != "Deployment":
        return manifest
    replicas = manifest["spec"]["replicas"]
    ready = min(manifest.get("status", {}).get("readyReplicas", 0), replicas)
    return {**manifest, "status": {**_seen(manifest), "replicas": replicas, "readyReplicas": ready}}


def _accepted(parent: Manifest) -> Manifest:
    """The report of a controller that took an object at that Gateway."""
    return {
        "parentRef": parent,
        "controllerName": "example.com/gateway",
        "conditions": [{"type": "Accepted", "status": "True"}, {"type": "ResolvedRefs", "status": "True"}],
    }


def settled(manifest: Manifest) -> Manifest:
    """A Deployment with all pods Ready, an HTTPRoute or an InferencePool that its gateway accepted."""
    if manifest["kind"] == "Deployment":
        replicas = manifest["spec"]["replicas"]
        pods = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), replicas)
        return {**manifest, "status": {**_seen(manifest), **pods}}
    if manifest["kind"] == "HTTPRoute":
        return {**manifest, "status": {"parents": [_accepted(parent) for parent in manifest["spec"]["parentRefs"]]}}
    if manifest["kind"] == "InferencePool":
        return {**manifest, "status": {"parents": [_accepted({"name": "inference"})]}}
    return manifest
