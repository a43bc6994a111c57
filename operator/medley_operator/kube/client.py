"""The few verbs that Medley needs of a Kubernetes API server, as a protocol over plain JSON values.

Everything outside `kube/` depends on this and on nothing of a client library; tests bring an implementation in memory.
What an operator's parts get is the client of `kube.connect`, whose writes are fenced, gated and limited.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from medley_operator.domain.values.labels import FIELD_MANAGER, STATUS_FIELD_MANAGER
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.resources import Resource

NOTHING: Mapping[str, str | None] = MappingProxyType({})


class WatchType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    """Also an object that the selectors do not choose any more."""
    BOOKMARK = "BOOKMARK"
    """Nothing but the version up to which all has been sent."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch; `manifest` of a bookmark has a kind and a version only."""

    type: WatchType
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. All pages of one list show one moment, `resource_version`."""

    items: list[Manifest]
    resource_version: str


class KubeReader(Protocol):
    """Looks at whole kinds, in one namespace or in all (""). Both raise `KubeError`; `NotFound`: the cluster lacks the
    kind.

    Close the generators (`contextlib.aclosing`) where they are left early: each holds a connection.
    """

    def pages(
        self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
    ) -> AsyncGenerator[Page, None]:
        """All objects as they are at the call or later, never earlier: the server is asked without a version, which
        makes it answer from the present. `EXPIRED` between two pages: begin again."""

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after that version, in order, with bookmarks; the first bookmark only says that the watch is open.

        Ends where the server ends it, after some minutes, and where it is silent for too long; can then go on from the
        last version seen. Raises `Unavailable` where it breaks, and with reason `EXPIRED` where that version is
        forgotten.
        """


class KubeClient(Protocol):
    """Reads and writes of one object. All methods raise `KubeError`; none retries more than a re-login."""

    async def get(self, key: ObjectKey) -> Manifest | None:
        """The object, or None where it is not there."""

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER, force: bool = True) -> Manifest:
        """Server-side apply. With `metadata.uid` in the manifest it only ever changes that very object."""

    async def apply_status(
        self, manifest: Manifest, *, field_manager: str = STATUS_FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        """Server-side apply of the status subresource; `NotFound` where the object is gone."""

    async def delete(self, key: ObjectKey, *, uid: str) -> None:
        """Delete the object in the background; `Conflict` where it has another uid, `NotFound` where it is gone."""

    async def annotate(
        self,
        key: ObjectKey,
        annotations: Mapping[str, str | None],
        *,
        uid: str,
        labels: Mapping[str, str | None] = NOTHING,
    ) -> Manifest:
        """Set annotations and labels of the object, and take away those that are None; `Conflict` where it has another
        uid, `NotFound` where it is gone."""

    async def create_event(self, manifest: Manifest) -> None:
        """Create an Event of events.k8s.io/v1."""


class PersonClient(Protocol):
    """The verbs of commands that a person runs. All methods raise `KubeError`."""

    async def get(self, key: ObjectKey) -> Manifest | None:
        """The object, or None where it is not there."""

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER, force: bool = True) -> Manifest:
        """As `KubeClient.apply`."""

    async def delete(self, key: ObjectKey, *, uid: str) -> None:
        """As `KubeClient.delete`."""

    def pages(self, resource: Resource, *, namespace: str = "") -> AsyncGenerator[Page, None]:
        """All objects of the kind in that namespace."""


class LeaseClient(Protocol):
    """The verbs of leader election: one object, changed by compare-and-swap. All methods raise `KubeError`."""

    async def get(self, key: ObjectKey) -> Manifest | None:
        """The object, or None where it is not there."""

    async def create_lease(self, manifest: Manifest) -> Manifest:
        """Create the Lease; `Conflict` where there is one of that name already."""

    async def replace_lease(self, manifest: Manifest) -> Manifest:
        """Replace the Lease whose `metadata.resourceVersion` is the manifest's; `Conflict` where it has another one."""


class StatusClient(Protocol):
    """The one verb of who only reports. Raises `KubeError`."""

    async def apply_status(
        self, manifest: Manifest, *, field_manager: str = STATUS_FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        """As `KubeClient.apply_status`."""


class WriteCounter(Protocol):
    """Where writes and failures are counted; the exporter in production."""

    def wrote(self, *, kind: str, verb: str) -> None: ...

    def failed(self, component: str) -> None: ...


class WithheldCounter(Protocol):
    """Where writes are counted that the operator's mode keeps back; the exporter in production."""

    def withheld(self, *, kind: str) -> None: ...
