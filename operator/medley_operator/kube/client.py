"""The few verbs that Medley needs of a Kubernetes API server, as a protocol over plain JSON values.

Everything outside `kube/` depends on this and on nothing of a client library; tests bring an implementation in memory.
What an operator's parts get is the client of `kube.connect`, whose writes are fenced, gated and limited.
"""

from __future__ import annotations

from typing import Protocol

from medley_operator.domain.values.labels import FIELD_MANAGER, STATUS_FIELD_MANAGER
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.resources import Resource


class KubeClient(Protocol):
    """All methods raise `KubeError`; none retries more than a re-login."""

    async def list(self, resource: Resource, *, label_selector: str = "") -> list[Manifest]:
        """All objects of the kind in all namespaces, of one moment at or after the call. `NotFound`: no such kind."""

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

    async def create_event(self, manifest: Manifest) -> None:
        """Create an Event of events.k8s.io/v1."""


class LeaseClient(Protocol):
    """The verbs of leader election: one object, changed by compare-and-swap. All methods raise `KubeError`."""

    async def get(self, key: ObjectKey) -> Manifest | None:
        """The object, or None where it is not there."""

    async def create_lease(self, manifest: Manifest) -> Manifest:
        """Create the Lease; `Conflict` where there is one of that name already."""

    async def replace_lease(self, manifest: Manifest) -> Manifest:
        """Replace the Lease whose `metadata.resourceVersion` is the manifest's; `Conflict` where it has another one."""


class WriteCounter(Protocol):
    """Where writes and failures are counted; the exporter in production."""

    def wrote(self, *, kind: str, verb: str) -> None: ...

    def failed(self, component: str) -> None: ...


class WithheldCounter(Protocol):
    """Where writes are counted that the operator's mode keeps back; the exporter in production."""

    def withheld(self, *, kind: str) -> None: ...
