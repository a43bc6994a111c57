"""`medley power simulate`: table and JSON, and one clear line for each kind of bad input."""

from __future__ import annotations

import json

import pytest

from medley_operator.cli.main import main as medley
from medley_planner.__main__ import main

DAY = ["power", "simulate", "--days", "1"]


def test_json_and_table_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*DAY, "--preset", "lp-deep", "--added", "35", "--seeds", "1"]
    assert main([*asked, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["preset"], found["servers"], found["planned_servers"], found["days"]) == ("lp-deep", 54, 40, 1)
    assert [each["seed"] for each in found["runs"]] == [1]
    assert [each["brakes"] for each in found["runs"]] == [0]
    first = found["runs"][0]
    assert first["high_priority_slower_percent"]["p50"] < 1.0 < first["low_priority_slower_percent"]["p50"]
    assert first["second_entry"] == 0.88
    assert 0.85 < first["derived_second_entry"] < 1.0
    assert first["energy_kwh"] < first["energy_kwh_without_limits"]
    assert medley(asked) == 0
    shown = capsys.readouterr().out
    for words in ("54 servers on a budget for 40", "preset lp-deep", f"{first['peak']:.3f}", "a simulation"):
        assert words in shown


def test_without_a_preset_the_brake_acts_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DAY, "--preset", "none", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"][0]["brakes"] > 100
    assert found["runs"][0]["software_brakes"] == 0
    assert found["runs"][0]["second_entry"] is None
    assert found["dwell_seconds"] is None


def test_an_entry_that_is_later_than_the_rises_allow_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DAY, "--preset", "polca", "--actuation", "40s"]) == 0
    assert "enters its second level at 0.89, later than that" in capsys.readouterr().out


def test_a_curtailment_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DAY, "--curtail", "90"]) == 0
    assert "seed 1: held to 90 % of the budget from 13:00 to 16:00: reached within " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--curtail", "59"], "--curtail is 59: give a preset and 60 to 100 percent"),
        (["--curtail", "90", "--preset", "none"], "--curtail is 90"),
        (["--days", "43"], "--days is 43: give at most 42"),
        (["--preset", "none", "--dwell", "60s"], "--dwell is 60"),
        (["--added", "88", "--days", "1"], "with every GPU at its board's least cap"),
        (["--telemetry", "61s"], "--telemetry is 61: give at most 60 s"),
    ],
)
def test_what_cannot_be_simulated(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "simulate", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("medley power simulate: ")
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--added", "101"], "'101' is not a percentage from 0 to 100"),
        (["--added", "nan"], "'nan' is not a percentage"),
        (["--added", "many"], "'many' is not a percentage"),
        (["--seeds", "1,-2"], "'1,-2' is not a list"),
        (["--seeds", ""], "'' is not a list"),
        (["--actuation", "1.5s"], "'1.5s' is not a whole number of seconds"),
        (["--actuation", "2h"], "'2h' is not a whole number of seconds"),
        (["--dwell", "soon"], "soon"),
        (["--outages", "25"], "'25' is not a whole number from 0 to 24"),
        (["--preset", "polka"], "polka"),
    ],
)
def test_what_cannot_be_read(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["power", "simulate", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
