"""The checks of `medley doctor`, in the order in which a person would mend what they find. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from medley_operator.cli.doctor.findings import Finding, Health, SeenCluster
from medley_operator.cli.doctor.objects import (
    condition_of,
    conditions_of,
    describe_command,
    full_name,
    gateway_of,
    is_engine,
    is_operator,
    said_of,
)
from medley_operator.cli.doctor.supply import gpu_nodes, pools, prices, profiles
from medley_operator.domain.values.labels import managed
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.kube.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    GATEWAYS,
    LEASES,
    LLM_SERVICES,
    OWN,
    PODS,
)

Check = Callable[[SeenCluster], Iterator[Finding]]
CRDS, OPERATOR = "CRDs", "operator"
PROMETHEUS, GATEWAY, SCALERS, SERVICES = "Prometheus", "gateways", "autoscalers", "services"
LEASE_NAME = "medley-operator"
"""The default of --lease-name."""


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
    pods = [pod for pod in seen.of(PODS) if is_operator(pod)]
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
        yield Finding(OPERATOR, Health.FAULT, f"nobody leads: the Lease {full_name(lease)} {when}", fix)
        return
    ready = [pod for pod in pods if condition_of(pod, "Ready") == "True"]
    if ready:
        yield Finding(OPERATOR, Health.OK, f"{full_name(ready[0])} is Ready, without leader election")
    elif pods:
        fix = f"kubectl describe pod -n {pods[0]['metadata']['namespace']} {pods[0]['metadata']['name']}"
        yield Finding(OPERATOR, Health.FAULT, f"{full_name(pods[0])} is not Ready", fix)
    else:
        yield Finding(
            OPERATOR,
            Health.FAULT,
            f"there is no Lease {LEASE_NAME} and no pod of the operator",
            "helm install medley helm/medley --set image.repository=YOURS, or run medley operator",
        )


def prometheus(seen: SeenCluster) -> Iterator[Finding]:
    """Whether the figures that plans rest on are there."""
    engines = [pod for pod in seen.of(PODS) if is_engine(pod) and condition_of(pod, "Ready") == "True"]
    if seen.series is None:
        fix = "give its address with --prometheus URL, and the operator's with --prometheus-url (chart: prometheus.url)"
        yield Finding(PROMETHEUS, Health.FAULT, seen.why_no_series, fix)
    elif engines and seen.series.ours == 0:
        others = f" ({seen.series.engines} series of other engines)" if seen.series.engines else ""
        fix = "scrape the engine pods and keep their labels: docs/metrics.md, or monitoring.podMonitor.enabled=true"
        message = f"no series of Medley's {len(engines)} Ready engine pods{others}"
        yield Finding(PROMETHEUS, Health.FAULT, message, fix)
    else:
        yield Finding(
            PROMETHEUS, Health.OK, f"it answers, and has series of {seen.series.ours} engine pods of Medley's"
        )


def gateways(seen: SeenCluster) -> Iterator[Finding]:
    wanted = {gateway_of(service) for service in seen.of(LLM_SERVICES)} - {None}
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
        elif condition_of(there[key], "Programmed") == "False":
            bad = True
            yield Finding(
                GATEWAY,
                Health.FAULT,
                f"Gateway {name}: {said_of(there[key], 'Programmed')}",
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
    if not seen.listed(LLM_SERVICES):
        return
    bad = 0
    for service in found:
        reasons = [
            f"{each['reason']}: {each.get('message', '')}"
            for each in conditions_of(service)
            if each.get("status") == "False" and each.get("reason") not in ("NoReadyReplicas", "NoPlan")
        ]
        reasons = reasons or ([] if condition_of(service, "Ready") != "False" else [said_of(service, "Ready")])
        if reasons:
            bad += 1
            yield Finding(
                SERVICES, Health.FAULT, f"LLMService {full_name(service)}: {reasons[0]}", describe_command(service)
            )
        elif not conditions_of(service):
            bad += 1
            message = f"LLMService {full_name(service)} has no status: the operator has not looked at it"
            yield Finding(SERVICES, Health.WARNING, message, "see what is said of the operator above")
    if not bad:
        yield Finding(SERVICES, Health.OK, f"{len(found)} LLMServices, none with a problem")


CHECKS: tuple[Check, ...] = (
    rights,
    crds,
    operator,
    gpu_nodes,
    pools,
    prices,
    profiles,
    prometheus,
    gateways,
    autoscalers,
    services,
)


def examine(seen: SeenCluster) -> list[Finding]:
    """All findings, in the order of `CHECKS`."""
    return [finding for check in CHECKS for finding in check(seen)]
