"""Nodes as kwok plays them: plain manifests with GPUs to allocate and no machine behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def kwok_node(
    name: str,
    *,
    gpus: int,
    labels: Mapping[str, str] | None = None,
    resource_name: str = "nvidia.com/gpu",
    taints: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The manifest of one node with `gpus` GPUs."""
    room = {"cpu": "256", "memory": "2Ti", "pods": "110", "ephemeral-storage": "4Ti", resource_name: str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name, "type": "kwok", **(labels or {})},
        },
        "spec": {"taints": [dict(taint) for taint in taints]} if taints else {},
        "status": {"allocatable": room, "capacity": room},
    }
