"""The base of the decorators of the Kubernetes client: every verb passes one of two methods, `_reading` or `_writing`.

A decorator overrides these and cannot forget a verb.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from medley_operator.domain.values.labels import FIELD_MANAGER, STATUS_FIELD_MANAGER, key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.client import NOTHING, KubeClient
from medley_operator.kube.resources import EVENTS

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Write:
    """A write that is about to go out. `verb`: apply, status, delete, annotate or event, as the metrics count them."""

    verb: str
    kind: str
    name: str
    """The object's kind, namespace and name, for messages."""


class Layer:
    """A `KubeClient` round another one, which passes everything on as it is."""

    def __init__(self, inner: KubeClient) -> None:
        self._inner = inner

    async def _reading(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        return await send()

    async def _writing(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """`send` may be called again, or not at all."""
        return await send()

    async def get(self, key: ObjectKey) -> Manifest | None:
        return await self._reading(lambda: self._inner.get(key))

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER, force: bool = True) -> Manifest:
        return await self._writing(
            _write("apply", key_of(manifest)),
            lambda: self._inner.apply(manifest, field_manager=field_manager, force=force),
        )

    async def apply_status(
        self, manifest: Manifest, *, field_manager: str = STATUS_FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        return await self._writing(
            _write("status", key_of(manifest)),
            lambda: self._inner.apply_status(manifest, field_manager=field_manager, force=force),
        )

    async def delete(self, key: ObjectKey, *, uid: str) -> None:
        await self._writing(_write("delete", key), lambda: self._inner.delete(key, uid=uid))

    async def annotate(
        self,
        key: ObjectKey,
        annotations: Mapping[str, str | None],
        *,
        uid: str,
        labels: Mapping[str, str | None] = NOTHING,
    ) -> Manifest:
        return await self._writing(
            _write("annotate", key), lambda: self._inner.annotate(key, annotations, uid=uid, labels=labels)
        )

    async def create_event(self, manifest: Manifest) -> None:
        name = f"Event {manifest['reason']} about {manifest['regarding']['name']}"
        await self._writing(Write("event", EVENTS.kind, name), lambda: self._inner.create_event(manifest))


class Pulse(Layer):
    """Reports each request that ended, well or not: whoever waits for a slow server is not stuck."""

    def __init__(self, inner: KubeClient, *, ended: Callable[[], None]) -> None:
        super().__init__(inner)
        self._ended = ended

    async def _reading(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await send()
        finally:
            self._ended()

    async def _writing(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self._reading(send)


class Noted(Layer):
    """Hands on what each write returned, so that who looks at the cluster in memory sees it at once."""

    def __init__(self, inner: KubeClient, *, put: Callable[[Manifest], None]) -> None:
        super().__init__(inner)
        self._put = put

    async def _writing(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await send()
        if isinstance(answer, dict):
            self._put(answer)
        return answer


def _write(verb: str, key: ObjectKey) -> Write:
    return Write(verb, key.kind, str(key))
