"""The state of the cluster at one moment as the fleet knows it, as values; and the one way it learns of it.

The simulation sees only these values, so that a test can give it any cluster without an API server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Key(NamedTuple):
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class EnginePod:
    """An engine pod that is bound to a node. `ready`: Running, Ready and not being deleted."""

    key: Key
    labels: Mapping[str, str]
    service: str
    variant: str
    pool: str
    gpu: str
    """GPU type by the node's label, "" where the node has none."""
    args: tuple[str, ...]
    ready: bool
    terminating: bool
    grace_seconds: float
    """terminationGracePeriodSeconds: how long requests may drain once the pod is deleted."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One weighted backend of a route: the name of a Service in the route's namespace."""

    service: str
    weight: int


@dataclass(frozen=True, slots=True)
class Route:
    """The HTTPRoute of the service of the same name. `accepted`: a gateway has taken it."""

    key: Key
    accepted: bool
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Engine pods, selectors of the Services, routes; and config.json by LLMService where its object carries one."""

    pods: Mapping[Key, EnginePod] = field(default_factory=dict)
    selectors: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    routes: Mapping[Key, Route] = field(default_factory=dict)
    model_configs: Mapping[Key, str] = field(default_factory=dict)


class ClusterUnavailable(Exception):
    """The cluster could not be read; the fleet goes on with what it knew."""


class ClusterView(Protocol):
    """Where the state comes from."""

    async def read(self) -> ClusterState:
        """The state now. Raises `ClusterUnavailable`."""
        ...
