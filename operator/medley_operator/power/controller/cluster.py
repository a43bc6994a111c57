"""The cluster as the controller of power follows it: its own kinds, nodes, pods, and what sets the priority of pods."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import lru_cache
from typing import Any

from medley_operator.api.v1alpha1 import LLMService, MedleyPolicy
from medley_operator.api.v1alpha1.power import GpuLimit, NodePowerCap, PowerDomain, PowerEvent
from medley_operator.domain.power.dynamo import ANNOTATION
from medley_operator.domain.power.view import PowerView
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.domain.values.views import PodView
from medley_operator.fleet.cluster import NOT_SUCCEEDED
from medley_operator.fleet.parse import parse_object
from medley_operator.fleet.project import namespace_view, node_view, pod_view
from medley_operator.fleet.reflector import FollowedKind, Reflector
from medley_operator.kube.client import KubeReader
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import (
    BY_KIND,
    LLM_SERVICES,
    MEDLEY_POLICIES,
    NAMESPACES,
    NODE_POWER_CAPS,
    NODES,
    PODS,
    POWER_DOMAINS,
    POWER_EVENTS,
    Resource,
)

MOST_TEXT = 64
"""Letters of an annotation that are kept; one that can be used is shorter."""


def _pod_with_limit(pod: Manifest) -> PodView | None:
    """With Dynamo's annotation, at whose changes the fleet operator has no need to look again."""
    seen = pod_view(pod)
    text = str((pod["metadata"].get("annotations") or {}).get(ANNOTATION, ""))[:MOST_TEXT]
    return replace(seen, power_limit=text) if seen is not None and text else seen


_parse_caps = parse_object(NodePowerCap)


def _caps(cap: Manifest) -> NodePowerCap | InvalidObject:
    """Equal limits are one object: a thousand nodes have thousands of them, and few are different."""
    seen = _parse_caps(cap)
    if isinstance(seen, InvalidObject):
        return seen
    gpus = [gpu.model_copy(update={"limit": _one(gpu.limit), "safe": _one(gpu.safe)}) for gpu in seen.spec.gpus]
    return seen.model_copy(update={"spec": seen.spec.model_copy(update={"gpus": gpus})})


@lru_cache(maxsize=4096)
def _one(limit: GpuLimit) -> GpuLimit:
    return limit


FOLLOWED: tuple[FollowedKind[Any], ...] = (
    FollowedKind(POWER_DOMAINS, parse_object(PowerDomain)),
    FollowedKind(POWER_EVENTS, parse_object(PowerEvent)),
    FollowedKind(NODE_POWER_CAPS, _caps),
    FollowedKind(NODES, node_view),
    FollowedKind(PODS, _pod_with_limit, field_selector=NOT_SUCCEEDED),
    FollowedKind(LLM_SERVICES, parse_object(LLMService)),
    FollowedKind(MEDLEY_POLICIES, parse_object(MedleyPolicy)),
    FollowedKind(NAMESPACES, namespace_view),
)
NEEDED = (POWER_DOMAINS, POWER_EVENTS, NODE_POWER_CAPS, NODES)
"""Without these nothing is decided, since what is not seen would look as if it were gone. Without the others, what is
known of priorities stays as it was last seen."""


class PowerCluster:
    """`start`, then `view` after `ready`; `close` at the end."""

    def __init__(self, reader: KubeReader) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._reflectors: dict[Resource, Reflector[Any]] = {
            kind.resource: Reflector(reader, kind, changed=_unheard) for kind in FOLLOWED
        }

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(reflector.run(), name=f"reflector of {resource}")
            for resource, reflector in self._reflectors.items()
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ready(self) -> None:
        """Waits until each kind was listed or could not be."""
        for reflector in self._reflectors.values():
            await reflector.tried()

    def missing(self) -> KubeError | None:
        """Why nothing can be decided now; None where all that is needed is seen."""
        errors = (self._reflectors[resource].error for resource in NEEDED)
        return next((error for error in errors if error is not None), None)

    def view(self) -> PowerView:
        """All that is known now."""
        caps = self._parsed(NODE_POWER_CAPS, NodePowerCap)
        return PowerView(
            domains=self._parsed(POWER_DOMAINS, PowerDomain),
            events=self._parsed(POWER_EVENTS, PowerEvent),
            caps={cap.metadata.name: cap for cap in caps},
            nodes=self._reflectors[NODES].store.ordered,
            pods=self._reflectors[PODS].store.ordered,
            services=self._parsed(LLM_SERVICES, LLMService),
            policies=self._parsed(MEDLEY_POLICIES, MedleyPolicy),
            namespaces={key.name: seen for key, seen in self._reflectors[NAMESPACES].store.values.items()},
            rejected=tuple(
                value
                for reflector in self._reflectors.values()
                for value in reflector.store.ordered
                if isinstance(value, InvalidObject)
            ),
        )

    def put(self, manifest: Manifest) -> None:
        """Takes in what a write returned."""
        reflector = self._reflectors.get(BY_KIND[manifest["kind"]])
        if reflector is not None:
            reflector.store.put(manifest)

    def _parsed(self, resource: Resource, model: type[Any]) -> tuple[Any, ...]:
        return tuple(value for value in self._reflectors[resource].store.ordered if isinstance(value, model))


def _unheard(_kind: str, _key: ObjectKey, _old: object, _new: object) -> None:
    """Rounds come by the clock, and not by events."""
