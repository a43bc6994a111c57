"""The HTTPRoute of a service, and the weights that are read back from it."""

from __future__ import annotations

from medley_operator.domain.routing.gateway import gateway_of, is_accepted
from medley_operator.domain.routing.httproute import observed_weights, render_http_route
from tests.unit.operator import factories as make


def test_route_and_its_weights() -> None:
    route = render_http_route(
        make.service(), gateway=(make.NAMESPACE, "inference"), weights={"llama-l4-a": 400, "llama-h100-b": 600}
    )
    rule = route["spec"]["rules"][0]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/demo/llama"}}]
    assert [(item["name"], item["weight"]) for item in rule["backendRefs"]] == [
        ("llama-h100-b", 600),
        ("llama-l4-a", 400),
    ]
    names = {"l4": "llama-l4-a", "h100": "llama-h100-b"}
    assert observed_weights(route, names=names) == {"l4": 400, "h100": 600}
    assert observed_weights(route, names={"l4": "llama-l4-a"}) is None
    assert observed_weights(None, names=names) is None
    empty = render_http_route(make.service(), gateway=(make.NAMESPACE, "inference"), weights={})
    assert empty["spec"]["rules"][0]["backendRefs"] == []


def test_a_route_has_as_many_backends_as_the_gateway_api_allows() -> None:
    route = render_http_route(
        make.service(), gateway=(make.NAMESPACE, "inference"), weights={f"s{n:02}": n for n in range(20)}
    )
    assert [item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]] == list(range(4, 20))


def test_a_gateway_of_another_namespace_is_named_with_it_and_no_other_of_its_name_speaks_for_it() -> None:
    service = make.service(spec={"routing": {"gatewayRef": {"name": "edge", "namespace": "platform"}}})
    gateway = gateway_of(service)
    assert gateway == ("platform", "edge")
    route = render_http_route(service, gateway=gateway, weights={"a": 1})
    assert route["spec"]["parentRefs"][0]["namespace"] == "platform"
    accepted = {"conditions": [{"type": "Accepted", "status": "True"}]}
    stranger = {"parentRef": {"name": "edge"}, **accepted}
    ours = {"parentRef": {"name": "edge", "namespace": "platform"}, **accepted}
    assert not is_accepted({**route, "status": {"parents": [stranger]}}, gateway=gateway)
    assert is_accepted({**route, "status": {"parents": [stranger, ours]}}, gateway=gateway)
    own = gateway_of(make.service(spec={"routing": {"gatewayRef": {"name": "edge"}}}))
    assert own == (make.NAMESPACE, "edge")
    assert is_accepted({**route, "status": {"parents": [stranger]}}, gateway=own)
