"""`medley status`: one line for each service, the sum, and what is wrong."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
import yaml

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.cli import status
from medley_operator.cli.status import status_rows, write_rows
from tests.unit.operator.cli.waiting import waiting_service

WELL = waiting_service(mix="l4-tp2:1/1", readyReplicas=1, desiredReplicas=1, costPerHour="1.61")
ILL = waiting_service(mix="", readyReplicas=0, desiredReplicas=2, problem="Stock")


def rows(*services: dict[str, Any]) -> list[dict[str, Any]]:
    return status_rows([LLMService.model_validate(each) for each in services])


def test_the_fleet_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(rows(WELL, ILL), output="table")
    shown = capsys.readouterr().out
    assert "l4-tp2:1/1" in shown
    assert "1a2b3c4d Optimal" in shown
    assert "2 services, 1 of 3 replicas Ready, $1.61/h; 1 with a problem: kubectl describe llms NAME says more" in shown
    assert "\x1b" not in shown


def test_wide_has_more(capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(rows(WELL), output="wide")
    wide = capsys.readouterr().out
    assert "Approve" in wide
    assert "9.30" in wide


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_as_a_document(form: str, read: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(rows(WELL, ILL), output=form)
    found = read(capsys.readouterr().out)["services"]
    assert [each["cost_per_hour"] for each in found] == [1.61, 0.0]
    assert found[0]["plan"]["id"] == "1a2b3c4d"
    assert found[1]["problem"] == "Stock"


def test_a_service_without_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    new = {**WELL, "status": {}}
    write_rows(rows(new), output="wide")
    assert "none" in capsys.readouterr().out


def test_an_empty_cluster_says_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    write_rows([], output="table")
    assert "-A looks in all namespaces" in capsys.readouterr().out


def test_all_namespaces_is_an_option() -> None:
    parser = argparse.ArgumentParser()
    status.add_parser(parser.add_subparsers())
    assert parser.parse_args(["status", "-A"]).all_namespaces
