"""Metric names as docs/reference.md lists them, and gauges that go when what they tell of goes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client import generate_latest

from medley_operator.domain.values.snapshot import LeadGauges, PoolGauges, ServiceGauges, VariantGauge
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.exporter import COMPONENTS, Exporter, RoundOutcome

REFERENCE = Path(__file__).parents[4] / "docs" / "reference.md"
CHAT = ServiceGauges(
    namespace="demo",
    name="chat",
    rate_rps=11.5,
    prompt_tokens_mean=700.0,
    generation_tokens_mean=200.0,
    cost_per_hour=4.2,
    best_single_cost_per_hour=6.0,
    unserved_rps=0.0,
    held=False,
    variants=(VariantGauge("l4", "l4", "L4", desired=5, ready=4),),
)


def names(exporter: Exporter) -> set[str]:
    families = exporter.registry.collect()
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def test_names_are_those_of_the_reference() -> None:
    section = REFERENCE.read_text().split("## Metrics that are exported")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(medley_[a-z_]+)`", row)}
    exporter = Exporter()
    CalibrationExporter(exporter.registry)
    assert names(exporter) == documented


def test_errors_and_rounds_start_at_zero() -> None:
    exporter = Exporter()
    for component in COMPONENTS:
        assert exporter.registry.get_sample_value("medley_errors_total", {"component": component}) == 0
    for outcome in RoundOutcome:
        assert exporter.registry.get_sample_value("medley_rounds_total", {"outcome": outcome.value}) == 0


def test_gauges_of_what_is_gone_are_removed() -> None:
    exporter = Exporter()
    other = replace(CHAT, name="other")
    exporter.show([CHAT, other])
    at = {"namespace": "demo", "service": "chat"}
    variant = at | {"variant": "l4", "pool": "l4", "gpu": "L4"}
    assert exporter.registry.get_sample_value("medley_service_request_rate", at) == 11.5
    assert exporter.registry.get_sample_value("medley_variant_ready_replicas", variant) == 4
    exporter.show([replace(CHAT, variants=(), best_single_cost_per_hour=None, held=True)])
    assert exporter.registry.get_sample_value("medley_variant_desired_replicas", variant) is None
    assert exporter.registry.get_sample_value("medley_service_best_single_cost_per_hour_dollars", at) is None
    assert exporter.registry.get_sample_value("medley_service_plan_held", at) == 1
    assert b'service="other"' not in generate_latest(exporter.registry)
    exporter.show([])
    assert b'service="chat"' not in generate_latest(exporter.registry)


def test_whole_nodes_of_pools_are_shown_kept_and_removed() -> None:
    exporter = Exporter()

    def value(name: str) -> float | None:
        return exporter.registry.get_sample_value(name, {"pool": "h100"})

    exporter.show_pools([PoolGauges("h100", 2, 13.76)])
    assert value("medley_pool_planned_nodes") == 2
    assert value("medley_pool_idle_cost_per_hour_dollars") == 13.76
    exporter.show_pools([PoolGauges("h100", 2, None)])
    assert value("medley_pool_idle_cost_per_hour_dollars") == 13.76
    exporter.show_pools([])
    assert value("medley_pool_planned_nodes") is None
    assert value("medley_pool_idle_cost_per_hour_dollars") is None


def test_lead_times_are_told_by_component() -> None:
    exporter = Exporter()
    at = {"model": "org/model", "gpu": "L4", "node": "cold"}
    for seconds, starts in ((90.0, 1), (95.0, 2)):
        exporter.show_leads([LeadGauges("org/model", "L4", "cold", starts, {"ready": 60.0, "total": seconds})])
        total = exporter.registry.get_sample_value("medley_lead_time_seconds", at | {"component": "total"})
        assert (total, exporter.registry.get_sample_value("medley_lead_time_starts", at)) == (seconds, starts)


def test_what_is_measured_stands_beside_what_is_planned_and_goes_with_the_metrics() -> None:
    exporter = Exporter()
    at = {"namespace": "demo", "service": "chat"}
    exporter.show([replace(CHAT, measured_rps=9.0, forecast_margin=0.25)])
    assert exporter.registry.get_sample_value("medley_service_measured_request_rate", at) == 9.0
    assert exporter.registry.get_sample_value("medley_service_forecast_margin_ratio", at) == 0.25
    exporter.show([CHAT])
    assert exporter.registry.get_sample_value("medley_service_measured_request_rate", at) is None
    assert exporter.registry.get_sample_value("medley_service_forecast_margin_ratio", at) is None
