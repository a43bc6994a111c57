"""The checks of `medley doctor`, in the order in which a person would mend what they find. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from medley_operator.cli.advise.pools import PRODUCT_LABELS
from medley_operator.cli.doctor.findings import Finding, Health, Json, SeenCluster
from medley_operator.domain.values.labels import managed
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.views import GPU_PRODUCT_LABELS, GPU_RESOURCES
from medley_operator.kube.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    GATEWAYS,
    GPU_POOLS,
    LEASES,
    LLM_SERVICES,
    OWN,
    PODS,
    RUNTIME_PROFILES,
)

Check = Callable[[SeenCluster], Iterator[Finding]]
CRDS, OPERATOR, POOLS, NODES_ABOUT = "CRDs", "operator", "GPU pools", "GPU nodes"
PROFILES, PROMETHEUS, GATEWAY, SCALERS, SERVICES = "profiles", "Prometheus", "gateways", "autoscalers", "services"
LEASE_NAME = "medley-operator"
"""The default of --lease-name."""
MOST_NAMED = 5


def rights(seen: SeenCluster) -> Iterator[Finding]:
    """Kinds that the user may not list: what rests on them is not looked at."""
    for resource, reason in seen.unread.items():
        yield Finding(
            f"reading {resource}", Health.UNKNOWN, reason, "log in with an account that may list them, and try again"
        )


def crds(seen: SeenCluster) -> Iterator[Finding]:
    missing = [resource.kind for resource in OWN if resource in seen.lacking]
    if missing:
        fix = "kubectl apply --server-side -f crds/, or helm install with crds.install=true"
        yield Finding(CRDS, Health.FAULT, f"the cluster does not serve {', '.join(missing)}", fix)
    elif not any(resource in seen.unread for resource in OWN):
        yield Finding(CRDS, Health.OK, f"the cluster serves all {len(OWN)} kinds")


def operator(seen: SeenCluster) -> Iterator[Finding]:
    """Whether one acts: by its Lease, else by its pods."""
    pods = [pod for pod in seen.of(PODS) if _is_operator(pod)]
    lease = next((each for each in seen.of(LEASES) if each["metadata"]["name"] == LEASE_NAME), None)
    if lease is not None:
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity") or "", unix_seconds(spec.get("renewTime"))
        age = seen.now - renewed if renewed is not None else None
        if holder and age is not None and age <= 2 * int(spec.get("leaseDurationSeconds") or 15):
            yield Finding(OPERATOR, Health.OK, f"{holder} leads; it renewed its Lease {max(0.0, age):.0f} s ago")
            return
        when = f"was renewed {age:.0f} s ago" if age is not None else "was never renewed"
        fix = f"kubectl logs -n {lease['metadata']['namespace']} -l app.kubernetes.io/component=operator --tail=50"
        yield Finding(OPERATOR, Health.FAULT, f"nobody leads: the Lease {_name(lease)} {when}", fix)
        return
    ready = [pod for pod in pods if _condition(pod, "Ready") == "True"]
    if ready:
        yield Finding(OPERATOR, Health.OK, f"{_name(ready[0])} is Ready, without leader election")
    elif pods:
        fix = f"kubectl describe pod -n {pods[0]['metadata']['namespace']} {pods[0]['metadata']['name']}"
        yield Finding(OPERATOR, Health.FAULT, f"{_name(pods[0])} is not Ready", fix)
    else:
        yield Finding(
            OPERATOR,
            Health.FAULT,
            f"there is no Lease {LEASE_NAME} and no pod of the operator",
            "helm install medley helm/medley --set image.repository=YOURS, or run medley operator",
        )


def pools(seen: SeenCluster) -> Iterator[Finding]:
    found = seen.of(GPU_POOLS)
    if GPU_POOLS in seen.lacking or GPU_POOLS in seen.unread:
        return
    if not found:
        fix = "medley pools discover --write FILE, then kubectl apply -f FILE"
        yield Finding(POOLS, Health.FAULT, "there is no GPUPool, so nothing can be planned", fix)
        return
    bad = [pool for pool in found if _condition(pool, "Ready") == "False"]
    for pool in bad:
        yield Finding(
            POOLS, Health.FAULT, f"GPUPool {pool['metadata']['name']}: {_message(pool, 'Ready')}", _edit(pool)
        )
    overlaps = list(_overlaps(seen))
    yield from overlaps
    if not bad and not overlaps:
        yield Finding(POOLS, Health.OK, f"all {len(found)} are Ready, and no node is in two of them")


def gpu_nodes(seen: SeenCluster) -> Iterator[Finding]:
    """Nodes whose GPUs nobody can use: without a device plugin, without labels, in no pool."""
    with_gpus = [node for node in seen.nodes if any(node.allocatable.get(name) for name in GPU_RESOURCES)]
    named = [node for node in seen.nodes if any(node.labels.get(label) for label in GPU_PRODUCT_LABELS)]
    without = [node.name for node in named if node not in with_gpus]
    if without:
        yield Finding(
            NODES_ABOUT,
            Health.FAULT,
            f"{_some(without)}: labelled with a GPU type, but no GPU to allocate",
            "check the device plugin's pods on them (nvidia.com/gpu or amd.com/gpu in status.allocatable)",
        )
    if GPU_POOLS in seen.lacking or GPU_POOLS in seen.unread:
        return
    selectors = [_selector(pool) for pool in seen.of(GPU_POOLS)]
    outside = [node for node in with_gpus if not any(_takes(selector, node.labels) for selector in selectors)]
    unlabelled = [node.name for node in outside if not any(node.labels.get(label) for label in PRODUCT_LABELS)]
    if unlabelled:
        fix = f"install GPU feature discovery, or label them with {PRODUCT_LABELS[0]}"
        yield Finding(NODES_ABOUT, Health.WARNING, f"{_some(unlabelled)}: no label names the GPU type", fix)
    unpooled = [node.name for node in outside if node.name not in unlabelled]
    if unpooled:
        fix = "medley pools discover shows the GPUPools that would take them"
        yield Finding(NODES_ABOUT, Health.WARNING, f"{_some(unpooled)}: in no GPUPool, so not planned with", fix)
    if seen.nodes and not (without or outside):
        yield Finding(NODES_ABOUT, Health.OK, f"{len(with_gpus)} nodes with GPUs, all in pools")


def profiles(seen: SeenCluster) -> Iterator[Finding]:
    found = seen.of(RUNTIME_PROFILES)
    if RUNTIME_PROFILES in seen.lacking or RUNTIME_PROFILES in seen.unread:
        return
    if not found:
        fix = "kubectl apply -f examples/quickstart/runtime-profile.yaml, with your image"
        yield Finding(PROFILES, Health.FAULT, "there is no RuntimeProfile, so no engine can be started", fix)
        return
    bad = [each for each in found if _condition(each, "Ready") == "False"]
    for each in bad:
        message = f"RuntimeProfile {each['metadata']['name']}: {_message(each, 'Ready')}"
        yield Finding(PROFILES, Health.FAULT, message, _edit(each))
    if not bad:
        yield Finding(PROFILES, Health.OK, f"{len(found)} RuntimeProfile{'s' if len(found) > 1 else ''}, all Ready")


def prometheus(seen: SeenCluster) -> Iterator[Finding]:
    """Whether the figures that plans rest on are there."""
    engines = [pod for pod in seen.of(PODS) if _is_engine(pod) and _condition(pod, "Ready") == "True"]
    if seen.series is None:
        fix = "give its address with --prometheus URL, and the operator's with --prometheus-url (chart: prometheus.url)"
        yield Finding(PROMETHEUS, Health.FAULT, seen.why_no_series, fix)
    elif engines and seen.series.ours == 0:
        others = f" ({seen.series.engines} series of other engines)" if seen.series.engines else ""
        fix = "scrape the engine pods and keep their labels: docs/metrics.md, or podMonitor.create=true in the chart"
        message = f"no series of Medley's {len(engines)} Ready engine pods{others}"
        yield Finding(PROMETHEUS, Health.FAULT, message, fix)
    else:
        yield Finding(
            PROMETHEUS, Health.OK, f"it answers, and has series of {seen.series.ours} engine pods of Medley's"
        )


def gateways(seen: SeenCluster) -> Iterator[Finding]:
    wanted = {_gateway_of(service) for service in seen.of(LLM_SERVICES)} - {None}
    if not wanted or GATEWAYS in seen.unread:
        return
    if GATEWAYS in seen.lacking:
        fix = "install the Gateway API and a controller for it, or leave spec.routing.gatewayRef out"
        message = "LLMServices name Gateways, but the cluster has no Gateway API"
        yield Finding(GATEWAY, Health.FAULT, message, fix)
        return
    there = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in seen.of(GATEWAYS)}
    bad = False
    for key in sorted(each for each in wanted if each is not None):
        name = "/".join(key)
        if key not in there:
            bad = True
            fix = "create it, or correct spec.routing.gatewayRef"
            yield Finding(GATEWAY, Health.FAULT, f"an LLMService names Gateway {name}, which is not there", fix)
        elif _condition(there[key], "Programmed") == "False":
            bad = True
            yield Finding(
                GATEWAY,
                Health.FAULT,
                f"Gateway {name}: {_message(there[key], 'Programmed')}",
                "see the logs of its controller",
            )
    if not bad:
        yield Finding(GATEWAY, Health.OK, f"{len(wanted)} Gateway{'s' if len(wanted) > 1 else ''} named, all there")


def autoscalers(seen: SeenCluster) -> Iterator[Finding]:
    """Autoscalers of others on Deployments of ours: two would set the same replicas."""
    ours = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in seen.of(DEPLOYMENTS)
        if managed(each["metadata"].get("labels"))
    }
    bad = False
    for scaler in seen.of(AUTOSCALERS):
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        namespace = scaler["metadata"]["namespace"]
        if target.get("kind") == "Deployment" and (namespace, target.get("name")) in ours:
            bad = True
            name = scaler["metadata"]["name"]
            yield Finding(
                SCALERS,
                Health.FAULT,
                f"HorizontalPodAutoscaler {namespace}/{name} scales Deployment {target['name']}, which Medley scales",
                f"kubectl delete hpa -n {namespace} {name}, or set spec.scaling.mode: Advisory",
            )
    if not bad and AUTOSCALERS not in seen.unread:
        yield Finding(SCALERS, Health.OK, "no other autoscaler scales what Medley scales")


def services(seen: SeenCluster) -> Iterator[Finding]:
    found = seen.of(LLM_SERVICES)
    if LLM_SERVICES in seen.lacking or LLM_SERVICES in seen.unread:
        return
    bad = 0
    for service in found:
        reasons = [
            f"{each['reason']}: {each.get('message', '')}"
            for each in _conditions(service)
            if each.get("status") == "False" and each.get("reason") not in ("NoReadyReplicas", "NoPlan")
        ]
        reasons = reasons or ([] if _condition(service, "Ready") != "False" else [_message(service, "Ready")])
        if reasons:
            bad += 1
            yield Finding(SERVICES, Health.FAULT, f"LLMService {_name(service)}: {reasons[0]}", _describe(service))
        elif not _conditions(service):
            bad += 1
            message = f"LLMService {_name(service)} has no status: the operator has not looked at it"
            yield Finding(SERVICES, Health.WARNING, message, "see what is said of the operator above")
    if not bad:
        yield Finding(SERVICES, Health.OK, f"{len(found)} LLMServices, none with a problem")


CHECKS: tuple[Check, ...] = (
    rights,
    crds,
    operator,
    gpu_nodes,
    pools,
    profiles,
    prometheus,
    gateways,
    autoscalers,
    services,
)


def examine(seen: SeenCluster) -> list[Finding]:
    """All findings, in the order of `CHECKS`."""
    return [finding for check in CHECKS for finding in check(seen)]


def _overlaps(seen: SeenCluster) -> Iterator[Finding]:
    """Nodes that two pools select; each pair of pools once."""
    selectors = {
        pool["metadata"]["name"]: (pool.get("spec") or {}).get("nodeSelector") or {} for pool in seen.of(GPU_POOLS)
    }
    shared: dict[tuple[str, ...], list[str]] = {}
    for node in seen.nodes:
        taking = tuple(sorted(name for name, selector in selectors.items() if _takes(selector, node.labels)))
        if len(taking) > 1:
            shared.setdefault(taking, []).append(node.name)
    for names, nodes in sorted(shared.items()):
        yield Finding(
            POOLS,
            Health.FAULT,
            f"GPUPools {', '.join(names)} all select {_some(nodes)}: their GPUs count for the first alone",
            "make their nodeSelectors differ; medley pools discover writes some that do",
        )


def _selector(pool: Json) -> Mapping[str, str]:
    return (pool.get("spec") or {}).get("nodeSelector") or {}


def _takes(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def _is_operator(pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    named = labels.get("app.kubernetes.io/name") == "medley" or str(labels.get("helm.sh/chart", "")).startswith(
        "medley-"
    )
    return named and labels.get("app.kubernetes.io/component") == "operator"


def _is_engine(pod: Json) -> bool:
    return managed(pod["metadata"].get("labels"))


def _gateway_of(service: Json) -> tuple[str, str] | None:
    reference = ((service.get("spec") or {}).get("routing") or {}).get("gatewayRef")
    if not reference:
        return None
    return reference.get("namespace") or service["metadata"]["namespace"], reference["name"]


def _conditions(manifest: Json) -> Sequence[Json]:
    return (manifest.get("status") or {}).get("conditions") or []


def _condition(manifest: Json, type_: str) -> str:
    return next((str(each.get("status")) for each in _conditions(manifest) if each.get("type") == type_), "")


def _message(manifest: Json, type_: str) -> str:
    found = next((each for each in _conditions(manifest) if each.get("type") == type_), {})
    return f"{found.get('reason', '')}: {found.get('message', '')}"


def _name(manifest: Json) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def _edit(manifest: Json) -> str:
    return f"kubectl edit {manifest['kind'].lower()} {manifest['metadata']['name']}"


def _describe(manifest: Json) -> str:
    return f"kubectl describe llms -n {manifest['metadata']['namespace']} {manifest['metadata']['name']}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"node {shown}" + (f" and {more} more" if more > 0 else "")
