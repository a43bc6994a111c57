"""The metrics of the controller of power, in a separate registry, under the names of docs/power.md."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from medley_operator.api.v1alpha1.power import NodePowerCap
from medley_operator.domain.power.controller import PowerDecision
from medley_operator.domain.power.report import DomainReading
from medley_operator.domain.values.leadtime import unix_seconds
from medley_planner.power import LevelReason

COMPONENTS = ("round", "meter", "apply", "renew", "status", "delete", "event", "hook")
ROUND_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_DOMAIN = {
    "medley_power_level": "Level that the domain is held to; 0 is uncapped.",
    "medley_power_budget_watts": "Budget in force: the domain's own, or what a PowerEvent leaves.",
    "medley_power_watts": "Last reading of the domain's meter that counts.",
    "medley_power_headroom_watts": "Budget in force less the last reading that counts.",
    "medley_power_meter_age_seconds": "Age of the last reading that counts.",
    "medley_power_blind": "1 while the meter is not readable and the domain is at its safe limits.",
    "medley_power_brake": "1 while the software brake holds.",
    "medley_power_refused": "1 while the domain as it is given is refused.",
    "medley_power_gpus_capped": "GPUs of the domain that are held below their default.",
}
_NODE = {
    "medley_power_node_gpus_capped": "GPUs of the node that are to be held below their default.",
    "medley_power_node_lease_age_seconds": "Time since the lease of the node's caps was renewed.",
    "medley_power_node_caps_behind": "1 while the node's agent has not reported the newest caps as in force.",
}


class PowerExporter:
    """All methods are cheap and may be called from the event loop; scrapes come from another thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(name, text, (label,), registry=self.registry)
            for label, table in (("domain", _DOMAIN), ("node", _NODE))
            for name, text in table.items()
        }
        self._shown: dict[tuple[str, str], float] = {}
        self._leader = Gauge(
            "medley_power_leader", "1 while this replica leads, 0 while it follows.", registry=self.registry
        )
        self._round = Histogram(
            "medley_power_round_seconds",
            "Time from the start of a round until its decision.",
            registry=self.registry,
            buckets=ROUND_BUCKETS_SECONDS,
        )
        self._writes = Counter(
            "medley_power_writes_total",
            "Writes to the API server by kind and verb.",
            ("kind", "verb"),
            registry=self.registry,
        )
        self._errors = Counter(
            "medley_power_errors_total", "Errors by component.", ("component",), registry=self.registry
        )
        for component in COMPONENTS:
            self._errors.labels(component)

    def wrote(self, *, kind: str, verb: str) -> None:
        """`verb` is apply, renew, status, delete or event."""
        self._writes.labels(kind, verb).inc()

    def failed(self, component: str) -> None:
        """`component` is one of COMPONENTS."""
        self._errors.labels(component).inc()

    def withheld(self, *, kind: str) -> None:
        """Nothing is kept back: the client of this process has no such mode."""

    def leads(self) -> None:
        self._leader.set(1)

    def round_ended(self, *, seconds: float) -> None:
        self._round.observe(seconds)

    def show(
        self,
        decision: PowerDecision,
        capped_gpus: Mapping[str, int],
        caps: Mapping[str, NodePowerCap],
        *,
        now: float,
    ) -> None:
        """Sets all gauges, and removes the series of what is gone. `now` is Unix time."""
        found: dict[tuple[str, str], float] = {}
        for name, reading in decision.readings.items():
            found |= {(gauge, name): value for gauge, value in _of_domain(reading, now).items()}
        for name, cap in caps.items():
            found["medley_power_node_gpus_capped", name] = float(capped_gpus.get(name, 0))
            renewed = unix_seconds(cap.spec.lease.renew_time)
            if renewed is not None:
                found["medley_power_node_lease_age_seconds", name] = max(now - renewed, 0.0)
            behind = cap.status.observed_revision != cap.spec.revision
            found["medley_power_node_caps_behind", name] = float(behind)
        for (gauge, name), value in found.items():
            if self._shown.get((gauge, name)) != value:
                self._gauges[gauge].labels(name).set(value)
        for gauge, name in self._shown.keys() - found.keys():
            self._gauges[gauge].remove(name)
        self._shown = found


def _of_domain(reading: DomainReading, now: float) -> dict[str, float]:
    state, ladder = reading.state, reading.capped.ladder
    found = {
        "medley_power_level": float(state.level),
        "medley_power_budget_watts": reading.budget_watts,
        "medley_power_blind": float(state.reason is LevelReason.BLIND),
        "medley_power_brake": float(ladder.brake is not None and state.level > ladder.deepest),
        "medley_power_refused": float(reading.refused is not None),
        "medley_power_gpus_capped": float(reading.capped_gpus),
    }
    meter = reading.meter
    if meter is not None:
        found["medley_power_meter_age_seconds"] = max(now - meter.at_seconds, 0.0)
        if not math.isnan(meter.watts):
            found["medley_power_watts"] = meter.watts
            found["medley_power_headroom_watts"] = reading.budget_watts - meter.watts
    return found
