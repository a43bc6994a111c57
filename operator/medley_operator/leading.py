"""Leader election, wired: a process that works only while this replica leads, and ends in order."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from medley_operator.fleet.election import Election, LeaseTimes
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.lease import Elector, LeaseLostError
from medley_operator.kube.connect import connect_for_lease
from medley_operator.process import Until, run_process
from medley_planner.exit_status import ExitStatus

Work = Callable[[], Coroutine[None, None, None]]
"""The work of a leader, which never ends by itself."""

log = logging.getLogger(__name__)


class LeaderSettings(Protocol):
    """The settings of a process that leader election goes by."""

    @property
    def leader_election(self) -> bool: ...

    @property
    def namespace(self) -> str: ...

    @property
    def lease_name(self) -> str: ...

    @property
    def lease_duration_seconds(self) -> int: ...

    @property
    def lease_renew_deadline_seconds(self) -> float: ...

    @property
    def lease_retry_seconds(self) -> float: ...


async def make_elector(
    settings: LeaderSettings, stack: AsyncExitStack, *, on_follow: Callable[[str, str], None]
) -> Elector | None:
    """None without leader election."""
    if not settings.leader_election:
        return None
    times = LeaseTimes(
        duration_seconds=settings.lease_duration_seconds,
        renew_deadline_seconds=settings.lease_renew_deadline_seconds,
        retry_seconds=settings.lease_retry_seconds,
    )
    return Elector(
        # A container that starts again has the same pod name and is another replica all the same.
        Election(f"{instance_name()}_{secrets.token_hex(4)}", times),
        client=await connect_for_lease(stack, instance=instance_name()),
        namespace=settings.namespace,
        name=settings.lease_name,
        timestamp=timestamp,
        on_follow=on_follow,
    )


class Leader(Protocol):
    """The part that shows whether this replica leads."""

    def leads(self) -> None: ...


async def run_leading(
    settings: LeaderSettings,
    assemble: Callable[[AsyncExitStack, Elector | None], Awaitable[Work]],
    *,
    exporter: Leader,
    heartbeat: Heartbeat,
    facts: Mapping[str, object],
) -> int:
    """Run a process that works only while it leads; returns the exit status. `facts` are logged at its start."""

    async def assembled(stack: AsyncExitStack) -> Until:
        elector = await make_elector(settings, stack, on_follow=heartbeat.follow)
        work = await assemble(stack, elector)
        return partial(run, elector, work)

    def begun() -> None:
        heartbeat.lead()
        exporter.leads()

    async def run(elector: Elector | None, work: Work, stop: asyncio.Event) -> int:
        running = asyncio.create_task(lead(elector, work, begun=begun), name="work")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        log.info("started", extra=facts)
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        status = await _end(running, stopping)
        if elector is not None:
            # Nothing is written any more; from now on another replica may act.
            await elector.release()
        return status

    return await run_process(assembled)


async def _end(running: asyncio.Task[None], stopping: asyncio.Task[bool]) -> int:
    """The work ends only when it is stopped or the Lease is lost; any other end is a fault of ours."""
    if running.done():
        stopping.cancel()
        fault = running.exception()
        if isinstance(fault, LeaseLostError):
            log.error("leadership lost", extra={"error": str(fault)})
            return ExitStatus.LEASE_LOST
        log.critical("a loop ended", exc_info=fault)
        return ExitStatus.FAILED
    log.info("stopping")
    running.cancel()
    await asyncio.wait({running})
    return ExitStatus.OK


async def lead(elector: Elector | None, work: Work, *, begun: Callable[[], None]) -> None:
    """Wait until this replica may act, then do the work, which never ends by itself.

    Raises `LeaseLostError` where it may not act any more, and what the work raises.
    """
    if elector is not None:
        await elector.acquire()
    begun()
    tasks = {asyncio.create_task(work(), name="work")}
    if elector is not None:
        tasks.add(asyncio.create_task(elector.keep(), name="lease"))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def instance_name() -> str:
    """The name of this process in Events, in the Lease and in the audit log: the pod's."""
    return os.environ.get("HOSTNAME") or socket.gethostname()


def timestamp() -> str:
    """RFC 3339 in UTC with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
