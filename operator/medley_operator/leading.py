"""Leader election, wired: makes this replica's side of it, and runs the work only while this replica leads."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Protocol

from medley_operator.fleet.election import Election, LeaseTimes
from medley_operator.fleet.lease import Elector
from medley_operator.kube.connect import connect_for_lease


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


async def lead(
    elector: Elector | None, work: Callable[[], Coroutine[None, None, None]], *, begun: Callable[[], None]
) -> None:
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
