"""The alerts of the controller of power in the real PromQL engine, on series that promtool makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.controlplane.build import ensure_assets

pytestmark = pytest.mark.contract

RULES = Path(__file__).parents[2] / "helm" / "medley" / "files" / "alerts" / "power.yaml"
ALERTS = {rule["alert"]: rule for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
CALM = {
    'medley_power_brake{domain="a"}': "0x40",
    'medley_power_blind{domain="a"}': "0x40",
    'medley_power_refused{domain="a"}': "0x40",
    'medley_power_watts{domain="a"}': "8000x40",
    'medley_power_budget_watts{domain="a"}': "10000x40",
    'medley_power_node_lease_age_seconds{node="n"}': "0 5 10x38",
    'medley_power_node_caps_behind{node="n"}': "1 1 0x38",
    'medley_power_leader{instance="i"}': "1x40",
    'medley_power_leader{instance="j"}': "0x40",
}
"""Series by five seconds."""
FIRES = {
    "MedleyPowerSoftwareBrake": {'medley_power_brake{domain="a"}': "1x40"},
    "MedleyPowerMeterBlind": {'medley_power_blind{domain="a"}': "1x40"},
    "MedleyPowerLittleHeadroom": {'medley_power_watts{domain="a"}': "9600x40"},
    "MedleyPowerDomainRefused": {'medley_power_refused{domain="a"}': "1x40"},
    "MedleyPowerLeaseOld": {'medley_power_node_lease_age_seconds{node="n"}': "0+5x40"},
    "MedleyPowerCapsNotInForce": {'medley_power_node_caps_behind{node="n"}': "1x40"},
    "MedleyPowerNoController": {'medley_power_leader{instance="i"}': "0x40"},
}
SUBJECT = {
    "MedleyPowerLeaseOld": {"node": "n"},
    "MedleyPowerCapsNotInForce": {"node": "n"},
    "MedleyPowerNoController": {},
}


def run(tmp_path: Path, series: dict[str, str], firing: str) -> None:
    """Fails with promtool's own words where other alerts fire after three minutes."""
    cases = []
    for name, rule in ALERTS.items():
        labels = {**rule["labels"], **SUBJECT.get(name, {"domain": "a"})}
        expected = [{"exp_labels": labels}] if name == firing else []
        cases.append({"eval_time": "195s", "alertname": name, "exp_alerts": expected})
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in ALERTS.values()]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "power", "rules": bare}]}))
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": "5s",
        "tests": [{"interval": "5s", "input_series": given, "alert_rule_test": cases}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(test))
    promtool = str(ensure_assets().promtool)
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_sound() -> None:
    promtool = str(ensure_assets().promtool)
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(FIRES) == set(ALERTS)


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    run(tmp_path, CALM, "")


@pytest.mark.parametrize("alert", FIRES)
def test_an_alert_fires(tmp_path: Path, alert: str) -> None:
    run(tmp_path, CALM | FIRES[alert], alert)


def test_no_replica_at_all_is_no_controller(tmp_path: Path) -> None:
    series = {name: values for name, values in CALM.items() if "leader" not in name}
    run(tmp_path, series, "MedleyPowerNoController")
