"""Where a service's requests go, as the data path would send them. Pure.

Behind an HTTPRoute that a gateway has accepted: by the weights of its backends. Otherwise behind the Service of the
LLMService's name. How a request finds its pod from there is the replay's own routing. A backend without a Ready pod
answers its share with 503, as the Gateway API asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e2e.fleet.cluster import ClusterState, Key
from medley_operator.replay.routes import RoutedPod, weighted_route
from medley_operator.replay.traffic import Route


@dataclass(frozen=True, slots=True)
class Split:
    """`path`: `HTTPRoute` or `Service`."""

    path: str
    route: Route


def split_of(service: Key, state: ClusterState, pods: Sequence[RoutedPod]) -> Split:
    """How requests of the LLMService `service` are spread now over `pods`, which are those of it."""
    route = state.routes.get(service)
    if route is None or not route.accepted:
        return Split("Service", weighted_route([(_selector(service, state), 1.0)], pods))
    backends = [
        (_selector(Key(service.namespace, backend.service), state), float(backend.weight)) for backend in route.backends
    ]
    return Split("HTTPRoute", weighted_route(backends, pods))


def _selector(service: Key, state: ClusterState) -> Mapping[str, str] | None:
    """None where there is no such Service, or one that selects nothing."""
    return state.selectors.get(service) or None
