"""The operator's own metrics, in a registry of their own, under the names of docs/reference.md.

The loop tells what happened; nothing is computed here. Gauges of services and variants that are gone are removed, so
that a dashboard never shows a ghost.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from medley_operator.domain.values.snapshot import LeadGauges, PoolGauges, ServiceGauges

COMPONENTS = ("observe", "metrics", "plan", "apply", "status", "event")
SERVICE_LABELS = ("namespace", "service")
VARIANT_LABELS = (*SERVICE_LABELS, "variant", "pool", "gpu")
POOL_LABELS = ("pool",)
LEAD_LABELS = ("model", "gpu", "node")
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
        self._services: dict[str, Gauge] = {
            "rate": gauge("medley_service_request_rate", "Requests per second that the plan is made for."),
            "measured": gauge(
                "medley_service_measured_request_rate", "Requests per second as measured now; absent without metrics."
            ),
            "margin": gauge(
                "medley_service_forecast_margin_ratio",
                "What is put on the rate that is expected when new replicas serve; absent without a forecast.",
            ),
            "prompt": gauge("medley_service_prompt_tokens_mean", "Mean prompt length of that load, in tokens."),
            "generation": gauge("medley_service_generation_tokens_mean", "Mean generation length, in tokens."),
            "cost": gauge("medley_service_cost_per_hour_dollars", "Cost of the planned replicas."),
            "best_single": gauge(
                "medley_service_best_single_cost_per_hour_dollars",
                "Cost of the cheapest fleet of one variant alone; absent where none serves the load.",
            ),
            "unserved": gauge("medley_service_unserved_request_rate", "Requests per second that no plan serves."),
            "attainment": gauge(
                "medley_predicted_slo_attainment_ratio",
                "Share of requests within the targets, by simulation of the plan; absent where it was not simulated.",
            ),
            "held": gauge("medley_service_plan_held", "1 while the last plan is held for want of data."),
        }
        self._desired = gauge("medley_variant_desired_replicas", "Replicas of the plan.", VARIANT_LABELS)
        self._ready = gauge("medley_variant_ready_replicas", "Ready replicas.", VARIANT_LABELS)
        self._pool_nodes = gauge("medley_pool_planned_nodes", "Whole nodes that the plan pays for.", POOL_LABELS)
        self._pool_idle = gauge(
            "medley_pool_idle_cost_per_hour_dollars", "Cost of parts of those nodes that no replica uses.", POOL_LABELS
        )
        self._lead = gauge(
            "medley_lead_time_seconds",
            "What nine of ten of the last starts of a replica took; component total, or a part of it.",
            (*LEAD_LABELS, "component"),
        )
        self._starts = gauge("medley_lead_time_starts", "Starts that the lead times rest on.", LEAD_LABELS)
        self._gap = gauge("medley_plan_gap_ratio", "Proven gap of the last fleet plan to the optimum.", ())
        self._last_success = gauge(
            "medley_plan_last_success_timestamp_seconds", "Unix time of the last verified plan.", ()
        )
        self._tables_missing = gauge(
            "medley_capacity_tables_missing",
            "Tables of simulated capacities that plans would rest on and do not: being simulated, or not to be had.",
            (),
        )
        self._solve_seconds = Histogram(
            "medley_plan_solve_seconds",
            "Time from handing a problem to the planning process to its answer.",
            registry=self.registry,
            buckets=SOLVE_BUCKETS_SECONDS,
        )
        self._start_seconds = Histogram(
            "medley_event_to_plan_start_seconds",
            "Time from the first event of a round to the start of its plan.",
            registry=self.registry,
            buckets=START_BUCKETS_SECONDS,
        )
        self._rounds = Counter("medley_rounds_total", "Rounds by outcome.", ("outcome",), registry=self.registry)
        self._writes = Counter("medley_writes_total", "Writes by kind.", ("kind", "verb"), registry=self.registry)
        self._errors = Counter("medley_errors_total", "Errors.", ("component",), registry=self.registry)
        for outcome in RoundOutcome:
            self._rounds.labels(outcome.value)
        for component in COMPONENTS:
            self._errors.labels(component)
        self._service_keys: set[tuple[str, ...]] = set()
        self._variant_keys: set[tuple[str, ...]] = set()
        self._pool_keys: set[tuple[str, ...]] = set()

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = SERVICE_LABELS) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def wrote(self, *, kind: str, verb: str) -> None:
        """`verb` is apply, delete, status or event."""
        self._writes.labels(kind, verb).inc()

    def failed(self, component: str) -> None:
        """`component` is one of COMPONENTS."""
        self._errors.labels(component).inc()

    def round_ended(self, outcome: RoundOutcome) -> None:
        self._rounds.labels(outcome.value).inc()

    def plan_started(self, *, seconds_since_event: float) -> None:
        self._start_seconds.observe(seconds_since_event)

    def tables_missing(self, count: int) -> None:
        """As the last round found it."""
        self._tables_missing.set(count)

    def planned(self, *, solve_seconds: float, gap: float, at: float) -> None:
        """A verified plan came back; `at` is Unix time."""
        self._solve_seconds.observe(solve_seconds)
        self._gap.set(gap)
        self._last_success.set(at)

    def show(self, gauges: Iterable[ServiceGauges]) -> None:
        """Replace all gauges of services and variants."""
        services: set[tuple[str, ...]] = set()
        variants: set[tuple[str, ...]] = set()
        for each in gauges:
            key = (each.namespace, each.name)
            services.add(key)
            self._show_service(key, each)
            for variant in each.variants:
                labels = (*key, variant.variant, variant.pool, variant.gpu)
                variants.add(labels)
                self._desired.labels(*labels).set(variant.desired)
                self._ready.labels(*labels).set(variant.ready)
        for gone in self._service_keys - services:
            for gauge in self._services.values():
                _remove(gauge, gone)
        for gone in self._variant_keys - variants:
            _remove(self._desired, gone)
            _remove(self._ready, gone)
        self._service_keys, self._variant_keys = services, variants

    def show_pools(self, gauges: Iterable[PoolGauges]) -> None:
        """Replace all gauges of pools that are paid by the node."""
        pools: set[tuple[str, ...]] = set()
        for each in gauges:
            pools.add((each.pool,))
            self._pool_nodes.labels(each.pool).set(each.planned_nodes)
            # A round without a plan knows no other figure: the last one stays.
            if each.idle_cost_per_hour is not None:
                self._pool_idle.labels(each.pool).set(each.idle_cost_per_hour)
        for gone in self._pool_keys - pools:
            _remove(self._pool_nodes, gone)
            _remove(self._pool_idle, gone)
        self._pool_keys = pools

    def show_leads(self, gauges: Iterable[LeadGauges]) -> None:
        """Set the lead times; a kind of start that was seen once is told for as long as the operator runs."""
        for each in gauges:
            labels = (each.model, each.gpu, each.node)
            self._starts.labels(*labels).set(each.starts)
            for component, seconds in each.p90_seconds.items():
                self._lead.labels(*labels, component).set(seconds)

    def _show_service(self, key: tuple[str, str], each: ServiceGauges) -> None:
        values = {
            "rate": each.rate_rps,
            "measured": each.measured_rps,
            "margin": each.forecast_margin,
            "prompt": each.prompt_tokens_mean,
            "generation": each.generation_tokens_mean,
            "cost": each.cost_per_hour,
            "best_single": each.best_single_cost_per_hour,
            "unserved": each.unserved_rps,
            "attainment": each.predicted_attainment,
            "held": float(each.held),
        }
        for name, value in values.items():
            if value is None:
                _remove(self._services[name], key)
            else:
                self._services[name].labels(*key).set(value)


def _remove(gauge: Gauge, labels: tuple[str, ...]) -> None:
    """Removing what was never set is no error."""
    try:
        gauge.remove(*labels)
    except KeyError:
        return
