"""The cluster in memory: a reflector for each kind that decisions read, and one look at all of them.

`view()` does no I/O and does not wait, so that whoever acts looks as often as something changes. It is as whole as the
API server lets it be: `missing` says which kinds cannot be listed and why; whoever reads decides what rests on them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medley_operator.api.v1alpha1 import GPUPool, GPUType, LLMService, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, PICKER_CONFIG
from medley_operator.domain.values.power import NO_POWER, NodeCaps, PowerFacts, leases_by_domain
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.domain.values.supply import Supply
from medley_operator.domain.values.views import Autoscaler, NamespaceView, NodeView, PodView
from medley_operator.fleet.parse import autoscaled, parse_object, resized
from medley_operator.fleet.project import namespace_view, node_caps, node_view, picker_configuration, plain, pod_view
from medley_operator.fleet.project_supply import device_claim, device_class, device_slice, node_pool, queue_view
from medley_operator.fleet.reflector import Changed, FollowedKind, Reflector
from medley_operator.kube.client import KubeReader
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import (
    AUTOSCALERS,
    BY_KIND,
    CHILDREN,
    CLUSTER_QUEUES,
    CONFIG_MAPS,
    DEVICE_CLASSES,
    GATEWAYS,
    GPU_POOLS,
    LLM_SERVICES,
    NAMESPACES,
    NODE_POOLS,
    NODE_POWER_CAPS,
    NODES,
    OWN,
    PODS,
    POWER_DOMAINS,
    POWER_EVENTS,
    RESIZERS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    Resource,
)

OWN_MODELS = (LLMService, GPUPool, RuntimeProfile, ModelProfile, MedleyPolicy, GPUType)
OURS = f"{MANAGED_BY}={MANAGED_BY_VALUE}"
NOT_SUCCEEDED = "status.phase!=Succeeded"
"""Jobs leave pods behind that hold nothing. Failed ones of ours say what is wrong, so that phase is left in."""

KINDS: tuple[FollowedKind[Any], ...] = (
    *(FollowedKind(resource, parse_object(model)) for resource, model in zip(OWN, OWN_MODELS, strict=True)),
    FollowedKind(POWER_DOMAINS, parse_object(PowerDomain)),
    FollowedKind(POWER_EVENTS, parse_object(PowerEvent)),
    FollowedKind(NODE_POWER_CAPS, node_caps),
    FollowedKind(NODES, node_view),
    FollowedKind(NAMESPACES, namespace_view),
    FollowedKind(PODS, pod_view, field_selector=NOT_SUCCEEDED),
    *(FollowedKind(child, plain, label_selector=OURS) for child in CHILDREN),
    FollowedKind(CONFIG_MAPS, picker_configuration, OURS, f"metadata.name={PICKER_CONFIG}"),
    FollowedKind(GATEWAYS, plain),
    FollowedKind(AUTOSCALERS, autoscaled),
    FollowedKind(RESIZERS, resized),
    FollowedKind(RESOURCE_SLICES, device_slice),
    FollowedKind(DEVICE_CLASSES, device_class),
    FollowedKind(RESOURCE_CLAIMS, device_claim),
    FollowedKind(CLUSTER_QUEUES, queue_view),
    FollowedKind(NODE_POOLS, node_pool),
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
    gpu_types: tuple[GPUType, ...] = ()
    namespaces: Mapping[str, NamespaceView]
    """The namespaces that there are, by name."""
    rejected: tuple[InvalidObject, ...] = ()
    """Objects of ours that do not parse."""
    nodes: tuple[NodeView, ...] = ()
    pods: tuple[PodView, ...] = ()
    children: Mapping[ObjectKey, Manifest]
    """Objects of the kinds that we make that carry our managed-by label."""
    gateways: Mapping[ObjectKey, Manifest]
    autoscalers: Mapping[ObjectKey, Autoscaler]
    """HorizontalPodAutoscalers and VerticalPodAutoscalers, by the Deployment that they are on."""
    supply: Supply = field(default_factory=Supply)
    missing: Mapping[Resource, KubeError]
    available: frozenset[Resource]
    """All others."""
    watched: tuple[str, ...] = ()
    """The namespaces that are followed; none: all."""
    power: PowerFacts = NO_POWER


class ClusterCache:
    """`subscribe`, then `start`; `view` counts after `ready`; `close` at the end. `namespaces`: where namespaced kinds
    are followed; none: everywhere."""

    def __init__(
        self,
        reader: KubeReader,
        *,
        namespaces: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subscribers: list[Changed] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._namespaces = tuple(sorted(namespaces))
        self._reflectors: dict[Resource, dict[str, Reflector[Any]]] = {
            kind.resource: {
                name: Reflector(reader, replace(kind, namespace=name), changed=self._changed, clock=clock)
                for name in (self._namespaces if kind.resource.namespaced else ()) or ("",)
            }
            for kind in KINDS
        }
        """The reflectors of each kind by namespace, in order; "" stands for everywhere."""

    def subscribe(self, changed: Changed) -> None:
        """`changed` is called on each change of a projection but those that `put` was the first to bring, and, with a
        key without a name, where a kind can be listed from now on or cannot any more."""
        self._subscribers.append(changed)

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(reflector.run(), name=f"reflector of {resource} {namespace}")
            for resource, reflectors in self._reflectors.items()
            for namespace, reflector in reflectors.items()
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ready(self) -> None:
        """Waits until each kind was listed or could not be."""
        for reflectors in self._reflectors.values():
            for reflector in reflectors.values():
                await reflector.tried()

    def view(self) -> ClusterView:
        """All that is known now. Does not wait, and changes no more once it is handed out."""
        own = [value for resource in OWN for value in self._ordered(resource)]
        missing = {resource: error for resource in self._reflectors if (error := self._error(resource)) is not None}
        return ClusterView(
            services=tuple(value for value in own if isinstance(value, LLMService)),
            pools=tuple(value for value in own if isinstance(value, GPUPool)),
            profiles=tuple(value for value in own if isinstance(value, RuntimeProfile)),
            model_profiles=tuple(value for value in own if isinstance(value, ModelProfile)),
            policies=tuple(value for value in own if isinstance(value, MedleyPolicy)),
            gpu_types=tuple(value for value in own if isinstance(value, GPUType)),
            namespaces={key.name: seen for key, seen in self._values(NAMESPACES).items()},
            rejected=tuple(value for value in own if isinstance(value, InvalidObject)),
            nodes=self._ordered(NODES),
            pods=self._ordered(PODS),
            children={key: value for child in (*CHILDREN, CONFIG_MAPS) for key, value in self._values(child).items()},
            gateways=self._values(GATEWAYS),
            autoscalers=self._autoscalers(),
            supply=self._supply(known=CLUSTER_QUEUES not in missing),
            missing=missing,
            available=frozenset(self._reflectors.keys() - missing.keys()),
            watched=self._namespaces,
            power=self._power(),
        )

    def _power(self) -> PowerFacts:
        """All that parses; its own controller shows the owner what does not."""
        caps: dict[str, NodeCaps] = {key.name: seen for key, seen in self._values(NODE_POWER_CAPS).items()}
        return PowerFacts(
            domains=tuple(each for each in self._ordered(POWER_DOMAINS) if isinstance(each, PowerDomain)),
            events=tuple(each for each in self._ordered(POWER_EVENTS) if isinstance(each, PowerEvent)),
            caps={name: seen.gpus for name, seen in caps.items()},
            leased_until=leases_by_domain(caps.values()),
        )

    def shown(self) -> tuple[tuple[LLMService, ...], tuple[GPUPool, ...]]:
        """The services and the pools that parse, as they are known now."""
        services, pools = self._ordered(LLM_SERVICES), self._ordered(GPU_POOLS)
        return (
            tuple(value for value in services if isinstance(value, LLMService)),
            tuple(value for value in pools if isinstance(value, GPUPool)),
        )

    def ages(self) -> Mapping[Resource, float]:
        """Seconds since the API server last said anything about a kind, by the kinds that it ever spoke of."""
        found: dict[Resource, float] = {}
        for resource, reflectors in self._reflectors.items():
            ages = [reflector.age_seconds for reflector in reflectors.values()]
            known = [age for age in ages if age is not None]
            if len(known) == len(ages):
                found[resource] = max(known)
        return found

    def put(self, manifest: Manifest) -> None:
        """Takes in what a write returned: `view` shows it now, and no older event of the watch takes it back."""
        reflectors = self._reflectors.get(BY_KIND[manifest["kind"]], {})
        reflector = reflectors.get("") or reflectors.get(manifest["metadata"].get("namespace", ""))
        if reflector is not None:
            reflector.store.put(manifest)

    def _autoscalers(self) -> dict[ObjectKey, Autoscaler]:
        found: dict[ObjectKey, Autoscaler] = {}
        for key, each in (*self._ordered(AUTOSCALERS), *self._ordered(RESIZERS)):
            found[key] = found.get(key, Autoscaler()).beside(each)
        return found

    def _supply(self, *, known: bool) -> Supply:
        """`known`: whether ClusterQueues can be listed."""
        return Supply(
            slices=self._ordered(RESOURCE_SLICES),
            classes=self._ordered(DEVICE_CLASSES),
            claims=self._ordered(RESOURCE_CLAIMS),
            queues={each.name: each for each in self._ordered(CLUSTER_QUEUES)} if known else None,
            node_pools=self._ordered(NODE_POOLS),
        )

    def _ordered(self, resource: Resource) -> tuple[Any, ...]:
        parts = [reflector.store.ordered for reflector in self._reflectors[resource].values()]
        return parts[0] if len(parts) == 1 else tuple(value for part in parts for value in part)

    def _values(self, resource: Resource) -> dict[ObjectKey, Any]:
        parts = (reflector.store.values for reflector in self._reflectors[resource].values())
        return {key: value for part in parts for key, value in part.items()}

    def _error(self, resource: Resource) -> KubeError | None:
        """The error of the first namespace that has one: a kind that is seen in a part of them is not seen."""
        errors = (reflector.error for reflector in self._reflectors[resource].values())
        return next((error for error in errors if error is not None), None)

    def _changed(self, kind: str, key: ObjectKey, old: object, new: object) -> None:
        for changed in self._subscribers:
            changed(kind, key, old, new)
