"""Hooks out: what happened, as CloudEvents by HTTP POST to addresses of the settings. Signed, and never redirected.

Each address has a queue and a sender of its own, so that one that does not answer delays no other, and never a round.
An event is sent until it is accepted (any 2xx), with longer pauses, for some minutes; its id is the same each time, by
which a receiver knows what it has. Equal events within a minute, as after a change of leader, have the same id and are
sent once.

The signature is that of https://www.standardwebhooks.com: HMAC-SHA256 over "id.timestamp.body".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from medley_operator.domain.power.tell import Notice

SOURCE = "/medley/power"
TYPE_PREFIX = "dev.medley.power."
TIMEOUT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
TRIES = 10
"""Some three minutes. Later than that, an event about power misleads."""
MOST_WAITING = 256
SAME_SECONDS = 60.0
REMEMBERED = 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HookEvent:
    """A CloudEvent in its JSON form."""

    id: str
    body: bytes


def hook_event(notice: Notice, *, at: float, timestamp: str) -> HookEvent:
    """`at` is Unix time. The id follows from what happened, to what, and in which minute."""
    facts = dict(notice.facts)
    word = json.dumps([notice.kind.value, str(notice.about), notice.uid, facts.get("level"), facts.get("phase")])
    digest = hashlib.sha256(f"{word}@{int(at // SAME_SECONDS)}".encode()).hexdigest()[:32]
    body = {
        "specversion": "1.0",
        "id": digest,
        "source": SOURCE,
        "type": TYPE_PREFIX + notice.kind.value,
        "subject": f"{notice.about.kind}/{notice.about.name}",
        "time": timestamp,
        "datacontenttype": "application/json",
        "data": facts | {"message": notice.message},
    }
    return HookEvent(digest, json.dumps(body, separators=(",", ":")).encode())


def signature(key: bytes, event: HookEvent, *, timestamp: int) -> str:
    """The value of the header webhook-signature."""
    signed = f"{event.id}.{timestamp}.".encode() + event.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def hook_client() -> httpx.AsyncClient:
    """The client to inject: nothing from the environment, no redirects."""
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMEOUT_SECONDS)


@dataclass(slots=True)
class Hooks:
    """`send` in each round, `start` before and `close` after. `wall` is Unix time. `failed` counts what is given up."""

    urls: tuple[str, ...]
    hosts: tuple[str, ...]
    secret_file: Path | None
    client: httpx.AsyncClient
    wall: Callable[[], float]
    timestamp: Callable[[], str]
    failed: Callable[[], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _queues: dict[str, asyncio.Queue[HookEvent]] = field(default_factory=dict, init=False)
    _sent: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    def start(self) -> None:
        self._queues = {url: asyncio.Queue(MOST_WAITING) for url in self.urls if _host(url) in self.hosts}
        self._tasks = [asyncio.create_task(self._run(url, queue)) for url, queue in self._queues.items()]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, notice: Notice) -> None:
        """Puts it in the queues; does not wait. Where one is full, the oldest goes."""
        event = hook_event(notice, at=self.wall(), timestamp=self.timestamp())
        if event.id in self._sent:
            return
        self._sent[event.id] = None
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        for queue in self._queues.values():
            if queue.full():
                queue.get_nowait()
                self.failed()
            queue.put_nowait(event)

    async def _run(self, url: str, queue: asyncio.Queue[HookEvent]) -> None:
        while True:
            event = await queue.get()
            if not await self._deliver(url, event):
                self.failed()

    async def _deliver(self, url: str, event: HookEvent) -> bool:
        """Whether it was accepted in the end."""
        pause, why = FIRST_PAUSE_SECONDS, ""
        for number in range(TRIES):
            if number:
                await self.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            try:
                answer = await self.client.post(url, content=event.body, headers=self._headers(event))
            except (httpx.HTTPError, OSError) as error:
                why = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success:
                return True
            why = f"HTTP {answer.status_code}"
            if 400 <= answer.status_code < 500 and answer.status_code not in (408, 409, 425, 429):
                break
            if answer.is_redirect:
                why += ", a redirect, which is not followed; name the address that it leads to"
                break
        log.warning("hook not delivered", extra={"host": _host(url), "event": event.id, "error": why})
        return False

    def _headers(self, event: HookEvent) -> dict[str, str]:
        """Raises `OSError` where the key cannot be read; it is read each time, since it may change."""
        at = int(self.wall())
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": event.id,
            "webhook-timestamp": str(at),
        }
        if self.secret_file is not None:
            headers["webhook-signature"] = signature(self.secret_file.read_bytes().strip(), event, timestamp=at)
        return headers


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
