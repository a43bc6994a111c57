"""Queries that the end-to-end run fills, in the real PromQL engine on what a round's gauges, the operator's exporters
and an engine export: a query that asks for a name, label or join that nobody has fails here within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from e2e.dashboard import filled_in
from e2e.fleet.exposition import Exposition
from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.panels import Dashboard, ProvedBy
from medley_operator.domain.values.gauges import GaugeSample
from medley_operator.domain.values.margins import LatencyCounts
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.exporter import Exporter, RoundOutcome
from medley_planner.check import Attained, Checked
from medley_planner.fleet_plan import FleetPlan
from tests.contract.promtool import RULE_FILES, check
from tests.unit.e2e.fleet_cases import START, engine, request
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import planned, settle, told

pytestmark = pytest.mark.contract

INF = float("inf")
MINUTES = 20
ENGINE = {"namespace": make.NAMESPACE, "medley_dev_service": "llama", "pod": "llama-1"}


def operator_registry() -> CollectorRegistry:
    """After a round with live load, on metered pools, and what the loop counts."""
    exporter = Exporter()
    calibration = CalibrationExporter(exporter.registry)
    counts = LatencyCounts(((0.5, 90.0), (INF, 100.0)), ((0.05, 99.0), (INF, 100.0)))
    seen = replace(make.found(), latencies={"l4": counts})
    live = {"workload": {"source": "Prometheus"}}
    steady = settle(make.snapshot(make.service(spec=live), observations={"llama": seen}, pods=())).snapshot
    attained = Checked(0.98, 95.0, {"l4": Attained(0.98, 1.5, 0.08, 0.9)})
    done = told(steady, FleetPlan.of(planned(steady), checked={f"{make.NAMESPACE}/llama": attained}))
    starts = [GaugeSample("medley_lead_time_seconds", ("m", "L4", "warm", part), 60.0) for part in ("pulled", "total")]
    exporter.show([*done.decision.gauges, *starts])
    exporter.leads()
    exporter.round_ended(RoundOutcome.PLANNED)
    exporter.plan_started(seconds_since_event=0.4)
    exporter.acting(seconds_since_event=0.9)
    exporter.planned(solve_seconds=0.2, gap=0.01, at=1.0)
    exporter.tables_missing(0)
    exporter.wrote(kind="Deployment", verb="apply")
    calibration.learned(windows=1, skips=())
    return exporter.registry


def series(text: str, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The samples as promtool takes them: counters grow by their value in each minute."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            named = ",".join(f'{name}="{value}"' for name, value in {**sample.labels, **labels}.items())
            value = f"{sample.value:.6g}"
            grows = family.type in ("counter", "histogram")
            yield f"{sample.name}{{{named}}}", f"0+{value}x{MINUTES}" if grows else f"{value}x{MINUTES}"


@pytest.fixture(scope="module")
def exported() -> dict[str, str]:
    busy = engine()
    busy.submit(request(0.0))
    busy.advance(START + 60.0)
    return {
        **dict(series(generate_latest(operator_registry()).decode(), {"instance": "i"})),
        **dict(series(Exposition(busy).text(), ENGINE)),
    }


@pytest.mark.parametrize("board", [board for board in BOARDS if board.name != "power"], ids=lambda board: board.name)
def test_queries_answer(tmp_path: Path, exported: dict[str, str], board: Dashboard) -> None:
    queries = [filled_in(query.expr) for query in board.queries if query.proof is ProvedBy.RUN]
    rules = tmp_path / "answers.yaml"
    asked = [{"alert": f"Answer{at}", "expr": f"count({query}) > 0"} for at, query in enumerate(queries)]
    rules.write_text(yaml.safe_dump({"groups": [{"name": "answers", "rules": asked}]}))
    alerts = [
        {"eval_time": f"{MINUTES - 1}m", "alertname": rule["alert"], "exp_alerts": [{"exp_labels": {}}]}
        for rule in asked
    ]
    check(tmp_path, exported, rules=[*RULE_FILES, rules], interval="1m", alerts=alerts)
