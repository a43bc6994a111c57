"""The data path of each routing mode: from routing objects, or without any, to the engines that get requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode
from medley_operator.domain.routing.httproute import backends_of
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.replay.pods import EnginePod
from medley_operator.replay.traffic import Backend, PromptPool, Route

LONGEST_PROMPT = 2**31


def object_route(service: LLMService, children: Mapping[ObjectKey, Manifest], pods: Sequence[EnginePod]) -> Route:
    """Where the service's routing objects send requests. A Gateway without a route answers none."""
    namespace, name = service.metadata.namespace, service.metadata.name
    mode = service.spec.routing.effective_mode()
    if mode is ServiceRoutingMode.SERVICE:
        return plain_route(mode, _selected(children, ObjectKey(labels.CORE_SERVICE, namespace, name), pods))
    route = children.get(ObjectKey(labels.HTTP_ROUTE, namespace, name))
    if route is None:
        return Route()
    if mode is ServiceRoutingMode.INFERENCE_POOL:
        pool = children.get(ObjectKey(labels.INFERENCE_POOL, namespace, name))
        return Route() if pool is None else plain_route(mode, _matching(pool["spec"]["selector"]["matchLabels"], pods))
    backends = []
    for (kind, backend), weight in sorted(backends_of(route).items()):
        if weight > 0:
            engines = _engines(_selected(children, ObjectKey(kind, namespace, backend), pods))
            backends.append(Backend(float(weight), engines))
    return Route(backends=tuple(backends))


def plain_route(mode: ServiceRoutingMode, pods: Sequence[EnginePod]) -> Route:
    """Requests to these pods: by the picker of a pool, or to any of them."""
    if mode is not ServiceRoutingMode.INFERENCE_POOL:
        return Route(backends=(Backend(1.0, _engines(pods)),))
    by_range: dict[tuple[int, int], list[int]] = {}
    for pod in pods:
        if pod.engine is not None and pod.ready:
            by_range.setdefault(_prompts(pod), []).append(pod.engine)
    return Route(pools=tuple(PromptPool(*ends, tuple(engines)) for ends, engines in sorted(by_range.items())))


def _prompts(pod: EnginePod) -> tuple[int, int]:
    shortest, _, longest = pod.labels.get(labels.PROMPT_RANGE, "").partition("-")
    return (int(shortest), int(longest)) if longest else (0, LONGEST_PROMPT)


def _selected(children: Mapping[ObjectKey, Manifest], key: ObjectKey, pods: Sequence[EnginePod]) -> Sequence[EnginePod]:
    found = children.get(key)
    return [] if found is None else _matching(found["spec"]["selector"], pods)


def _matching(selector: Mapping[str, str], pods: Sequence[EnginePod]) -> Sequence[EnginePod]:
    return [pod for pod in pods if all(pod.labels.get(name) == value for name, value in selector.items())]


def _engines(pods: Sequence[EnginePod]) -> tuple[int, ...]:
    return tuple(pod.engine for pod in pods if pod.engine is not None and pod.ready)
