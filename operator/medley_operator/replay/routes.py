"""The data path of each routing mode: from routing objects, or without any, to the engines that get requests. Pure.

The fake fleet of `e2e` sends its requests by it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode
from medley_operator.domain.routing.httproute import backends_of
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.replay.traffic import Backend, PromptPool, Route

LONGEST_PROMPT = 2**31
Selector = Mapping[str, str]


class RoutedPod(Protocol):
    """A pod as the data path sees it. `engine`: its number in the traffic, None where it has none."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def engine(self) -> int | None: ...
    @property
    def ready(self) -> bool: ...


def object_route(service: LLMService, children: Mapping[ObjectKey, Manifest], pods: Sequence[RoutedPod]) -> Route:
    """Where the service's routing objects send requests. A Gateway without a route answers none."""
    namespace, name = service.metadata.namespace, service.metadata.name
    mode = service.spec.routing.effective_mode()
    if mode is ServiceRoutingMode.SERVICE:
        selector = _selector(children, ObjectKey(labels.CORE_SERVICE, namespace, name))
        return weighted_route([(selector, 1.0)], pods)
    route = children.get(ObjectKey(labels.HTTP_ROUTE, namespace, name))
    if route is None:
        return Route()
    if mode is ServiceRoutingMode.INFERENCE_POOL:
        pool = children.get(ObjectKey(labels.INFERENCE_POOL, namespace, name))
        return Route() if pool is None else plain_route(mode, _matching(pool["spec"]["selector"]["matchLabels"], pods))
    weighted = sorted(backends_of(route).items())
    return weighted_route(
        [(_selector(children, ObjectKey(kind, namespace, name)), float(weight)) for (kind, name), weight in weighted],
        pods,
    )


def weighted_route(backends: Iterable[tuple[Selector | None, float]], pods: Sequence[RoutedPod]) -> Route:
    """Requests split by weight over backends, each the Ready pods that its selector matches; None matches no pod. A
    backend of weight 0 gets nothing."""
    return Route(
        backends=tuple(
            Backend(weight, _engines([] if selector is None else _matching(selector, pods)))
            for selector, weight in backends
            if weight > 0
        )
    )


def plain_route(mode: ServiceRoutingMode, pods: Sequence[RoutedPod]) -> Route:
    """Requests to these pods: by the picker of a pool, or to any of them."""
    if mode is not ServiceRoutingMode.INFERENCE_POOL:
        return Route(backends=(Backend(1.0, _engines(pods)),))
    by_range: dict[tuple[int, int], list[int]] = {}
    for pod in pods:
        if pod.engine is not None and pod.ready:
            by_range.setdefault(_prompts(pod), []).append(pod.engine)
    return Route(pools=tuple(PromptPool(*ends, tuple(engines)) for ends, engines in sorted(by_range.items())))


def _prompts(pod: RoutedPod) -> tuple[int, int]:
    shortest, _, longest = pod.labels.get(labels.PROMPT_RANGE, "").partition("-")
    return (int(shortest), int(longest)) if longest else (0, LONGEST_PROMPT)


def _selector(children: Mapping[ObjectKey, Manifest], key: ObjectKey) -> Selector | None:
    found = children.get(key)
    return None if found is None else found["spec"]["selector"]


def _matching(selector: Selector, pods: Sequence[RoutedPod]) -> Sequence[RoutedPod]:
    return [pod for pod in pods if all(pod.labels.get(name) == value for name, value in selector.items())]


def _engines(pods: Sequence[RoutedPod]) -> tuple[int, ...]:
    return tuple(pod.engine for pod in pods if pod.engine is not None and pod.ready)
