"""What kopf leaves behind when its watches are stopped is not reported; before that it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from medley_operator import handlers
from medley_operator.kube.resources import LLM_SERVICES, OWN


async def fails() -> None:
    raise AssertionError


@pytest.mark.parametrize(("stopping", "told"), [(False, ["asyncio"]), (True, [])])
def test_a_task_that_nobody_awaits_is_told_unless_watches_end(
    stopping: bool, told: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def operator(**_: object) -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if stopping:
            stop.set()
        del task
        gc.collect()

    stop = threading.Event()
    monkeypatch.setattr("kopf.operator", operator)
    watcher = handlers.Watcher(lambda _kind, _at: None)
    asyncio.run(watcher._watch(frozenset(OWN), stop))
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == told


@pytest.fixture
def kopf_loggers() -> Iterator[list[logging.Logger]]:
    """Loggers as `logs.configure` leaves them: each with a separate level."""
    loggers = [logging.getLogger(name) for name in ("kopf", "kopf._core.reactor.running")]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    yield loggers
    for logger in loggers:
        logger.setLevel(logging.NOTSET)


def test_a_closed_watcher_silences_every_logger_of_kopf(kopf_loggers: list[logging.Logger]) -> None:
    handlers.Watcher(lambda _kind, _at: None).close(timeout_seconds=0.1)
    assert not any(logger.isEnabledFor(logging.ERROR) for logger in kopf_loggers)


async def test_our_own_writes_of_statuses_start_no_round() -> None:
    """M4: each write of a status led to a whole round."""
    marked: list[str] = []
    registry = handlers.make_registry(frozenset({LLM_SERVICES}), lambda kind, _at: marked.append(kind))
    (handler,) = registry._watching.get_all_handlers()

    async def event(type_: str | None, **meta: Any) -> int:
        fn: Callable[..., Awaitable[Any]] = cast("Any", handler.fn)
        await fn(type=type_, meta={"uid": "u", "generation": 1, "labels": {"a": "b"}} | meta)
        return len(marked)

    assert await event(None) == 1
    assert await event("MODIFIED", resourceVersion="2", managedFields=[{}]) == 1
    assert await event("MODIFIED", generation=2) == 2
    assert await event("MODIFIED", generation=2, annotations={"medley.dev/x": "y"}) == 3
    assert await event("MODIFIED", generation=2, deletionTimestamp="now") == 4
    assert await event("DELETED", generation=2, deletionTimestamp="now") == 5
    assert await event("ADDED") == 6
    assert await event("ADDED", uid="other") == 7
