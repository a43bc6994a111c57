"""Wiring: makes the parts of the operator, runs them until SIGTERM or SIGINT, and ends them in order.

Nothing is decided here. The end is quick on purpose: every write is complete in itself and the next start looks anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from medley_operator import handlers
from medley_operator.domain.decide import decide
from medley_operator.domain.prepare import prepare
from medley_operator.fleet.calibration import Calibrator
from medley_operator.fleet.debounce import Debounce
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.loop import FleetLoop, Parts
from medley_operator.fleet.observe import Observer
from medley_operator.fleet.publish import Publisher
from medley_operator.fleet.startups import StartupWatch
from medley_operator.fleet.tables import CapacityTables
from medley_operator.fleet.worker import PlanWorker
from medley_operator.kube.credentials import load_configuration
from medley_operator.kube.errors import KubeError
from medley_operator.kube.official import OfficialKubeClient
from medley_operator.metrics.calibration import CalibrationReader
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.credentials import Credentials
from medley_operator.metrics.exporter import Exporter
from medley_operator.metrics.history import RateHistory
from medley_operator.metrics.observe import MetricsReader
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_operator.metrics.server import MetricsServer
from medley_operator.settings import Settings
from medley_planner.capacity.cache import TableCache
from medley_planner.exit_status import ExitStatus

WATCHER_EXIT_SECONDS = 1.0
CAPACITY_TABLES = "capacityTables"
"""Reason of a round that starts because simulated capacities came in."""

log = logging.getLogger(__name__)


def main(settings: Settings) -> int:
    """Run the operator; returns the exit status."""
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await load_configuration()
    except KubeError as error:
        log.error("cannot start", extra={"reason": error.reason, "error": error.message})
        return ExitStatus.BAD_INPUT
    async with AsyncExitStack() as stack:
        try:
            fleet = await _assemble(settings, stack)
        except OSError as error:
            log.error("cannot start", extra={"error": f"cannot listen on {_place(settings)}: {error}; set --port"})
            return ExitStatus.BAD_INPUT
        running = asyncio.create_task(fleet.run(), name="fleet loop")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        log.info("started", extra={"listening": _place(settings), "prometheus": settings.prometheus_url or "none"})
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await _end(running, stopping)


async def _assemble(settings: Settings, stack: AsyncExitStack) -> FleetLoop:
    """The parts, with their ends on the stack. Raises `OSError` where the port is taken."""
    loop = asyncio.get_running_loop()
    exporter = Exporter()
    heartbeat = Heartbeat(resync_seconds=settings.resync_seconds, clock=time.monotonic)
    server = MetricsServer(
        address=settings.bind_address,
        port=settings.port,
        registry=exporter.registry,
        healthy=heartbeat.healthy,
        ready=heartbeat.ready,
    )
    server.start()
    stack.callback(server.stop)
    client = await stack.enter_async_context(OfficialKubeClient())
    prometheus = await _prometheus(settings, stack)
    worker = PlanWorker()
    stack.push_async_callback(worker.close)
    await worker.start()

    def from_watcher(kind: str, at: float) -> None:
        handlers.call_in(loop, partial(fleet.mark_dirty, kind, at=at))

    watcher = handlers.Watcher(from_watcher)
    stack.callback(watcher.close, timeout_seconds=WATCHER_EXIT_SECONDS)
    publisher = Publisher(
        client=client,
        counter=exporter,
        instance=os.environ.get("HOSTNAME") or socket.gethostname(),
        timestamp=_timestamp,
    )
    fleet = FleetLoop(
        Parts(
            observer=_observer(settings, client=client, prometheus=prometheus, exporter=exporter),
            prepare=partial(prepare, derates=settings.derates),
            solver=worker,
            decide=decide,
            publisher=publisher,
            exporter=exporter,
            heartbeat=heartbeat,
            on_available=watcher.ensure,
            tables=_tables(settings, stack, changed=lambda: fleet.mark_dirty(CAPACITY_TABLES)),
        ),
        debounce=Debounce(
            idle_seconds=settings.debounce_idle_seconds,
            max_seconds=settings.debounce_max_seconds,
            resync_seconds=settings.resync_seconds,
            started_at=time.monotonic(),
        ),
        deadline_seconds=settings.solve_deadline_seconds,
    )
    return fleet


def _observer(
    settings: Settings, *, client: OfficialKubeClient, prometheus: Prometheus | None, exporter: Exporter
) -> Observer:
    observer = Observer(client=client, metrics=None, clock=time.monotonic, startups=StartupWatch(client))
    if prometheus is None:
        return observer
    observer = replace(
        observer,
        metrics=MetricsReader(prometheus=prometheus, gateway_metric=settings.gateway_size_metric),
        history=RateHistory(prometheus=prometheus),
    )
    if not settings.calibration:
        return observer
    calibration = Calibrator(
        source=CalibrationReader(prometheus=prometheus),
        client=client,
        counter=exporter,
        exporter=CalibrationExporter(exporter.registry),
        window_seconds=round(settings.calibration_window_seconds),
        namespace=settings.namespace,
        clock=time.monotonic,
    )
    return replace(observer, calibration=calibration)


def _tables(settings: Settings, stack: AsyncExitStack, *, changed: Callable[[], None]) -> CapacityTables | None:
    if settings.capacity_cache_dir is None:
        return None
    tables = CapacityTables(TableCache(settings.capacity_cache_dir), changed=changed)
    stack.push_async_callback(tables.close)
    tables.start()
    return tables


async def _prometheus(settings: Settings, stack: AsyncExitStack) -> Prometheus | None:
    if settings.prometheus_url is None:
        return None
    credentials = Credentials(
        bearer_token_file=settings.prometheus_bearer_token_file,
        username=settings.prometheus_username,
        password_file=settings.prometheus_password_file,
        ca_file=settings.prometheus_ca_file,
        tenant=settings.prometheus_tenant,
    )
    client = await stack.enter_async_context(http_client(credentials=credentials))
    return Prometheus(
        base_url=settings.prometheus_url,
        client=client,
        credentials=credentials,
        matchers=settings.prometheus_matchers,
    )


async def _end(running: asyncio.Task[None], stopping: asyncio.Task[bool]) -> int:
    """The loop ends only when it is stopped; any other end is a fault of ours."""
    if running.done():
        stopping.cancel()
        log.critical("the fleet loop ended", exc_info=running.exception())
        return ExitStatus.FAILED
    log.info("stopping")
    running.cancel()
    await asyncio.wait({running})
    return ExitStatus.OK


def _place(settings: Settings) -> str:
    return f"{settings.bind_address}:{settings.port}"


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
