"""Metric names as docs/reference.md lists them, and gauges that go when their subject goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from medley_operator.domain.values.gauges import GaugeSample
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.exporter import COMPONENTS, Exporter, RoundOutcome

REFERENCE = Path(__file__).parents[4] / "docs" / "reference.md"
AT = {"namespace": "demo", "service": "chat"}
KEY = tuple(AT.values())
L4 = (*KEY, "l4", "l4", "L4")


def sample(name: str, labels: tuple[str, ...], value: float | None) -> GaugeSample:
    return GaugeSample(f"medley_{name}", labels, value)


def value(exporter: Exporter, name: str, labels: Mapping[str, str]) -> float | None:
    return exporter.registry.get_sample_value(f"medley_{name}", dict(labels))


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
    rate, held = sample("service_request_rate", KEY, 11.5), sample("service_plan_held", KEY, 0.0)
    single = sample("service_best_single_cost_per_hour_dollars", KEY, 6.0)
    other = replace(rate, labels=("demo", "other"))
    exporter.show([rate, held, single, sample("variant_ready_replicas", L4, 4), other])
    variant = AT | {"variant": "l4", "pool": "l4", "gpu": "L4"}
    assert value(exporter, "service_request_rate", AT) == 11.5
    assert value(exporter, "variant_ready_replicas", variant) == 4
    exporter.show([rate, replace(held, value=1.0)])
    assert value(exporter, "variant_ready_replicas", variant) is None
    assert value(exporter, "service_best_single_cost_per_hour_dollars", AT) is None
    assert value(exporter, "service_plan_held", AT) == 1
    assert b'service="other"' not in generate_latest(exporter.registry)
    exporter.show([])
    assert b'service="chat"' not in generate_latest(exporter.registry)


def test_a_figure_that_is_not_known_anew_stays() -> None:
    exporter = Exporter()
    idle = sample("pool_idle_cost_per_hour_dollars", ("h100",), 13.76)
    exporter.show([replace(idle, value=None)])
    assert value(exporter, "pool_idle_cost_per_hour_dollars", {"pool": "h100"}) is None
    exporter.show([idle])
    exporter.show([replace(idle, value=None)])
    assert value(exporter, "pool_idle_cost_per_hour_dollars", {"pool": "h100"}) == 13.76
    exporter.show([])
    assert value(exporter, "pool_idle_cost_per_hour_dollars", {"pool": "h100"}) is None


def test_lead_times_stay_once_they_were_seen() -> None:
    exporter = Exporter()
    at = {"model": "org/model", "gpu": "L4", "node": "cold", "component": "total"}
    for seconds in (90.0, 95.0):
        exporter.show([sample("lead_time_seconds", tuple(at.values()), seconds)])
        assert value(exporter, "lead_time_seconds", at) == seconds
    exporter.show([])
    assert value(exporter, "lead_time_seconds", at) == 95.0


def test_a_hostile_label_makes_no_series_of_its_own() -> None:
    exporter = Exporter()
    hostile = 'x",service="other"} 1\n# HELP medley_forged f\nmedley_forged{a="\\'
    exporter.show([sample("service_request_rate", ("demo", hostile), 1.0)])
    exporter.service_failed(ServiceKey("demo", hostile))
    families = list(text_string_to_metric_families(generate_latest(exporter.registry).decode()))
    assert "medley_forged" not in {family.name for family in families}
    found = [dict(each.labels) for family in families for each in family.samples if "service" in each.labels]
    assert {labels["service"] for labels in found} == {hostile}
