"""Wiring: makes the parts of the controller of power, runs them until SIGTERM or SIGINT, and ends them in order."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial

from medley_operator.domain.power.controller import PowerController
from medley_operator.domain.power.limits import CapRules
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.lease import Elector
from medley_operator.kube.connect import ClientRules, connect
from medley_operator.kube.guards import Unopposed
from medley_operator.kube.layer import Noted
from medley_operator.leading import Work, instance_name, run_leading, timestamp
from medley_operator.metrics.credentials import credentials_of
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_operator.power.controller.cluster import PowerCluster
from medley_operator.power.controller.exporter import PowerExporter
from medley_operator.power.controller.hooks import Hooks, hook_client
from medley_operator.power.controller.loop import PowerLoop
from medley_operator.power.controller.meters import MeterReader
from medley_operator.power.controller.settings import PowerSettings
from medley_operator.power.controller.writer import PowerWriter
from medley_operator.process import listen


def main(settings: PowerSettings) -> int:
    """Run the controller; returns the exit status."""
    return asyncio.run(_run(settings))


async def _run(settings: PowerSettings) -> int:
    exporter, heartbeat = PowerExporter(), Heartbeat(resync_seconds=settings.period_seconds, clock=time.monotonic)
    assemble = partial(_assemble, settings, exporter=exporter, heartbeat=heartbeat)
    facts = {"prometheus": settings.prometheus_url, "period_seconds": settings.period_seconds}
    return await run_leading(settings, assemble, exporter=exporter, heartbeat=heartbeat, facts=facts)


async def _assemble(
    settings: PowerSettings,
    stack: AsyncExitStack,
    elector: Elector | None,
    *,
    exporter: PowerExporter,
    heartbeat: Heartbeat,
) -> Work:
    """The work of a leader, with the ends of its parts on the stack. Raises `OSError` where the port is taken."""
    listen(settings, stack, exporter.registry, heartbeat)
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
        controller=PowerController(CapRules(instance_name(), settings.cap_lease_seconds, settings.dynamo_annotations)),
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
    credentials = credentials_of(settings)
    client = await stack.enter_async_context(http_client(credentials=credentials))
    return Prometheus(base_url=settings.prometheus_url or "", client=client, credentials=credentials)
