"""The objects of one kind as they were last seen, each as a projection that is much smaller than its manifest.

A value machine without I/O: `fleet.reflector` feeds it lists and watch events, writers feed it what their writes
returned. All that comes in carries a resourceVersion, and what is older than what is known changes nothing. Versions of
one kind compare as integers: the Kubernetes API promises so from 1.35 on, and etcd has numbered them so before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.client import WatchEvent, WatchType
from medley_operator.kube.errors import Unavailable

Value = TypeVar("Value")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreChange(Generic[Value]):
    """A projection that came (`old` None), went (`new` None) or became another."""

    key: ObjectKey
    old: Value | None
    new: Value | None


Listed = dict[ObjectKey, tuple[int, Value]]
"""Version and projection of what a list holds."""


class Store(Generic[Value]):
    """`project` makes a value of a manifest, or None for one that nobody needs. What it raises leaves the object out:
    one object must not keep the others from being seen."""

    def __init__(self, project: Callable[[Manifest], Value | None]) -> None:
        self._project = project
        self._values: dict[ObjectKey, Value] = {}
        self._versions: dict[ObjectKey, int] = {}
        """Those of the values, and of what `put` said to be of no use while the watch has not come as far."""
        self._ordered: tuple[Value, ...] | None = ()
        self.version = 0
        """Lists and watch events up to this version are all in."""

    @property
    def values(self) -> dict[ObjectKey, Value]:
        """A copy."""
        return dict(self._values)

    @property
    def ordered(self) -> tuple[Value, ...]:
        """The values in the order of their keys, as they were when one of them changed last."""
        if self._ordered is None:
            keys = sorted(self._values, key=lambda key: (key.namespace, key.name))
            self._ordered = tuple(self._values[key] for key in keys)
        return self._ordered

    def read(self, items: Iterable[Manifest]) -> Listed[Value]:
        """One page of a list, for `replace`."""
        found = ((key_of(item), version_of(item), self._value(item)) for item in items)
        return {key: (version, value) for key, version, value in found if value is not None}

    def replace(self, listed: Listed[Value], *, version: int) -> list[StoreChange[Value]]:
        """A whole list of that version: what it does not hold is gone, unless it is newer than the list."""
        changes = []
        for key in dict.fromkeys((*self._versions, *listed)):
            known = self._versions.get(key, 0)
            at, value = listed.get(key, (version, None))
            if at >= known and (change := self._set(key, at, value)) is not None:
                changes.append(change)
        self.version = version
        return changes

    def see(self, event: WatchEvent) -> StoreChange[Value] | None:
        """The change that an event of the watch makes, if any."""
        version = version_of(event.manifest)
        self.version = max(self.version, version)
        if event.type is WatchType.BOOKMARK:
            return None
        key = key_of(event.manifest)
        if version < self._versions.get(key, 0):
            return None
        return self._set(key, version, None if event.type is WatchType.DELETED else self._value(event.manifest))

    def put(self, manifest: Manifest) -> None:
        """Takes in what a write returned, so that it is seen before the watch brings it.

        Where the watch has come as far already, it knows better: the object may be gone again.
        """
        version, key = version_of(manifest), key_of(manifest)
        if version <= max(self.version, self._versions.get(key, 0)):
            return
        self._set(key, version, self._value(manifest))
        self._versions[key] = version

    def clear(self) -> list[StoreChange[Value]]:
        """The kind itself is gone."""
        return self.replace({}, version=max([self.version, *self._versions.values()]))

    def _value(self, manifest: Manifest) -> Value | None:
        try:
            return self._project(manifest)
        except Exception:
            log.exception("an object cannot be read and is left out", extra={"object": str(key_of(manifest))})
            return None

    def _set(self, key: ObjectKey, version: int, new: Value | None) -> StoreChange[Value] | None:
        old = self._values.get(key)
        if new is None:
            self._values.pop(key, None)
            self._versions.pop(key, None)
        else:
            self._versions[key] = version
        if new is not None:
            # What it is not compared by, such as when a lease ends, moves on without a change.
            self._values[key] = new
        if old == new:
            return None
        self._ordered = None
        return StoreChange(key, old, new)


def version_of(manifest: Mapping[str, object]) -> int:
    """The resourceVersion as a number. Raises `Unavailable` where there is none."""
    metadata = manifest.get("metadata")
    text = str(metadata.get("resourceVersion", "")) if isinstance(metadata, Mapping) else ""
    if not text.isdecimal():
        raise Unavailable(f'the API server answered with metadata.resourceVersion "{text}", which is not a number')
    return int(text)
