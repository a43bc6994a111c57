"""Addresses on the API server."""

from __future__ import annotations

from medley_operator.api.v1alpha1 import KINDS
from medley_operator.kube.resources import DEPLOYMENTS, GPU_POOLS, LLM_SERVICES, NODES, OWN, POWER, SERVICES


def test_paths() -> None:
    assert LLM_SERVICES.path() == "/apis/medley.dev/v1alpha1/llmservices"
    assert (
        LLM_SERVICES.path(namespace="demo", name="chat", subresource="status")
        == "/apis/medley.dev/v1alpha1/namespaces/demo/llmservices/chat/status"
    )
    assert SERVICES.path(namespace="demo", name="chat") == "/api/v1/namespaces/demo/services/chat"
    assert DEPLOYMENTS.path(namespace="demo") == "/apis/apps/v1/namespaces/demo/deployments"
    assert NODES.path(name="a") == "/api/v1/nodes/a"
    assert GPU_POOLS.path(name="l4") == "/apis/medley.dev/v1alpha1/gpupools/l4"


def test_our_kinds_are_those_of_the_api() -> None:
    assert {(kind.kind, kind.plural, kind.namespaced) for kind in KINDS} == {
        (each.kind, each.plural, each.namespaced) for each in (*OWN, *POWER)
    }
