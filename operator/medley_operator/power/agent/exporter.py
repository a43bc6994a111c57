"""The agent's own metrics, in a separate registry, under the names of docs/power.md."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from medley_operator.api.v1alpha1.power import AgentState, GpuState, NodePowerCapStatus
from medley_operator.power.agent.keeper import GpuReport
from medley_operator.power.gpu.protocol import Throttle

GPU = ("gpu",)


class AgentExporter:
    """All methods are cheap and are called from the event loop; scrapes come from another thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._limit = self._gauge("gpu_limit_watts", "Power limit that was set last.")
        self._enforced = self._gauge("gpu_enforced_watts", "Power limit that the board enforces.")
        self._usage = self._gauge("gpu_usage_watts", "Power that the GPU draws.")
        self._lock = self._gauge("gpu_locked_clock_mhz", "Clock that the GPU is locked to; 0: not locked.")
        self._energy = self._gauge("gpu_energy_joules", "Energy since the driver was loaded.")
        self._brake = self._gauge("gpu_power_brake", "1 while the facility's own brake holds the GPU.")
        self._state = self._gauge("gpu_state", "1 for the state that the GPU is in.", ("gpu", "state"))
        self._agent = self._gauge("state", "1 for the state that the agent is in.", ("state",))
        self._lease = self._gauge("lease_seconds", "Seconds until the lease ends; negative: it is over.", ())
        self._changes = Counter("medley_agent_changes", "Changes of GPUs.", registry=self.registry)
        self._failures = Counter(
            "medley_agent_failures", "Failures, by what was tried.", ("component",), registry=self.registry
        )
        for component in ("follow", "status"):
            self._failures.labels(component)
        self._changed: dict[str, float] = {}

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = GPU) -> Gauge:
        return Gauge(f"medley_agent_{name}", text, labels, registry=self.registry)

    def show(self, status: NodePowerCapStatus, reports: Iterable[GpuReport], *, lease_seconds: float) -> None:
        """Shows what the agent holds now. GPUs that are gone are not shown any more."""
        states = {gpu.uuid: gpu.state for gpu in status.gpus}
        for family in (self._limit, self._enforced, self._usage, self._lock, self._energy, self._brake, self._state):
            family.clear()
        for report in reports:
            self._show(report, states[report.uuid])
        for state in AgentState:
            self._agent.labels(state).set(state == status.state)
        self._lease.set(lease_seconds)

    def _show(self, report: GpuReport, state: str) -> None:
        uuid, reading, memory = report.uuid, report.reading, report.memory
        for each in GpuState:
            self._state.labels(uuid, each).set(each == state)
        if memory.changed_seconds > self._changed.get(uuid, memory.changed_seconds):
            self._changes.inc()
        self._changed[uuid] = memory.changed_seconds
        if reading is None:
            return
        figures = (
            (self._limit, reading.limit_watts),
            (self._enforced, reading.enforced_watts),
            (self._usage, reading.usage_watts),
            (self._energy, reading.energy_joules),
        )
        for family, value in figures:
            if value is not None:
                family.labels(uuid).set(value)
        if memory.lock_known:
            self._lock.labels(uuid).set(memory.lock_mhz or 0)
        self._brake.labels(uuid).set(Throttle.POWER_BRAKE in reading.throttle)

    def failed(self, component: str) -> None:
        self._failures.labels(component).inc()
