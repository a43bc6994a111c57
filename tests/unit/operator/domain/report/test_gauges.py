"""Conditions that are False, as gauges of services and of pools, through whole rounds."""

from __future__ import annotations

from medley_operator.domain.values.leadtime import unix_seconds
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, planned, settle, told


def problems(done: Round, kind: str) -> set[tuple[str, ...]]:
    return {each.labels for each in done.decision.gauges if each.name == f"medley_{kind}_problem" and each.value == 1.0}


def test_conditions_that_are_false_are_problems() -> None:
    snapshot = make.snapshot(make.service())
    done = told(snapshot, planned(snapshot))
    shown = done.status()
    wrong = {
        ("demo", "llama", condition["type"], condition["reason"])
        for condition in shown["conditions"]
        if condition["status"] == "False"
    }
    assert problems(done, "service") == wrong
    assert wrong
    at = done.gauge("service_last_change_timestamp_seconds")
    assert at == unix_seconds(shown["history"][-1]["at"])


def test_a_service_that_serves_has_none() -> None:
    assert problems(settle(make.snapshot(make.service())), "service") == set()
