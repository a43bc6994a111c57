"""Wiring: makes the parts of the controller of power, runs them until SIGTERM or SIGINT, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

from medley_operator.domain.power.controller import PowerController
from medley_operator.domain.power.limits import CapRules
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.lease import Elector, LeaseLostError
from medley_operator.kube.connect import ClientRules, connect
from medley_operator.kube.credentials import load_configuration
from medley_operator.kube.errors import KubeError
from medley_operator.kube.guards import Unopposed
from medley_operator.kube.layer import Noted
from medley_operator.leading import instance_name, lead, make_elector, timestamp
from medley_operator.metrics.credentials import Credentials
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_operator.metrics.server import MetricsServer
from medley_operator.power.controller.cluster import PowerCluster
from medley_operator.power.controller.exporter import PowerExporter
from medley_operator.power.controller.hooks import Hooks, hook_client
from medley_operator.power.controller.loop import PowerLoop
from medley_operator.power.controller.meters import MeterReader
from medley_operator.power.controller.settings import PowerSettings
from medley_operator.power.controller.writer import PowerWriter
from medley_planner.exit_status import ExitStatus

log = logging.getLogger(__name__)


def main(settings: PowerSettings) -> int:
    """Run the controller; returns the exit status."""
    return asyncio.run(_run(settings))


async def _run(settings: PowerSettings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await load_configuration()
    except KubeError as error:
        log.error("cannot start", extra={"reason": error.reason, "error": error.message})
        return ExitStatus.BAD_INPUT
    async with AsyncExitStack() as stack:
        exporter = PowerExporter()
        heartbeat = Heartbeat(resync_seconds=settings.period_seconds, clock=time.monotonic)
        elector = await make_elector(settings, stack, on_follow=heartbeat.follow)
        try:
            work = await _assemble(settings, stack, elector, exporter=exporter, heartbeat=heartbeat)
        except OSError as error:
            place = f"{settings.bind_address}:{settings.port}"
            log.error("cannot start", extra={"error": f"cannot listen on {place}: {error}; set --port"})
            return ExitStatus.BAD_INPUT

        def begun() -> None:
            heartbeat.lead()
            exporter.leads()

        running = asyncio.create_task(lead(elector, work, begun=begun), name="work")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        log.info("started", extra={"prometheus": settings.prometheus_url, "period_seconds": settings.period_seconds})
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        status = await _end(running, stopping)
        if elector is not None:
            await elector.release()
        return status


async def _assemble(
    settings: PowerSettings,
    stack: AsyncExitStack,
    elector: Elector | None,
    *,
    exporter: PowerExporter,
    heartbeat: Heartbeat,
) -> Callable[[], Coroutine[None, None, None]]:
    """The work of a leader, with the ends of its parts on the stack. Raises `OSError` where the port is taken."""
    server = MetricsServer(
        address=settings.bind_address,
        port=settings.port,
        registry=exporter.registry,
        healthy=heartbeat.healthy,
        ready=heartbeat.ready,
    )
    server.start()
    stack.callback(server.stop)
    rules = ClientRules(leadership=elector or Unopposed(), counter=exporter, ended=heartbeat.progress)
    reader, guarded = await connect(settings, stack, rules, instance=instance_name())
    cluster = PowerCluster(reader)
    stack.push_async_callback(cluster.close)
    # Also while it follows, so that it can act at once when it leads.
    cluster.start()
    hooks = await _hooks(settings, stack, exporter)
    loop = PowerLoop(
        cluster=cluster,
        meters=MeterReader(
            await _prometheus(settings, stack), settings.period_seconds, time.time, settings.prometheus_matchers
        ),
        controller=PowerController(CapRules(instance_name(), settings.cap_lease_seconds)),
        writer=PowerWriter(Noted(guarded, put=cluster.put), exporter, instance_name(), timestamp, time.monotonic),
        exporter=exporter,
        heartbeat=heartbeat,
        hook=hooks.send,
        period_seconds=settings.period_seconds,
        wall=time.time,
        clock=time.monotonic,
    )
    return loop.run


async def _hooks(settings: PowerSettings, stack: AsyncExitStack, exporter: PowerExporter) -> Hooks:
    client = await stack.enter_async_context(hook_client())
    hooks = Hooks(
        urls=settings.hook_urls,
        hosts=settings.hook_hosts,
        secret_file=settings.hook_secret_file,
        client=client,
        wall=time.time,
        timestamp=timestamp,
        failed=lambda: exporter.failed("hook"),
    )
    stack.push_async_callback(hooks.close)
    hooks.start()
    return hooks


async def _prometheus(settings: PowerSettings, stack: AsyncExitStack) -> Prometheus:
    credentials = Credentials(
        bearer_token_file=settings.prometheus_bearer_token_file,
        username=settings.prometheus_username,
        password_file=settings.prometheus_password_file,
        ca_file=settings.prometheus_ca_file,
        tenant=settings.prometheus_tenant,
    )
    client = await stack.enter_async_context(http_client(credentials=credentials))
    return Prometheus(base_url=settings.prometheus_url or "", client=client, credentials=credentials)


async def _end(running: asyncio.Task[None], stopping: asyncio.Task[bool]) -> int:
    """The loop ends only when it is stopped or the Lease is lost; any other end is a fault of ours."""
    if running.done():
        stopping.cancel()
        fault = running.exception()
        if isinstance(fault, LeaseLostError):
            log.error("leadership lost", extra={"error": str(fault)})
            return ExitStatus.LEASE_LOST
        log.critical("the loop ended", exc_info=fault)
        return ExitStatus.FAILED
    log.info("stopping")
    running.cancel()
    await asyncio.wait({running})
    return ExitStatus.OK
