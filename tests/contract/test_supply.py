"""Stock from DRA, Kueue and Karpenter, on a real API server: DRA is its own, the others have schemas of ours.

Kueue's gate is set by an admission policy in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane, kwok_node
from e2e.rights import Right, used
from tests.contract.apiserver import Api
from tests.contract.conftest import CRDS
from tests.contract.objects import POOLS, RUNTIME_PROFILES, gpu_pool, llm_service, profile, services_of
from tests.contract.operator_process import chart_account, denied, running_operator, wait_for

pytestmark = pytest.mark.contract

DRA = "/apis/resource.k8s.io/v1"
GPU = "nvidia.com/gpu"
GATE = "kueue.x-k8s.io/admission"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(controllers=True, kwok=True) as plane:
        yield plane


def pool(name: str, gpu: str, *, elastic: bool = False, **spec: Any) -> dict[str, Any]:
    found = gpu_pool(name, gpu, "1")
    found["spec"] |= {"capacity": {"type": "Elastic" if elastic else "Fixed", "gpusPerNode": 4}, **spec}
    return found


def crd(group: str, version: str, kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # Groups below k8s.io and kubernetes.io ask for it.
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


def resource_slice(node: str, count: int) -> dict[str, Any]:
    devices = [
        {
            "name": f"gpu-{index}",
            "attributes": {"type": {"string": "gpu"}, "productName": {"string": "NVIDIA L4"}},
            "capacity": {"memory": {"value": "23034Mi"}},
        }
        for index in range(count)
    ]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-gpus"},
        "spec": {
            "driver": "gpu.nvidia.com",
            "nodeName": node,
            "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
            "devices": devices,
        },
    }


DEVICE_CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": "gpu.nvidia.com"},
    "spec": {
        "extendedResourceName": GPU,
        "selectors": [{"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}],
    },
}
CLAIM = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaim",
    "metadata": {"name": "notebook", "namespace": "lab"},
    "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}},
}
ALLOCATION = {
    "devices": {"results": [{"request": "gpu", "driver": "gpu.nvidia.com", "pool": "l4-0", "device": "gpu-1"}]},
}
NODE_POOL = {
    "apiVersion": "karpenter.sh/v1",
    "kind": "NodePool",
    "metadata": {"name": "h100"},
    "spec": {"template": {"metadata": {"labels": {"gpu": "h100"}}}, "limits": {GPU: 9}},
    "status": {"resources": {}},
}
GATED_POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": {"name": "gate"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [{"name": "queued", "expression": f"'{QUEUE_LABEL}' in object.metadata.labels"}],
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {
                    "expression": "Object{spec: Object.spec{schedulingGates: "
                    f"[Object.spec.schedulingGates{{name: '{GATE}'}}]}}}}"
                },
            }
        ],
    },
}
GATED_BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicyBinding",
    "metadata": {"name": "gate"},
    "spec": {"policyName": "gate"},
}


def queue(nominal: int, used_gpus: int) -> dict[str, Any]:
    def flavors(**row: Any) -> list[dict[str, Any]]:
        return [{"name": "a100", "resources": [{"name": GPU, **row}]}]

    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ClusterQueue",
        "metadata": {"name": "gpus"},
        "spec": {"resourceGroups": [{"coveredResources": [GPU], "flavors": flavors(nominalQuota=nominal)}]},
        "status": {"flavorsUsage": flavors(total=used_gpus, borrowed=0)},
    }


def status(admin: Api, name: str) -> dict[str, Any]:
    return dict(admin.request("GET", f"{POOLS}/{name}")[1].get("status", {}))


def figures(admin: Api, name: str) -> tuple[Any, Any, Any]:
    found = status(admin, name)
    return found.get("stockGpus"), found.get("freeGpus"), found.get("foreignGpus")


def is_served(admin: Api, path: str) -> bool:
    """What is not served at all is answered in plain text."""
    try:
        return admin.request("GET", path)[0] == 200
    except ValueError:
        return False


def condition(of: dict[str, Any], type_: str) -> tuple[str, str] | None:
    found = [each for each in of.get("conditions", []) if each["type"] == type_]
    return (found[0]["status"], found[0]["reason"]) if found else None


def test_stock_is_read_from_where_it_is_kept(plane: ControlPlane, admin: Api, tmp_path: Path) -> None:
    admin.kubectl("apply", "--server-side", "-f", str(CRDS))
    wait_for("the CRDs are served", lambda: admin.request("GET", POOLS)[0] == 200)
    user, kubeconfig = chart_account(plane, admin, CRDS.parent)
    for namespace in ("team", "lab"):
        admin.kubectl("create", "namespace", namespace)
    for node in (
        kwok_node("l4-0", gpus=0, labels={"gpu": "l4"}),
        kwok_node("a100-0", gpus=4, labels={"gpu": "a100"}),
        kwok_node("a100-1", gpus=4, labels={"gpu": "a100"}),
    ):
        assert admin.request("POST", "/api/v1/nodes", node)[0] == 201
    queued: dict[str, Any] = {"queue": {"name": "serving", "clusterQueue": "gpus", "flavor": "a100"}}
    for path, body in (
        (f"{DRA}/resourceslices", resource_slice("l4-0", 4)),
        # One that has a device plugin and a driver is counted once.
        (f"{DRA}/resourceslices", resource_slice("a100-0", 4)),
        (POOLS, pool("l4", "L4")),
        (POOLS, pool("a100", "A100-80", **queued)),
        (POOLS, pool("h100", "H100", elastic=True)),
        (RUNTIME_PROFILES, profile()),
        ("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies", GATED_POLICY),
        ("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings", GATED_BINDING),
    ):
        code, answer = admin.request("POST", path, body)
        assert code == 201, answer
    with running_operator(kubeconfig, tmp_path, "--resync-seconds", "2"):
        # Without Kueue and Karpenter nothing is bounded, and without a class pods cannot ask for devices.
        wait_for("pools have a stock", lambda: figures(admin, "a100") == (8, 8, 0))
        assert (figures(admin, "l4")[0], figures(admin, "h100")[0]) == (0, None)
        assert condition(status(admin, "l4"), "DevicesOffered") == ("False", "NoDeviceClass")

        assert admin.request("POST", f"{DRA}/deviceclasses", DEVICE_CLASS)[0] == 201
        wait_for("devices are stock", lambda: figures(admin, "l4") == (4, 4, 0))
        assert condition(status(admin, "l4"), "DevicesOffered") is None
        claims = f"{DRA}/namespaces/lab/resourceclaims"
        code, claim = admin.request("POST", claims, CLAIM)
        assert code == 201, claim
        code, answer = admin.request(
            "PUT", f"{claims}/notebook/status", {**claim, "status": {"allocation": ALLOCATION}}
        )
        assert code == 200, answer
        wait_for("a claim takes its device", lambda: figures(admin, "l4") == (3, 3, 1))

        for group, version, kind, object_ in (
            ("kueue.x-k8s.io", "v1beta2", "ClusterQueue", queue(5, used_gpus=2)),
            ("karpenter.sh", "v1", "NodePool", NODE_POOL),
        ):
            admin.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(group, version, kind))
            path = f"/apis/{group}/{version}/{kind.lower()}s"
            wait_for(f"{kind} is served", partial(is_served, admin, path))
            code, answer = admin.request("POST", path, object_)
            assert code == 201, answer
        # A kind that a cluster lacks is asked for again after a while.
        wait_for("the quota bounds", lambda: figures(admin, "a100") == (3, 3, 0), timeout_seconds=90)
        wait_for("the limit bounds", lambda: figures(admin, "h100") == (8, 8, 0), timeout_seconds=90)
        assert status(admin, "a100")["stockLimits"] == [{"kind": "ClusterQueue", "name": "gpus", "gpus": 3}]
        assert condition(status(admin, "a100"), "StockLimited") == ("True", "QueueQuota")
        assert condition(status(admin, "h100"), "StockLimited") == ("True", "NodePoolLimits")

        service = llm_service("1")
        service["spec"]["variants"] = [{"poolRef": "a100", "tensorParallel": 1, "minReplicas": 1}]
        assert admin.request("POST", services_of("team"), service)[0] == 201
        pods = "/api/v1/namespaces/team/pods"
        wait_for("there is a pod", lambda: bool(admin.request("GET", pods)[1]["items"]))
        found = admin.request("GET", pods)[1]["items"][0]
        assert found["metadata"]["labels"][QUEUE_LABEL] == "serving"
        assert found["spec"]["schedulingGates"] == [{"name": GATE}]

        def waiting() -> bool:
            told = admin.request("GET", f"{services_of('team')}/chat")[1].get("status", {})
            rows = [each for each in told.get("conditions", []) if each["type"] == "WorkloadsReady"]
            return bool(rows) and rows[0]["reason"] == "Progressing" and "gate" in rows[0]["message"]

        wait_for("the gate is told", waiting)
        told = admin.request("GET", f"{services_of('team')}/chat")[1]["status"]
        assert told.get("startFailures", []) == []
        assert condition(told, "CapacityAvailable") == ("True", "Sufficient")
    events = [each for each in plane.audit_events(since=0) if each["user"]["username"] == user]
    assert denied(events) == []
    dra = [f"{kind}.resource.k8s.io" for kind in ("resourceslices", "deviceclasses", "resourceclaims")]
    followed = (*dra, "clusterqueues.kueue.x-k8s.io", "nodepools.karpenter.sh")
    assert {Right(kind, verb) for kind in followed for verb in ("list", "watch")} <= used(events)
