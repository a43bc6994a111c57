"""Wiring: makes the parts of the operator, runs them until SIGTERM or SIGINT, and ends them in order.

Nothing is decided here. The end is quick on purpose: every write is complete in itself and the next start looks anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from medley_operator import handlers
from medley_operator.domain.cluster.relevance import bears_on_plans, is_disturbed
from medley_operator.domain.conclude import conclude
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.fleet.actuate import Actuator
from medley_operator.fleet.calibration import Calibrator
from medley_operator.fleet.cluster import ClusterCache
from medley_operator.fleet.debounce import Debounce
from medley_operator.fleet.health import Heartbeat
from medley_operator.fleet.lease import Elector
from medley_operator.fleet.live_page import LivePage
from medley_operator.fleet.loop import FleetLoop, Parts
from medley_operator.fleet.memory import container_limit_bytes, worker_memory_bytes
from medley_operator.fleet.observe import Observer
from medley_operator.fleet.publish import Publisher
from medley_operator.fleet.runtime import answer_while_computing, keep_no_freed_memory
from medley_operator.fleet.tables import CapacityTables
from medley_operator.fleet.what_if import QUESTIONS, Prepares, WhatIfAsker
from medley_operator.fleet.worker import KILL_FACTOR, PLANS, START_TIMEOUT_SECONDS, PlanWorker
from medley_operator.kube.client import KubeClient
from medley_operator.kube.connect import ClientRules, connect
from medley_operator.kube.guards import Unopposed
from medley_operator.kube.layer import Noted
from medley_operator.leading import Work, instance_name, run_leading, timestamp
from medley_operator.metrics.calibration import CalibrationReader
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.credentials import credentials_of
from medley_operator.metrics.exporter import Exporter
from medley_operator.metrics.history import RateHistory
from medley_operator.metrics.observe import MetricsReader
from medley_operator.metrics.prices import PriceReader
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_operator.metrics.season_history import SeasonHistory
from medley_operator.process import listen, place
from medley_operator.settings import Settings
from medley_planner.capacity.cache import TableCache

WATCHER_EXIT_SECONDS = 1.0
CAPACITY_TABLES = "capacityTables"
"""Reason of a round that starts because simulated capacities came in."""


def main(settings: Settings) -> int:
    """Run the operator; returns the exit status."""
    keep_no_freed_memory()
    answer_while_computing()
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    exporter, heartbeat = Exporter(), _heartbeat(settings)
    assemble = partial(_assemble, settings, exporter=exporter, heartbeat=heartbeat)
    facts = {"listening": place(settings), "prometheus": settings.prometheus_url or "none"}
    return await run_leading(settings, assemble, exporter=exporter, heartbeat=heartbeat, facts=facts)


def _heartbeat(settings: Settings) -> Heartbeat:
    return Heartbeat(
        resync_seconds=settings.resync_seconds,
        clock=time.monotonic,
        longest_step_seconds=START_TIMEOUT_SECONDS + KILL_FACTOR * settings.solve_deadline_seconds,
    )


async def _assemble(
    settings: Settings, stack: AsyncExitStack, elector: Elector | None, *, exporter: Exporter, heartbeat: Heartbeat
) -> Work:
    """The work of a leader, with the ends of its parts on the stack. Raises `OSError` where the port is taken."""
    loop = asyncio.get_running_loop()
    page = LivePage(timestamp=lambda: utc_text(time.time())) if settings.ui else None
    listen(settings, stack, exporter.registry, heartbeat, page.served() if page is not None else {})
    rules = ClientRules(leadership=elector or Unopposed(), counter=exporter, ended=heartbeat.progress)
    reader, guarded = await connect(settings, stack, rules, instance=instance_name())
    cluster = ClusterCache(reader, namespaces=settings.watch_namespaces)
    client = Noted(guarded, put=cluster.put)
    prometheus = await _prometheus(settings, stack)
    worker = _worker(settings, stack, target=PLANS)
    await worker.start()

    def from_watcher(kind: str, at: float) -> None:
        handlers.call_in(loop, partial(fleet.mark_dirty, kind, at=at))

    watcher = handlers.Watcher(from_watcher, namespaces=settings.watch_namespaces)
    stack.callback(watcher.close, timeout_seconds=WATCHER_EXIT_SECONDS)

    def publisher() -> Publisher:
        return Publisher(client=client, counter=exporter, instance=instance_name(), timestamp=timestamp)

    observer = _observer(settings, cluster=cluster, client=client, prometheus=prometheus, exporter=exporter)
    actuator = Actuator(viewer=observer, publisher=publisher(), exporter=exporter, heartbeat=heartbeat)
    prepares = partial(prepare, derates=settings.derates, fleet_mode=settings.mode)
    asker = _asker(settings, stack, prepares, page) if page is not None else None
    fleet = FleetLoop(
        Parts(
            observer=observer,
            prepare=prepares,
            solver=worker,
            conclude=conclude,
            publisher=publisher(),
            actuator=actuator,
            exporter=exporter,
            heartbeat=heartbeat,
            on_available=watcher.ensure,
            tables=_tables(settings, stack, changed=lambda: fleet.mark_dirty(CAPACITY_TABLES)),
            on_planned=asker.planned if asker is not None else None,
        ),
        debounce=Debounce(
            idle_seconds=settings.debounce_idle_seconds,
            max_seconds=settings.debounce_max_seconds,
            resync_seconds=settings.resync_seconds,
            started_at=time.monotonic(),
        ),
        deadline_seconds=settings.solve_deadline_seconds,
    )
    cluster.subscribe(partial(_mark, fleet=fleet, actuator=actuator))
    stack.push_async_callback(cluster.close)
    cluster.start()
    if page is not None:
        # Also where this replica does not lead.
        following = asyncio.create_task(page.follow(cluster), name="page")
        stack.callback(following.cancel)
    asking = {"questions": asker.run} if asker is not None else {}
    return partial(_together, {"planner": fleet.run, "actuator": actuator.run, **asking})


def _mark(kind: str, key: ObjectKey, old: object, new: object, *, fleet: FleetLoop, actuator: Actuator) -> None:
    """Everything is the actuator's business; the planner's is what plans rest on."""
    if is_disturbed(old, new):
        actuator.disturb(key)
    actuator.mark()
    if bears_on_plans(kind, old, new):
        fleet.mark_dirty(kind)


async def _together(parts: Mapping[str, Work]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, work in parts.items():
            group.create_task(work(), name=name)


def _asker(settings: Settings, stack: AsyncExitStack, prepares: Prepares, page: LivePage) -> WhatIfAsker:
    """With a process of its own, which is there only while it is asked."""
    worker = _worker(settings, stack, target=QUESTIONS)
    return WhatIfAsker(
        prepare=prepares, worker=worker, told=page.answered, deadline_seconds=settings.solve_deadline_seconds
    )


def _worker(settings: Settings, stack: AsyncExitStack, *, target: str) -> PlanWorker:
    memory = worker_memory_bytes(settings.worker_memory_mib, container_limit_bytes())
    worker = PlanWorker(memory_bytes=memory, target=target)
    stack.push_async_callback(worker.close)
    return worker


def _observer(
    settings: Settings,
    *,
    cluster: ClusterCache,
    client: KubeClient,
    prometheus: Prometheus | None,
    exporter: Exporter,
) -> Observer:
    observer = Observer(cluster=cluster, metrics=None, clock=time.monotonic)
    if prometheus is not None or settings.price_list is not None:
        prices = PriceReader(prometheus, clock=time.monotonic, price_list=settings.price_list)
        observer = replace(observer, prices=prices)
    if prometheus is None:
        return observer
    observer = replace(
        observer,
        metrics=MetricsReader(prometheus=prometheus, gateway_metric=settings.gateway_size_metric),
        history=RateHistory(prometheus=prometheus),
        seasons=SeasonHistory(prometheus=prometheus, clock=time.monotonic),
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
    credentials = credentials_of(settings)
    client = await stack.enter_async_context(http_client(credentials=credentials))
    return Prometheus(
        base_url=settings.prometheus_url,
        client=client,
        credentials=credentials,
        matchers=settings.prometheus_matchers,
    )
