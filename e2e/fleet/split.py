"""Where a service's requests go, as the data path would send them. Pure.

Behind an HTTPRoute that a gateway has accepted: by the weights of its backends, and within a backend alike to each
Ready pod that its Service selects. Otherwise behind the Service of the LLMService's name: alike to each Ready pod. A
backend without a Ready pod answers its share with 503, as the Gateway API asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from e2e.fleet.cluster import ClusterState, EnginePod, Key


@dataclass(frozen=True, slots=True)
class Split:
    """Backends with their weights; each a tuple of pods that share it alike, empty where none is Ready."""

    path: str
    """`HTTPRoute` or `Service`."""
    weights: tuple[int, ...]
    pods: tuple[tuple[EnginePod, ...], ...]

    def choose(self, random: Random) -> EnginePod | None:
        """The pod for one request; None where the data path leads nowhere."""
        if not self.weights:
            return None
        chosen = self.pods[0] if len(self.pods) == 1 else random.choices(self.pods, self.weights)[0]
        return random.choice(chosen) if chosen else None


def split_of(service: Key, state: ClusterState) -> Split:
    """How requests of the LLMService `service` are spread now."""
    route = state.routes.get(service)
    if route is not None and route.accepted:
        used = [backend for backend in route.backends if backend.weight > 0]
        return Split(
            path="HTTPRoute",
            weights=tuple(backend.weight for backend in used),
            pods=tuple(_ready_pods(Key(service.namespace, backend.service), state) for backend in used),
        )
    return Split(path="Service", weights=(1,), pods=(_ready_pods(service, state),))


def _ready_pods(service: Key, state: ClusterState) -> tuple[EnginePod, ...]:
    selector = state.selectors.get(service)
    if not selector:
        return ()
    return tuple(_selected(selector, service.namespace, state.pods.values()))


def _selected(selector: Mapping[str, str], namespace: str, pods: Iterable[EnginePod]) -> list[EnginePod]:
    found = [
        pod for pod in pods if pod.ready and pod.key.namespace == namespace and selector.items() <= pod.labels.items()
    ]
    return sorted(found, key=lambda pod: pod.key)
