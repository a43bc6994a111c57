"""A process that runs until SIGTERM or SIGINT: the operator, the controller of power, a node's agent."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Protocol

from prometheus_client import CollectorRegistry

from medley_operator.kube.credentials import load_configuration
from medley_operator.kube.errors import KubeError
from medley_operator.metrics.server import MetricsServer, Probe, ServedPage
from medley_planner.exit_status import ExitStatus

Until = Callable[[asyncio.Event], Awaitable[int]]
"""Works until that event, or until it cannot; returns the exit status."""

log = logging.getLogger(__name__)


class ListenSettings(Protocol):
    """The settings of a process that say where it shows its metrics."""

    @property
    def bind_address(self) -> str: ...

    @property
    def port(self) -> int: ...


class Probed(Protocol):
    """The part that knows how the process does; asked from other threads."""

    def healthy(self) -> Probe: ...

    def ready(self) -> Probe: ...


async def run_process(assemble: Callable[[AsyncExitStack], Awaitable[Until]]) -> int:
    """Makes the parts, with their ends on the stack, and runs them; returns the exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await load_configuration()
    except KubeError as error:
        log.error("cannot start", extra={"reason": error.reason, "error": error.message})
        return ExitStatus.BAD_INPUT
    async with AsyncExitStack() as stack:
        try:
            work = await assemble(stack)
        except OSError as error:
            log.error("cannot start", extra={"error": str(error)})
            return ExitStatus.BAD_INPUT
        return await work(stop)


def listen(
    settings: ListenSettings,
    stack: AsyncExitStack,
    registry: CollectorRegistry,
    probed: Probed,
    pages: Mapping[str, Callable[[], ServedPage]] = MappingProxyType({}),
) -> None:
    """Serves /metrics, /healthz, /readyz and `pages` until the stack ends. Raises `OSError` where the port is taken."""
    try:
        server = MetricsServer(
            address=settings.bind_address,
            port=settings.port,
            registry=registry,
            healthy=probed.healthy,
            ready=probed.ready,
            pages=pages,
        )
    except OSError as error:
        raise OSError(f"cannot listen on {place(settings)}: {error}; set --port") from error
    server.start()
    stack.callback(server.stop)


def place(settings: ListenSettings) -> str:
    return f"{settings.bind_address}:{settings.port}"
