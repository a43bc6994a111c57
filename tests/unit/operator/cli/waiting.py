"""An LLMService in mode Approve whose newest plan waits, as the API server holds it, and a person's client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.kube.client import Page
from medley_operator.kube.resources import Resource
from tests.unit.operator import factories as make
from tests.unit.operator.fleet.fake_kube import FakeKubeClient

NAME = "llama"


class Person(FakeKubeClient):
    """Lists one namespace, as the real client does."""

    async def pages(  # type: ignore[override]
        self, resource: Resource, *, namespace: str = ""
    ) -> AsyncGenerator[Page, None]:
        found = [each for key, each in sorted(self.objects.items()) if key.namespace == namespace]
        yield Page(found, "1")


def waiting_service(*, reason: str = "AwaitingApproval", **status: Any) -> dict[str, Any]:
    ready = {
        "type": "PlanReady",
        "status": "True",
        "reason": reason,
        "message": "a plan",
        "lastTransitionTime": make.NOW,
    }
    row = {
        "name": "l4-tp2",
        "pool": "l4",
        "gpu": "L4",
        "gpus": 2,
        "tensorParallel": 2,
        "desired": 1,
        "costPerHour": "1.61",
    }
    plan = {
        "id": "1a2b3c4d",
        "state": "Optimal",
        "costPerHour": "9.30",
        "lowerBoundPerHour": "9.30",
        "gap": "0",
        "replicas": [
            {"variant": "h100-tp1", "pool": "h100", "gpus": 1, "replicas": 1},
            {"variant": "l4-tp2", "pool": "l4", "gpus": 2, "replicas": 3},
        ],
    }
    history = [
        {
            "planId": "0000000a",
            "at": make.NOW,
            "mix": "l4-tp2:1",
            "costPerHour": "1.61",
            "reason": "plan 0000000a was approved",
        }
    ]
    return {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"namespace": make.NAMESPACE, "name": NAME, "uid": "uid-llama", "generation": 1},
        "spec": {"model": {"uri": make.LLAMA}, "scaling": {"mode": "Approve"}},
        "status": {
            "costPerHour": "0.00",
            "variants": [row],
            "plan": plan,
            "history": history,
            "conditions": [ready],
            **status,
        },
    }
