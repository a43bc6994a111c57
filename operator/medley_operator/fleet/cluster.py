"""The cluster in memory: a reflector for each kind that decisions read, and one look at all of them.

`view()` does no I/O and does not wait, so that whoever acts looks as often as something changes. It is as whole as the
API server lets it be: `missing` says which kinds cannot be listed and why; whoever reads decides what rests on them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medley_operator.api.v1alpha1 import GPUPool, LLMService, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, PICKER_CONFIG
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.domain.values.views import Autoscaler, NodeView, PodView
from medley_operator.fleet.parse import autoscaled, parse_object, resized
from medley_operator.fleet.project import labels_of, node_view, picker_configuration, plain, pod_view
from medley_operator.fleet.reflector import Changed, FollowedKind, Reflector
from medley_operator.kube.client import KubeReader
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import (
    AUTOSCALERS,
    BY_KIND,
    CHILDREN,
    CONFIG_MAPS,
    GATEWAYS,
    NAMESPACES,
    NODES,
    OWN,
    PODS,
    RESIZERS,
    Resource,
)

OWN_MODELS = (LLMService, GPUPool, RuntimeProfile, ModelProfile, MedleyPolicy)
OURS = f"{MANAGED_BY}={MANAGED_BY_VALUE}"
NOT_SUCCEEDED = "status.phase!=Succeeded"
"""Jobs leave pods behind that hold nothing. Failed ones of ours say what is wrong, so that phase is left in."""

KINDS: tuple[FollowedKind[Any], ...] = (
    *(FollowedKind(resource, parse_object(model)) for resource, model in zip(OWN, OWN_MODELS, strict=True)),
    FollowedKind(NODES, node_view),
    FollowedKind(NAMESPACES, labels_of),
    FollowedKind(PODS, pod_view, field_selector=NOT_SUCCEEDED),
    *(FollowedKind(child, plain, label_selector=OURS) for child in CHILDREN),
    FollowedKind(CONFIG_MAPS, picker_configuration, OURS, f"metadata.name={PICKER_CONFIG}"),
    FollowedKind(GATEWAYS, plain),
    FollowedKind(AUTOSCALERS, autoscaled),
    FollowedKind(RESIZERS, resized),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """The cluster at one moment, each kind in the order of its keys. Manifests are shared: do not change them.

    A kind in `missing` cannot be listed now; of it there is what was last seen, or nothing where the cluster lacks it.
    """

    services: tuple[LLMService, ...] = ()
    pools: tuple[GPUPool, ...] = ()
    profiles: tuple[RuntimeProfile, ...] = ()
    model_profiles: tuple[ModelProfile, ...] = ()
    policies: tuple[MedleyPolicy, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]]
    """Labels by the namespace's name."""
    rejected: tuple[InvalidObject, ...] = ()
    """Objects of ours that do not parse."""
    nodes: tuple[NodeView, ...] = ()
    pods: tuple[PodView, ...] = ()
    children: Mapping[ObjectKey, Manifest]
    """Objects of the kinds that we make that carry our managed-by label."""
    gateways: Mapping[ObjectKey, Manifest]
    autoscalers: Mapping[ObjectKey, Autoscaler]
    """HorizontalPodAutoscalers and VerticalPodAutoscalers, by the Deployment that they are on."""
    missing: Mapping[Resource, KubeError]
    available: frozenset[Resource]
    """All others."""


class ClusterCache:
    """`subscribe`, then `start`; `view` counts after `ready`; `close` at the end."""

    def __init__(self, reader: KubeReader, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._subscribers: list[Changed] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._reflectors: dict[Resource, Reflector[Any]] = {
            kind.resource: Reflector(reader, kind, changed=self._changed, clock=clock) for kind in KINDS
        }

    def subscribe(self, changed: Changed) -> None:
        """`changed` is called on each change of a projection but those that `put` was the first to bring, and, with a
        key without a name, where a kind can be listed from now on or cannot any more."""
        self._subscribers.append(changed)

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

    def view(self) -> ClusterView:
        """All that is known now. Does not wait, and changes no more once it is handed out."""
        own = [value for resource in OWN for value in self._ordered(resource)]
        errors = {resource: reflector.error for resource, reflector in self._reflectors.items()}
        missing = {resource: error for resource, error in errors.items() if error is not None}
        return ClusterView(
            services=tuple(value for value in own if isinstance(value, LLMService)),
            pools=tuple(value for value in own if isinstance(value, GPUPool)),
            profiles=tuple(value for value in own if isinstance(value, RuntimeProfile)),
            model_profiles=tuple(value for value in own if isinstance(value, ModelProfile)),
            policies=tuple(value for value in own if isinstance(value, MedleyPolicy)),
            namespaces={key.name: labels for key, labels in self._reflectors[NAMESPACES].store.values.items()},
            rejected=tuple(value for value in own if isinstance(value, InvalidObject)),
            nodes=self._ordered(NODES),
            pods=self._ordered(PODS),
            children={
                key: value
                for child in (*CHILDREN, CONFIG_MAPS)
                for key, value in self._reflectors[child].store.values.items()
            },
            gateways=self._reflectors[GATEWAYS].store.values,
            autoscalers=self._autoscalers(),
            missing=missing,
            available=frozenset(errors.keys() - missing.keys()),
        )

    def ages(self) -> Mapping[Resource, float]:
        """Seconds since the API server last said anything about a kind, by the kinds that it ever spoke of."""
        ages = {resource: reflector.age_seconds for resource, reflector in self._reflectors.items()}
        return {resource: age for resource, age in ages.items() if age is not None}

    def put(self, manifest: Manifest) -> None:
        """Takes in what a write returned: `view` shows it now, and no older event of the watch takes it back."""
        reflector = self._reflectors.get(BY_KIND[manifest["kind"]])
        if reflector is not None:
            reflector.store.put(manifest)

    def _autoscalers(self) -> dict[ObjectKey, Autoscaler]:
        found: dict[ObjectKey, Autoscaler] = {}
        for key, each in (*self._ordered(AUTOSCALERS), *self._ordered(RESIZERS)):
            found[key] = found.get(key, Autoscaler()).beside(each)
        return found

    def _ordered(self, resource: Resource) -> tuple[Any, ...]:
        return self._reflectors[resource].store.ordered

    def _changed(self, kind: str, key: ObjectKey, old: object, new: object) -> None:
        for changed in self._subscribers:
            changed(kind, key, old, new)
