"""kopf's watches of our own kinds. Handlers only mark the fleet dirty: what is there, `fleet.reflector` knows.

kopf runs in a thread with a separate event loop, because it takes over signals and, when it ends, cancels every task of
the loop it runs in. Only event handlers are used, so kopf writes nothing: no annotations, finalizers, peering, Events
or webhooks. Where it ends (an error in a watch ends it by design) it is started again.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import kopf

from medley_operator.fleet.backoff import delay_seconds
from medley_operator.kube.credentials import load_connection
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import OWN, Resource
from medley_operator.logs import silence_kopf

WATCHED = OWN
LOGIN_SECONDS = 300.0
"""Credentials are read anew this often; a ServiceAccount token in a pod always has longer to live."""
WATCH_SECONDS = 300
"""The API server ends a watch after this time, as client-go asks it to, so that load spreads over its replicas."""
EXIT_SECONDS = 1.0
SETTLE_SECONDS = 2.0
"""How long a new kind is given to appear in the API server's discovery."""
CALM_SECONDS = 60.0
"""After a run of this length the next failure counts as the first."""

log = logging.getLogger(__name__)

MarkDirty = Callable[[str, float], None]
"""Called with the kind and the monotonic time of an event, in the watcher's thread."""


def make_registry(resources: frozenset[Resource], mark_dirty: MarkDirty) -> kopf.OperatorRegistry:
    """Event handlers for these kinds, and a login with the client's own credentials."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        connection = await load_connection()
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=connection.ca_path,
            certificate_path=connection.certificate_path,
            private_key_path=connection.private_key_path,
            insecure=connection.insecure,
            scheme=connection.scheme,
            token=connection.token,
            proxy_url=connection.proxy_url,
            trust_env=True,
            expiration=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LOGIN_SECONDS),
        )

    for resource in sorted(resources, key=str):
        _register(registry, resource, mark_dirty)
    return registry


def _register(registry: kopf.OperatorRegistry, resource: Resource, mark_dirty: MarkDirty) -> None:
    known: dict[str, tuple[object, ...]] = {}
    """The part of each object that users write, by uid."""

    @kopf.on.event(
        group=resource.group, version=resource.version, plural=resource.plural, id=str(resource), registry=registry
    )
    async def changed(type: str | None, meta: Mapping[str, Any], **_: Any) -> None:  # noqa: A002 - kopf's convention
        uid = meta.get("uid", "")
        written = tuple(str(meta.get(name)) for name in ("generation", "deletionTimestamp", "labels", "annotations"))
        if type == "DELETED":
            known.pop(uid, None)
        elif known.get(uid) == written:
            # Our own write of its status, most often; it must not lead to the next round.
            return
        else:
            known[uid] = written
        mark_dirty(resource.kind, time.monotonic())


def make_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.queueing.exit_timeout = EXIT_SECONDS / 2
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.connect_timeout = 10.0
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 10.0
    settings.networking.trust_env = True
    return settings


class Watcher:
    """Watches the given kinds, in these namespaces or, without any, in all; `mark_dirty` is called in the watcher's
    thread."""

    def __init__(self, mark_dirty: MarkDirty, *, namespaces: Collection[str] = ()) -> None:
        self._mark_dirty = mark_dirty
        self._namespaces = tuple(namespaces)
        self._watched: frozenset[Resource] = frozenset()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._interrupt: Callable[[], None] = _nothing

    def ensure(self, available: frozenset[Resource]) -> None:
        """Watch these kinds; starts anew where they changed, as when a CRD was missing at first."""
        wanted = available & frozenset(WATCHED)
        if wanted == self._watched:
            return
        self.request_stop()
        grew = bool(self._watched) and not wanted <= self._watched
        self._watched = wanted
        stop = self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(wanted, stop), kwargs={"settle": grew}, name="watcher", daemon=True
        )
        self._thread.start()
        log.info("watching", extra={"kinds": sorted(str(resource) for resource in wanted)})

    def request_stop(self) -> None:
        if self._stop is not None:
            self._stop.set()
            self._interrupt()

    def close(self, *, timeout_seconds: float) -> None:
        """Stop watching and wait for the thread, but not for ever: it holds nothing that needs care."""
        silence_kopf()
        self.request_stop()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self, resources: frozenset[Resource], stop: threading.Event, *, settle: bool) -> None:
        failures = 0
        if settle:
            # A kind that has just been installed is listed before discovery shows it, and kopf asks discovery once.
            stop.wait(SETTLE_SECONDS)
        while not stop.is_set():
            started = time.monotonic()
            try:
                asyncio.run(self._watch(resources, stop))
            except Exception as error:
                if stop.is_set():
                    # Requests under way were cut off; that is what was asked for.
                    log.info("watches stopped", extra={"error": str(error)})
                    return
                failures = 1 if time.monotonic() - started > CALM_SECONDS else failures + 1
                trace = None if isinstance(error, KubeError | kopf.LoginError) else error
                log.error("watches ended", extra={"error": str(error), "failures": failures}, exc_info=trace)
            stop.wait(delay_seconds(failures))
            # What happened while nobody watched is unknown.
            self._mark_dirty("watch-restart", time.monotonic())

    async def _watch(self, resources: frozenset[Resource], stop: threading.Event) -> None:
        stop_flag = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(partial(_tell_unless_stopping, stop))
        self._interrupt = lambda: call_in(loop, stop_flag.set)
        if stop.is_set():
            return
        await kopf.operator(
            registry=make_registry(resources, self._mark_dirty),
            settings=make_settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop_flag,
        )


def _tell_unless_stopping(stop: threading.Event, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """kopf leaves tasks that its end cut off unawaited; how they end is not an error."""
    if not stop.is_set():
        loop.default_exception_handler(context)


def _nothing() -> None:
    """There is no loop to interrupt yet."""


def call_in(loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
    """Have another thread's event loop call `action`; nothing where that loop is closed."""
    try:
        loop.call_soon_threadsafe(action)
    except RuntimeError:  # it has just been closed
        return
