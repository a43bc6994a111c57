"""The operator's own metrics, in a separate registry, under the names of docs/reference.md.

The loop reports what happened; this module computes nothing. What a round decides comes as samples of the gauges that
`domain.report.gauges` lists; series of what is gone are removed, so that a dashboard never shows a ghost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from medley_operator.domain.report.gauges import GAUGES
from medley_operator.domain.values.gauges import GaugeSample
from medley_operator.domain.values.service_key import ServiceKey

COMPONENTS = ("observe", "metrics", "plan", "act", "apply", "status", "event", "object")
SOLVE_BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
START_BUCKETS_SECONDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class RoundOutcome(StrEnum):
    PLANNED = "planned"
    HELD = "held"
    """There was no plan to act on; what runs was kept."""
    FAILED = "failed"


class Exporter:
    """All methods are cheap and may be called from the event loop; scrapes come from another thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        gauge = self._gauge
        self._shown = {family.name: gauge(family.name, family.help, family.labels) for family in GAUGES}
        self._stays = frozenset(family.name for family in GAUGES if family.stays)
        self._series: dict[tuple[str, tuple[str, ...]], float | None] = {}
        self._gap = gauge(
            "medley_plan_gap_ratio", "Proven gap between the cost of the last fleet plan and its lower bound.", ()
        )
        self._last_success = gauge(
            "medley_plan_last_success_timestamp_seconds", "Unix time of the last verified plan.", ()
        )
        self._tables_missing = gauge(
            "medley_capacity_tables_missing",
            "Simulated capacity tables that plans still lack (running or failed).",
            (),
        )
        self._solve_seconds = Histogram(
            "medley_plan_solve_seconds",
            "Time from sending a problem to the planning process to its answer.",
            registry=self.registry,
            buckets=SOLVE_BUCKETS_SECONDS,
        )
        self._start_seconds = Histogram(
            "medley_event_to_plan_start_seconds",
            "Time from the first event of a round to the start of its plan.",
            registry=self.registry,
            buckets=START_BUCKETS_SECONDS,
        )
        self._act_seconds = Histogram(
            "medley_event_to_write_seconds",
            "Time from the first event that a pass of the actuator answers to its first write.",
            registry=self.registry,
            buckets=START_BUCKETS_SECONDS,
        )
        self._rounds = Counter("medley_rounds_total", "Rounds by outcome.", ("outcome",), registry=self.registry)
        self._writes = Counter(
            "medley_writes_total",
            "Writes to the API server by kind and verb.",
            ("kind", "verb"),
            registry=self.registry,
        )
        self._withheld = Counter(
            "medley_withheld_writes_total",
            "Writes of children that the operator's mode kept back, by kind.",
            ("kind",),
            registry=self.registry,
        )
        self._leader = gauge("medley_leader", "1 while this replica leads and acts, 0 while it follows.", ())
        self._errors = Counter("medley_errors_total", "Errors by component.", ("component",), registry=self.registry)
        self._service_errors = Counter(
            "medley_service_errors_total",
            "Rounds and passes in which Medley itself failed on a service and left it as it is.",
            ("namespace", "service"),
            registry=self.registry,
        )
        self._failing: set[ServiceKey] = set()
        for outcome in RoundOutcome:
            self._rounds.labels(outcome.value)
        for component in COMPONENTS:
            self._errors.labels(component)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def wrote(self, *, kind: str, verb: str) -> None:
        """`verb` is apply, delete, status, annotate or event."""
        self._writes.labels(kind, verb).inc()

    def failed(self, component: str) -> None:
        """`component` is one of COMPONENTS."""
        self._errors.labels(component).inc()

    def withheld(self, *, kind: str) -> None:
        self._withheld.labels(kind).inc()

    def leads(self) -> None:
        self._leader.set(1)

    def service_failed(self, service: ServiceKey) -> None:
        """Medley itself failed on it in this round or pass."""
        self._failing.add(service)
        self._service_errors.labels(*service).inc()

    def services_are(self, services: Collection[ServiceKey]) -> None:
        """Series of services that are gone are removed, since a tenant can make any number of names."""
        for gone in self._failing - set(services):
            self._service_errors.remove(*gone)
            self._failing.discard(gone)

    def round_ended(self, outcome: RoundOutcome) -> None:
        self._rounds.labels(outcome.value).inc()

    def plan_started(self, *, seconds_since_event: float) -> None:
        self._start_seconds.observe(seconds_since_event)

    def acting(self, *, seconds_since_event: float) -> None:
        self._act_seconds.observe(seconds_since_event)

    def tables_missing(self, count: int) -> None:
        """As the last round found it."""
        self._tables_missing.set(count)

    def planned(self, *, solve_seconds: float, gap: float, at: float) -> None:
        """A verified plan came back; `at` is Unix time."""
        self._solve_seconds.observe(solve_seconds)
        self._gap.set(gap)
        self._last_success.set(at)

    def show(self, samples: Iterable[GaugeSample]) -> None:
        """Set all gauges of one pass, and remove the series that are not among them, but for those that stay."""
        series: dict[tuple[str, tuple[str, ...]], float | None] = {}
        for sample in samples:
            key = (sample.name, sample.labels)
            series[key] = sample.value
            # A fleet has thousands of series, and from one pass to the next most of them stay as they are.
            if sample.value is not None and self._series.get(key) != sample.value:
                self._shown[sample.name].labels(*sample.labels).set(sample.value)
        for name, labels in self._series.keys() - series.keys():
            if name not in self._stays:
                _remove(self._shown[name], labels)
        self._series = series


def _remove(gauge: Gauge, labels: tuple[str, ...]) -> None:
    """Removing a series that was never set is not an error."""
    try:
        gauge.remove(*labels)
    except KeyError:
        return
