"""The HTTPRoute of a service, and the weights that are read back from it."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.routing.gateway import gateway_of, is_accepted
from medley_operator.domain.routing.httproute import HttpRouteRouter, observed_weights, render_http_route
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.values.candidates import Disposition, ServiceCandidate
from medley_operator.domain.values.labels import key_of
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


def crowded(ready: int = 1) -> RoutedService:
    """A service with twenty variants that run, on their way to others, behind a Gateway."""
    running = {
        f"v{n:02}": RunningVariant(f"v{n:02}", "", f"llama-v{n:02}", "l4", n + 1, ready * (n + 1), 1, drained=False)
        for n in range(20)
    }
    spec = {"routing": {"gatewayRef": {"name": "inference"}}}
    candidate = ServiceCandidate(make.service(spec=spec), Disposition.PLANNED)
    return RoutedService(candidate, running, {}, gateways=frozenset({(make.NAMESPACE, "inference")}))


def test_more_variants_than_backends_share_one_and_shrinking_waits_for_that_route() -> None:
    """Ready replicas of the smallest of twenty variants got no request."""
    given, router = crowded(), HttpRouteRouter()
    weights = dict.fromkeys(given.running, 50)
    services = [variant.object_name for variant in given.running.values()]
    (route,) = router.wanted(given, weights, ["llama", *services])
    found = {item["name"]: item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]}
    assert len(found) == 16
    assert found["llama"] > 0
    accepted = {"conditions": [{"type": "Accepted", "status": "True"}], "parentRef": {"name": "inference"}}
    seen = {**route, "status": {"parents": [accepted]}}
    assert router.accepted(replace(given, own={key_of(seen): seen})) == router.asked(given, weights)
    assert router.weights(replace(given, own={key_of(seen): seen})) is None


def test_a_route_that_may_not_name_the_common_service_has_the_largest_variants() -> None:
    given = crowded()
    weights = {name: at for at, name in enumerate(given.running, 1)}
    (route,) = HttpRouteRouter().wanted(given, weights, [variant.object_name for variant in given.running.values()])
    assert [item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]] == list(range(5, 21))


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
