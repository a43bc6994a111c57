"""Broken set-ups, one each: what `medley doctor` says of them, and that a whole one has no fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.cli.doctor.checks import CHECKS, examine
from medley_operator.cli.doctor.findings import Health, SeenCluster, SeriesCounts
from medley_operator.domain.values.views import NodeView
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
    Resource,
)

NOW = 1_800_000_000.0
RENEWED = "2027-01-15T07:59:55Z"
LABEL = {"nvidia.com/gpu.product": "NVIDIA-L4"}


def named(kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {}) | more.pop("metadata", {})
    return {"kind": kind, "metadata": metadata, **more}


def conditions(**statuses: str) -> dict[str, Any]:
    rows = [
        {"type": type_, "status": status, "reason": f"Why{type_}", "message": "m"} for type_, status in statuses.items()
    ]
    return {"conditions": rows}


POOL = named("GPUPool", "l4", spec={"nodeSelector": LABEL}, status=conditions(Ready="True"))
SERVICE = named(
    "LLMService",
    "chat",
    "team",
    spec={"routing": {"gatewayRef": {"name": "edge"}}},
    status=conditions(Ready="True", PlanReady="True"),
)
ENGINE_LABELS = {"app.kubernetes.io/managed-by": "medley", "medley.dev/service": "chat"}
WHOLE = SeenCluster(
    objects={
        **{resource: [] for resource in OWN},
        GPU_POOLS: [POOL],
        RUNTIME_PROFILES: [named("RuntimeProfile", "vllm", status=conditions(Ready="True"))],
        LLM_SERVICES: [SERVICE],
        LEASES: [
            named(
                "Lease",
                "medley-operator",
                "medley-system",
                spec={"holderIdentity": "medley-1", "renewTime": RENEWED, "leaseDurationSeconds": 15},
            )
        ],
        PODS: [named("Pod", "chat-0", "team", metadata={"labels": ENGINE_LABELS}, status=conditions(Ready="True"))],
        DEPLOYMENTS: [named("Deployment", "chat-l4", "team", metadata={"labels": ENGINE_LABELS})],
        AUTOSCALERS: [],
        GATEWAYS: [named("Gateway", "edge", "team", status=conditions(Programmed="True"))],
    },
    nodes=(NodeView("n0", LABEL, {"nvidia.com/gpu": 4}), NodeView("cpu", {}, {})),
    series=SeriesCounts(engines=2, ours=1),
    now=NOW,
)


def with_objects(resource: Resource, *found: dict[str, Any]) -> SeenCluster:
    return replace(WHOLE, objects={**WHOLE.objects, resource: list(found)})


def with_nodes(*nodes: NodeView) -> SeenCluster:
    return replace(WHOLE, nodes=(*WHOLE.nodes, *nodes))


def lease(renewed: str) -> dict[str, Any]:
    return named("Lease", "medley-operator", "x", spec={"holderIdentity": "medley-1", "renewTime": renewed})


def scaler(kind: str = "Deployment") -> dict[str, Any]:
    return named("HorizontalPodAutoscaler", "h", "team", spec={"scaleTargetRef": {"kind": kind, "name": "chat-l4"}})


def operator_pod(ready: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "medley", "app.kubernetes.io/component": "operator"}
    return named("Pod", "medley-1", "sys", metadata={"labels": labels}, status=conditions(Ready=ready))


def without_lease(*pods: dict[str, Any]) -> SeenCluster:
    objects = {**WHOLE.objects, LEASES: [], PODS: [*WHOLE.objects[PODS], *pods]}
    return replace(WHOLE, objects=objects)


def test_a_whole_set_up_has_no_fault() -> None:
    found = examine(WHOLE)
    assert [each.health for each in found] == [Health.OK] * len(found)
    assert len(found) == len(CHECKS) - 1  # nothing was kept from the user


@pytest.mark.parametrize(
    ("seen", "about", "said", "fix"),
    [
        (replace(WHOLE, lacking=frozenset(OWN)), "CRDs", "does not serve LLMService", "kubectl apply"),
        (without_lease(), "operator", "no Lease", "helm install"),
        (without_lease(operator_pod("False")), "operator", "not Ready", "kubectl describe pod -n sys"),
        (with_objects(LEASES, lease("2027-01-15T07:50:00Z")), "operator", "nobody leads", "kubectl logs"),
        (with_objects(GPU_POOLS), "GPU pools", "no GPUPool", "medley pools discover"),
        (
            with_objects(GPU_POOLS, {**POOL, "status": conditions(Ready="False")}),
            "GPU pools",
            "GPUPool l4: WhyReady",
            "kubectl edit gpupool l4",
        ),
        (
            with_objects(GPU_POOLS, POOL, named("GPUPool", "all", spec={"nodeSelector": LABEL})),
            "GPU pools",
            "all, l4 all select node n0",
            "differ",
        ),
        (with_nodes(NodeView("n1", LABEL, {})), "GPU nodes", "no GPU to allocate", "device plugin"),
        (with_objects(RUNTIME_PROFILES), "profiles", "no RuntimeProfile", "kubectl apply"),
        (replace(WHOLE, series=None, why_no_series="it hangs"), "Prometheus", "it hangs", "--prometheus-url"),
        (replace(WHOLE, series=SeriesCounts(3, 0)), "Prometheus", "3 series of other engines", "docs/metrics.md"),
        (replace(WHOLE, lacking=frozenset({GATEWAYS})), "gateways", "no Gateway API", "install"),
        (with_objects(GATEWAYS), "gateways", "team/edge, which is not there", "gatewayRef"),
        (
            with_objects(GATEWAYS, named("Gateway", "edge", "team", status=conditions(Programmed="False"))),
            "gateways",
            "WhyProgrammed",
            "controller",
        ),
        (
            with_objects(AUTOSCALERS, scaler()),
            "autoscalers",
            "scales Deployment chat-l4",
            "kubectl delete hpa -n team h",
        ),
        (
            with_objects(LLM_SERVICES, {**SERVICE, "status": conditions(Ready="False", CapacityAvailable="False")}),
            "services",
            "LLMService team/chat",
            "kubectl describe llms -n team chat",
        ),
    ],
)
def test_a_broken_set_up_is_named_with_its_fix(seen: SeenCluster, about: str, said: str, fix: str) -> None:
    faults = [each for each in examine(seen) if each.health is Health.FAULT]
    assert [each.about for each in faults] == [about]
    assert said in faults[0].message
    assert fix in faults[0].fix


@pytest.mark.parametrize(
    ("seen", "about"),
    [
        (with_nodes(NodeView("n1", {}, {"nvidia.com/gpu": 8})), "GPU nodes"),
        (with_nodes(NodeView("n1", {"nvidia.com/gpu.product": "NVIDIA-L40S"}, {"nvidia.com/gpu": 8})), "GPU nodes"),
        (with_objects(LLM_SERVICES, {**SERVICE, "status": {}}), "services"),
        (with_objects(GPU_POOLS, {**POOL, "status": conditions(Ready="True", PriceKnown="False")}), "prices"),
    ],
)
def test_what_only_some_want_is_a_warning(seen: SeenCluster, about: str) -> None:
    found = [each for each in examine(seen) if each.health is not Health.OK]
    assert [(each.about, each.health) for each in found] == [(about, Health.WARNING)]


def test_a_kind_that_the_user_may_not_list_is_unknown_and_not_a_fault() -> None:
    seen = replace(WHOLE, objects={**WHOLE.objects, GPU_POOLS: []}, unread={GPU_POOLS: "forbidden"})
    assert {each.health for each in examine(seen)} == {Health.OK, Health.UNKNOWN}


def test_autoscalers_of_others_are_left_alone() -> None:
    assert examine(with_objects(AUTOSCALERS, scaler("StatefulSet"))) == examine(WHOLE)


CHECKED: list[Callable[..., object]] = list(CHECKS)


@pytest.mark.parametrize("check", CHECKED, ids=lambda check: check.__name__)
def test_no_check_needs_what_could_not_be_read(check: Callable[[SeenCluster], Any]) -> None:
    empty = SeenCluster(unread={resource: "forbidden" for resource in (*OWN, *WHOLE.objects)}, why_no_series="x")
    assert all(each.message for each in check(empty))
