"""What is kept of ResourceSlices, DeviceClasses, ResourceClaims, ClusterQueues and NodePools."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from medley_operator.domain.values.supply import (
    Device,
    DeviceClaim,
    DeviceClassView,
    DeviceSlice,
    FlavorQuota,
    NodePoolView,
    QueueView,
)
from medley_operator.fleet.project_supply import device_claim, device_class, device_slice, node_pool, queue_view


def test_a_slice_keeps_what_tells_devices_apart() -> None:
    """As NVIDIA's driver writes it; a domain may stand before the names."""
    whole = {
        "name": "gpu-0",
        "attributes": {"type": {"string": "gpu"}, "productName": {"string": "NVIDIA L4"}, "index": {"int": 0}},
        "capacity": {"memory": {"value": "23034Mi"}},
    }
    part = {"name": "gpu-1-mig", "attributes": {"gpu.nvidia.com/type": {"string": "mig"}}, "capacity": {"memory": {}}}
    bad = {"name": "gpu-2", "capacity": {"memory": {"value": "much"}}, "taints": [{"key": "x", "effect": "NoSchedule"}]}
    spec: dict[str, Any] = {
        "driver": "gpu.nvidia.com",
        "nodeName": "n1",
        "pool": {"name": "n1", "generation": 3, "resourceSliceCount": 2},
        "devices": [whole, part, bad],
    }
    assert device_slice({"metadata": {"name": "s"}, "spec": spec}) == DeviceSlice(
        "gpu.nvidia.com",
        "n1",
        3,
        2,
        "n1",
        (
            Device("gpu-0", "gpu", "NVIDIA L4", 23034 * 2.0**20),
            Device("gpu-1-mig", "mig"),
            Device("gpu-2", tainted=True),
        ),
    )
    assert device_slice({"metadata": {"name": "s"}, "spec": {**spec, "nodeName": None, "allNodes": True}}) is None


@pytest.mark.parametrize(
    ("selectors", "driver", "kind"),
    [
        (["device.driver == 'a.b' && device.attributes['a.b'].type == 'gpu'"], "a.b", "gpu"),
        (['device.driver=="gpu.amd.com"', "device.allowMultipleAllocations"], "gpu.amd.com", ""),
        ([], "", ""),
    ],
)
def test_a_class_says_of_which_driver_its_devices_are(selectors: list[str], driver: str, kind: str) -> None:
    spec = {"extendedResourceName": "a.b/c", "selectors": [{"cel": {"expression": each}} for each in selectors]}
    metadata = {"name": "gpu", "creationTimestamp": "1970-01-01T00:01:00Z"}
    assert device_class({"metadata": metadata, "spec": spec}) == DeviceClassView("gpu", "a.b/c", driver, kind, 60.0)


def test_a_claim_holds_what_is_allocated_to_it() -> None:
    def claim(*results: dict[str, Any], annotations: dict[str, str] | None = None) -> DeviceClaim | None:
        metadata = {"namespace": "lab", "name": "c", "annotations": annotations}
        return device_claim({"metadata": metadata, "status": {"allocation": {"devices": {"results": list(results)}}}})

    gpu = {"request": "r", "driver": "d", "pool": "p", "device": "gpu-0"}
    assert claim(gpu, gpu) == DeviceClaim("lab", "c", (("d", "p", "gpu-0"),))
    assert claim({**gpu, "adminAccess": True}) is None
    assert device_claim({"metadata": {"namespace": "lab", "name": "c"}}) is None
    made = claim(gpu, annotations={"resource.kubernetes.io/extended-resource-claim": "true"})
    assert made is not None
    assert made.of_request


def test_a_queue_keeps_quota_and_use_by_flavor_and_resource() -> None:
    flavor = {
        "name": "l4",
        "resources": [
            {"name": "nvidia.com/gpu", "nominalQuota": "8", "borrowingLimit": 2, "lendingLimit": "0"},
            {"name": "cpu", "nominalQuota": "500m"},
        ],
    }
    used = {"name": "l4", "resources": [{"name": "nvidia.com/gpu", "total": "3", "borrowed": "0"}]}
    found = queue_view(
        {
            "metadata": {"name": "gpus"},
            "spec": {
                "cohortName": "all",
                "stopPolicy": "Hold",
                "resourceGroups": [{"coveredResources": ["cpu", "nvidia.com/gpu"], "flavors": [flavor]}],
            },
            "status": {"flavorsUsage": [used]},
        }
    )
    quota = FlavorQuota(8, borrowing=2, lending=0, used=3)
    assert found == QueueView("gpus", "all", stopped=True, quotas={("l4", "nvidia.com/gpu"): quota})
    assert queue_view({"metadata": {"name": "new"}}) == QueueView("new", "", stopped=False, quotas={})


def test_a_node_pool_keeps_labels_limits_and_use() -> None:
    requirements = [
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]},
        {"key": "node.kubernetes.io/instance-type", "operator": "NotIn", "values": ["g4dn.xlarge"]},
    ]
    template = {"metadata": {"labels": {"team": "ml"}}, "spec": {"requirements": requirements}}
    assert node_pool(
        {
            "metadata": {"name": "gpu"},
            "spec": {"template": template, "limits": {"cpu": "1k", "nvidia.com/gpu": 8, "memory": "lots"}},
            "status": {"resources": {"cpu": "32500m", "nodes": "2"}},
        }
    ) == NodePoolView(
        "gpu",
        {
            "karpenter.sh/capacity-type": frozenset(["spot", "on-demand"]),
            "team": frozenset(["ml"]),
            "karpenter.sh/nodepool": frozenset(["gpu"]),
        },
        {"cpu": Decimal(1000), "nvidia.com/gpu": Decimal(8)},
        {"cpu": Decimal("32.5"), "nodes": Decimal(2)},
    )
