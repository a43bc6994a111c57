"""Every alert in the real PromQL engine, on given series: silent while all is well, firing in its cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.promtool import ALERT_FILES, RULE_FILES, check, promtool

pytestmark = pytest.mark.contract

ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in ALERT_FILES
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}
SERVICE = {"namespace": "a", "service": "s"}
OF_SERVICE = 'namespace="a",service="s"'
CALM = {
    f"medley_service_attained_ratio{{{OF_SERVICE}}}": "0.97x210",
    f"medley_predicted_slo_attainment_ratio{{{OF_SERVICE}}}": "0.96x210",
    f"medley_service_target_ratio{{{OF_SERVICE}}}": "0.95x210",
    f"medley_service_plan_held{{{OF_SERVICE}}}": "0x210",
    # What every rollout has for a while.
    f'medley_service_problem{{{OF_SERVICE},condition="WorkloadsReady",reason="Progressing"}}': "1x210",
    f'medley_service_problem{{{OF_SERVICE},condition="ChildrenUnchanged",reason="ChangedByOthers"}}': "1x210",
    'medley_pool_problem{pool="p",condition="PodsSeen",reason="OnlyWatchedNamespaces"}': "1x210",
    'medley_calibration_used{namespace="a",model="m",gpu="L4",tensor_parallel="1"}': "0x20 1x190",
    'medley_rounds_total{outcome="planned",instance="i"}': "0+1x210",
    'medley_rounds_total{outcome="failed",instance="i"}': "0x210",
    'medley_rounds_total{outcome="planned",instance="j"}': "0x210",
    # One change of the leader, as in an upgrade.
    'medley_leader{instance="i"}': "1x50 0x160",
    'medley_leader{instance="j"}': "0x50 1x160",
    'medley_power_brake{domain="a"}': "0x210",
    'medley_power_level{domain="a"}': "0x100 2 2 2 1x110",
    'medley_power_blind{domain="a"}': "0x210",
    'medley_power_refused{domain="a"}': "0x210",
    'medley_power_watts{domain="a"}': "8000x210",
    'medley_power_budget_watts{domain="a"}': "10000x210",
    'medley_power_node_lease_age_seconds{node="n"}': "0 5 10x210",
    'medley_power_node_caps_behind{node="n"}': "1 0x210",
    'medley_agent_lease_seconds{node="n"}': "20x210",
    'medley_power_leader{instance="i"}': "1x210",
    'medley_power_leader{instance="j"}': "0x210",
}
"""Series by the minute."""
MINUTES = 205


@dataclass(frozen=True)
class Case:
    """Series that differ from the calm, None for those that end; the labels of the alert beside its own."""

    series: Mapping[str, str | None]
    subject: Mapping[str, str] = field(default_factory=lambda: SERVICE)


def problem(condition: str, reason: str) -> dict[str, str]:
    return {f'medley_service_problem{{{OF_SERVICE},condition="{condition}",reason="{reason}"}}': "1x210"}


DOMAIN, NODE = {"domain": "a"}, {"node": "n"}
ROUNDS = [name for name in CALM if name.startswith("medley_rounds_total")]
FIRES = {
    "MedleySloAtRisk": [
        Case({f"medley_service_attained_ratio{{{OF_SERVICE}}}": "0.94x210"}),
        Case({f"medley_predicted_slo_attainment_ratio{{{OF_SERVICE}}}": "0.9x210"}),
    ],
    "MedleyPlanInfeasible": [Case(problem("PlanReady", "Infeasible"), {**SERVICE, "reason": "Infeasible"})],
    "MedleyStockOut": [Case(problem("CapacityAvailable", "StockOut"), {**SERVICE, "reason": "StockOut"})],
    "MedleyPlanHeld": [Case({f"medley_service_plan_held{{{OF_SERVICE}}}": "1x210"})],
    "MedleyPriceStale": [
        Case({'medley_pool_problem{pool="p",condition="PriceKnown",reason="PriceStale"}': "1x210"}, {"pool": "p"})
    ],
    "MedleyConflictingAutoscaler": [Case(problem("ChildrenUnchanged", "ConflictingAutoscaler"))],
    "MedleyPodsNotStarting": [
        Case(problem("WorkloadsReady", "ImagePullBackOff"), {**SERVICE, "reason": "ImagePullBackOff"})
    ],
    "MedleyCalibrationOff": [
        Case(
            {'medley_calibration_used{namespace="a",model="m",gpu="L4",tensor_parallel="1"}': "0x210"},
            {"namespace": "a", "model": "m", "gpu": "L4"},
        )
    ],
    "MedleyOperatorStuck": [
        Case({ROUNDS[0]: "0+1x100 100x110"}, {}),
        Case({ROUNDS[0]: "300x210", ROUNDS[1]: "0+1x210"}, {}),
        Case(dict.fromkeys(ROUNDS), {}),
    ],
    "MedleyLeaderFlapping": [
        Case({'medley_leader{instance="i"}': "1x190 0 1 0 1 1 0 1x20", 'medley_leader{instance="j"}': "0x210"}, {})
    ],
    "MedleyPowerSoftwareBrake": [Case({'medley_power_brake{domain="a"}': "1x210"}, DOMAIN)],
    "MedleyPowerLevelHigh": [Case({'medley_power_level{domain="a"}': "2x210"}, DOMAIN)],
    "MedleyPowerMeterBlind": [Case({'medley_power_blind{domain="a"}': "1x210"}, DOMAIN)],
    "MedleyPowerLittleHeadroom": [Case({'medley_power_watts{domain="a"}': "9600x210"}, DOMAIN)],
    "MedleyPowerDomainRefused": [Case({'medley_power_refused{domain="a"}': "1x210"}, DOMAIN)],
    "MedleyPowerLeaseOld": [Case({'medley_power_node_lease_age_seconds{node="n"}': "0+5x210"}, NODE)],
    "MedleyPowerCapsNotInForce": [Case({'medley_power_node_caps_behind{node="n"}': "1x210"}, NODE)],
    "MedleyPowerAgentLost": [Case({'medley_agent_lease_seconds{node="n"}': "20x190"}, NODE)],
    "MedleyPowerNoController": [
        Case({'medley_power_leader{instance="i"}': "0x210"}, {}),
        Case(dict.fromkeys(name for name in CALM if name.startswith("medley_power_leader")), {}),
    ],
}
CASES = [(alert, number, case) for alert, cases in FIRES.items() for number, case in enumerate(cases)]


def run(folder: Path, changes: Mapping[str, str | None], firing: str, subject: Mapping[str, str]) -> None:
    """Fails where other alerts fire at the end."""
    series = {name: values for name, values in {**CALM, **changes}.items() if values is not None}
    alerts = []
    for name, rule in ALERTS.items():
        expected = [{"exp_labels": {**rule["labels"], **subject}}] if name == firing else []
        alerts.append({"eval_time": f"{MINUTES}m", "alertname": name, "exp_alerts": expected})
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in ALERTS.values()]
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": bare}]}))
    check(folder, series, rules=[rules], interval="1m", alerts=alerts)


@pytest.mark.parametrize("path", [*ALERT_FILES, *RULE_FILES], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_rules_are_sound(path: Path) -> None:
    promtool("check", "rules", str(path))


def test_every_alert_has_a_case() -> None:
    assert set(FIRES) == set(ALERTS)


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    run(tmp_path, {}, "", {})


@pytest.mark.parametrize(
    ("alert", "number", "case"), CASES, ids=lambda value: str(value) if not isinstance(value, Case) else ""
)
def test_an_alert_fires(tmp_path: Path, alert: str, number: int, case: Case) -> None:
    run(tmp_path, case.series, alert, case.subject)


def test_a_rollout_of_the_power_agent_that_was_never_scraped_is_none_lost(tmp_path: Path) -> None:
    run(tmp_path, {'medley_agent_lease_seconds{node="n"}': None}, "", {})


def test_annotations_are_filled_in() -> None:
    """With the labels of the alert, so that no message has a gap."""
    for name, cases in FIRES.items():
        text = " ".join(ALERTS[name]["annotations"].values())
        for label in [part.split(" ")[0] for part in text.split("$labels.")[1:]]:
            assert label in cases[0].subject, name
