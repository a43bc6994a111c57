"""kwok's stages for pods whose engines are played at their own addresses. Pure.

kwok starts the container of an engine's pod and does no more: the pod is Running and not Ready, and stays after its
deletion. Readiness and the end are those of the engine (`kubelet`). Pods of others are as ready and as short-lived as
in any run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from medley_operator.domain.values import labels

_COMPONENT = f'.metadata.labels["{labels.COMPONENT}"]'
_READY = 'status: "True"\n  type: '
_NOT_READY = 'status: "False"\n  type: '
_OF_THE_CONTAINERS = ("Ready", "ContainersReady")


def engine_stages(stages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """kwok's own stages, with those for pods kept from engines, and one that starts an engine's container."""
    made: list[dict[str, Any]] = []
    for stage in stages:
        if stage["spec"]["resourceRef"]["kind"] != "Pod":
            made.append(stage)
            continue
        made.append(_for(stage, operator="NotIn"))
        if stage["metadata"]["name"] == "pod-ready":
            made.append(_started(_for(stage, operator="In")))
    return made


def _for(stage: dict[str, Any], *, operator: str) -> dict[str, Any]:
    own = copy.deepcopy(stage)
    expressions = own["spec"]["selector"]["matchExpressions"]
    expressions.append({"key": _COMPONENT, "operator": operator, "values": [labels.COMPONENT_ENGINE]})
    return own


def _started(stage: dict[str, Any]) -> dict[str, Any]:
    stage["metadata"]["name"] = "engine-started"
    template: str = stage["spec"]["next"]["statusTemplate"]
    for kind in _OF_THE_CONTAINERS:
        before, after = f"{_READY}{kind}\n", f"{_NOT_READY}{kind}\n"
        if before not in template:
            raise ValueError(f"kwok's stage pod-ready has no condition {kind} to take away")
        template = template.replace(before, after)
    stage["spec"]["next"]["statusTemplate"] = template.replace("  ready: true\n", "  ready: false\n", 1)
    return stage
