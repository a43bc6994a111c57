"""The HTTPRoute of a service, and the weights that are read back from it."""

from __future__ import annotations

from medley_operator.domain.rollout.httproute import observed_weights, render_http_route
from tests.unit.operator import factories as make


def test_route_and_its_weights() -> None:
    route = render_http_route(make.service(), gateway="inference", weights={"l4": 400, "h100": 600})
    rule = route["spec"]["rules"][0]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/demo/llama"}}]
    assert [(item["name"], item["weight"]) for item in rule["backendRefs"]] == [("llama-h100", 600), ("llama-l4", 400)]
    assert observed_weights(route, service="llama") == {"l4": 400, "h100": 600}
    assert observed_weights(None, service="llama") is None
    empty = render_http_route(make.service(), gateway="inference", weights={})
    assert [item["name"] for item in empty["spec"]["rules"][0]["backendRefs"]] == ["llama"]
    assert observed_weights(empty, service="llama") is None
