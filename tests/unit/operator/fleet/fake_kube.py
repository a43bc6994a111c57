"""A `KubeClient` in memory for tests of the fleet loop: keeps objects, numbers their versions, and fails on demand."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from medley_operator.domain.values.labels import FIELD_MANAGER, STATUS_FIELD_MANAGER, key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.client import NOTHING, Page, WatchEvent
from medley_operator.kube.errors import Conflict, KubeError, NotFound
from medley_operator.kube.resources import BY_KIND, GATEWAY_API, Resource

Calls = list[tuple[str, str]]


@dataclass
class FakeKubeClient:
    """`missing` kinds answer NotFound; `failing[(verb, name)]` is raised instead of an answer."""

    objects: dict[ObjectKey, Manifest] = field(default_factory=dict)
    missing: set[Resource] = field(default_factory=lambda: set(GATEWAY_API))
    failing: dict[tuple[str, str], KubeError] = field(default_factory=dict)
    calls: Calls = field(default_factory=list)
    events: list[Manifest] = field(default_factory=list)
    _uids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, manifest: Manifest) -> Manifest:
        """An object that is there before the test acts."""
        stored = copy.deepcopy(manifest)
        stored["metadata"].setdefault("uid", f"uid-{next(self._uids)}")
        stored["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[key_of(stored)] = stored
        return stored

    def writes(self) -> Calls:
        return [call for call in self.calls if call[0] not in ("list", "get")]

    async def pages(
        self, resource: Resource, *, label_selector: str = "", field_selector: str = ""
    ) -> AsyncGenerator[Page, None]:
        self._call("list", resource.plural)
        if resource in self.missing:
            raise NotFound(f"no {resource}")
        name, _, value = label_selector.partition("=")
        items = [
            copy.deepcopy(manifest)
            for key, manifest in sorted(self.objects.items())
            if BY_KIND[key.kind] == resource and (not name or manifest["metadata"].get("labels", {}).get(name) == value)
        ]
        yield Page(items, str(next(self._versions)))

    async def watch(
        self, resource: Resource, *, resource_version: str, label_selector: str = "", field_selector: str = ""
    ) -> AsyncGenerator[WatchEvent, None]:
        """Nothing ever happens."""
        await asyncio.Event().wait()
        never: tuple[WatchEvent, ...] = ()
        for event in never:
            yield event

    async def get(self, key: ObjectKey) -> Manifest | None:
        self._call("get", key.name)
        return copy.deepcopy(self.objects.get(key))

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER, force: bool = True) -> Manifest:
        key = key_of(manifest)
        self._call("apply", f"{key.kind} {key.name}")
        there = self.objects.get(key)
        uid = manifest["metadata"].get("uid")
        if uid is not None and (there is None or there["metadata"]["uid"] != uid):
            raise Conflict(f"uid mismatch of {key}")
        kept = {"uid": there["metadata"]["uid"]} if there else {}
        return self.put(manifest | {"metadata": manifest["metadata"] | kept})

    async def apply_status(
        self, manifest: Manifest, *, field_manager: str = STATUS_FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        key = key_of(manifest)
        self._call("status", key.name)
        there = self.objects.get(key)
        if there is None:
            raise NotFound(f"{key} not found")
        there["status"] = copy.deepcopy(manifest["status"])
        return there

    async def delete(self, key: ObjectKey, *, uid: str) -> None:
        self._call("delete", f"{key.kind} {key.name}")
        there = self.objects.get(key)
        if there is None:
            raise NotFound(f"{key} not found")
        if there["metadata"]["uid"] != uid:
            raise Conflict(f"uid mismatch of {key}")
        del self.objects[key]

    async def annotate(
        self,
        key: ObjectKey,
        annotations: Mapping[str, str | None],
        *,
        uid: str,
        labels: Mapping[str, str | None] = NOTHING,
    ) -> Manifest:
        self._call("annotate", f"{key.kind} {key.name}")
        there = self.objects.get(key)
        if there is None:
            raise NotFound(f"{key} not found")
        if there["metadata"]["uid"] != uid:
            raise Conflict(f"uid mismatch of {key}")
        changed = {}
        for name, given in (("annotations", annotations), ("labels", labels)):
            merged = {**there["metadata"].get(name, {}), **given}
            changed[name] = {each: text for each, text in merged.items() if text is not None}
        return self.put(there | {"metadata": there["metadata"] | changed})

    async def create_event(self, manifest: Manifest) -> None:
        self._call("event", manifest["reason"])
        self.events.append(manifest)

    def _call(self, verb: str, name: str) -> None:
        self.calls.append((verb, name))
        error = self.failing.get((verb, name))
        if error is not None:
            raise error
