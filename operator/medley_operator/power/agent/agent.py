"""The node agent: follows the NodePowerCap of its node, holds the GPUs to it, and writes its status.

It goes on without the API server, the controller or the fleet operator: its last orders count until the lease ends, and
the safe limits do from then on. A server that does not answer holds up no turn: statuses are written beside them. When
it ends itself, it leaves every limit as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.api.v1alpha1.power import NodePowerCap, NodePowerCapStatus
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.fleet.backoff import delay_seconds
from medley_operator.fleet.parse import parse_object
from medley_operator.fleet.reflector import FollowedKind, Reflector
from medley_operator.kube.client import KubeReader, StatusClient
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import NODE_POWER_CAPS
from medley_operator.metrics.server import Probe
from medley_operator.power.agent.exporter import AgentExporter
from medley_operator.power.agent.keeper import GpuReport
from medley_operator.power.agent.kubelet import LOOK_SECONDS, PodsOfGpus
from medley_operator.power.agent.orders import NO_ORDERS, Moment, orders_of, remembered
from medley_operator.power.agent.report import status_of, worth_writing
from medley_operator.power.agent.turns import GpuTurns

TURN_SECONDS = 1.0
LEAST_REST_SECONDS = 0.05
STUCK_SECONDS = 30.0
AGENT_FIELD_MANAGER = "medley-agent"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """The last status that the API server took."""

    status: NodePowerCapStatus
    at_seconds: float


class NodeAgent:
    """Run `run` as a task, and cancel it to stop. `clock` gives both times of one moment."""

    def __init__(
        self,
        node: str,
        *,
        turns: GpuTurns,
        reader: KubeReader,
        client: StatusClient,
        exporter: AgentExporter,
        pods: PodsOfGpus,
        clock: Callable[[], Moment],
    ) -> None:
        self._node = node
        self._pods = pods
        self._turns = turns
        self._client = client
        self._exporter = exporter
        self._clock = clock
        self._wake = asyncio.Event()
        self._cap: NodePowerCap | None = None
        self._orders = NO_ORDERS
        self._gone = False
        """Whether the object of `_cap` is not there any more."""
        self._written: Written | None = None
        self._writing: asyncio.Task[None] | None = None
        self._failures = 0
        self._write_at = 0.0
        self._turned_at = clock().monotonic_seconds
        kind = FollowedKind(NODE_POWER_CAPS, project=parse_object(NodePowerCap), field_selector=f"metadata.name={node}")
        self._reflector = Reflector(reader, kind, changed=self._changed, clock=lambda: clock().monotonic_seconds)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reflector.run(), name="follow")
            tasks.create_task(self._look_for_pods(), name="pods")
            await self._reflector.tried()
            while True:
                await self._turn(tasks)

    async def _look_for_pods(self) -> None:
        while True:
            await self._pods.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        self._wake.clear()
        reports: list[GpuReport] = []
        if (cap := self._cap) is not None:
            reports = await self._turns.turn(self._orders, remembered(cap, self._clock()))
            self._tell(cap, reports, self._clock(), tasks)
        self._turned_at = self._clock().monotonic_seconds
        due = min((each.verdict.due_seconds for each in reports if each.verdict is not None), default=float("inf"))
        rest = min(TURN_SECONDS, due - self._clock().monotonic_seconds)
        try:
            async with asyncio.timeout(max(rest, LEAST_REST_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _changed(self, kind: str, key: ObjectKey, old: object, new: object) -> None:
        """An object that is gone, or does not parse, leaves the last orders, whose lease ends."""
        if isinstance(new, NodePowerCap):
            if self._cap is None or self._cap.metadata.uid != new.metadata.uid:
                self._written = None  # another object, which has no status of ours
            self._cap, self._orders, self._gone = new, orders_of(new, self._clock()), False
            self._wake.set()
        elif isinstance(new, InvalidObject):
            self._exporter.failed("follow")
            log.error("orders cannot be read", extra={"object": str(key), "error": new.refusal.message})
        elif old is not None:
            self._gone = True
            log.warning("the orders of this node are gone; the last ones count until their lease ends")

    def _tell(self, cap: NodePowerCap, reports: list[GpuReport], now: Moment, tasks: asyncio.TaskGroup) -> None:
        fault = self._turns.fault
        pods = self._pods.by_uuid(report.uuid for report in reports)
        status = status_of(cap, reports, "" if fault is None else fault.message, now, pods)
        self._exporter.show(status, reports, lease_seconds=self._orders.lease_ends_seconds - now.monotonic_seconds)
        before = self._written
        since = now.monotonic_seconds - before.at_seconds if before is not None else float("inf")
        if not self._is_there(cap) or now.monotonic_seconds < self._write_at:
            return
        if self._writing is not None and not self._writing.done():
            return
        if worth_writing(before.status if before is not None else None, status, since_seconds=since):
            self._writing = tasks.create_task(self._write(cap, status, now), name="status")

    def _is_there(self, cap: NodePowerCap) -> bool:
        """Whether this object is still the one that is followed."""
        return not self._gone and self._cap is not None and self._cap.metadata.uid == cap.metadata.uid

    async def _write(self, cap: NodePowerCap, status: NodePowerCapStatus, now: Moment) -> None:
        try:
            await self._client.apply_status(_manifest(cap, status), field_manager=AGENT_FIELD_MANAGER)
        except KubeError as error:
            self._failures += 1
            self._write_at = self._clock().monotonic_seconds + delay_seconds(self._failures)
            self._exporter.failed("status")
            log.warning("the status is not written", extra={"reason": error.reason, "error": error.message})
        else:
            self._failures = 0
            if self._is_there(cap):
                self._written = Written(status, now.monotonic_seconds)
        # What changed meanwhile is not on its way yet.
        self._wake.set()

    def healthy(self) -> Probe:
        """Whether GPUs are looked at; asked from the threads of the metrics server."""
        ago = self._clock().monotonic_seconds - self._turned_at
        return Probe(ago < STUCK_SECONDS, f"GPUs were looked at {ago:.0f} s ago")

    def ready(self) -> Probe:
        """Whether orders are followed and GPUs answer."""
        error, fault = self._reflector.error, self._turns.fault
        if error is not None:
            return Probe(False, f"cannot follow the NodePowerCap {self._node}: {error.message}")
        if fault is not None:
            return Probe(False, fault.message)
        return Probe(True, "there are orders" if self._cap is not None else "no NodePowerCap names this node")


def _manifest(cap: NodePowerCap, status: NodePowerCapStatus) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": NODE_POWER_CAPS.kind,
        "metadata": {"name": cap.metadata.name, "uid": cap.metadata.uid},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
