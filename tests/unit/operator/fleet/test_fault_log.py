"""Faults of single objects: logged once while they last, counted in each round, forgotten with their object."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from medley_operator.domain.values.snapshot import InvalidObject, ObjectFault, ObjectKey
from medley_operator.fleet.fault_log import FaultLog
from medley_operator.metrics.exporter import Exporter
from medley_planner.refusal import Refusal
from tests.unit.operator.fleet.objects import service, snapshot

CHAT = ObjectFault(ObjectKey("LLMService", "demo", "chat"), "ZeroDivisionError: division by zero", "Traceback ...")
POOL = ObjectFault(ObjectKey("GPUPool", "", "l4"), "KeyError: 'gpu'", "Traceback ...")


def test_a_fault_is_logged_once_and_counted_in_each_round(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter()
    faults, seen = FaultLog(exporter), snapshot(service("chat"))
    labels = {"namespace": "demo", "service": "chat"}
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            faults.tell(seen, (CHAT, POOL))
    assert sorted(vars(record)["object"] for record in caplog.records) == ["GPUPool l4", "LLMService demo/chat"]
    value = exporter.registry.get_sample_value
    assert value("medley_service_errors_total", labels) == 3
    assert value("medley_errors_total", {"component": "object"}) == 3
    faults.tell(seen, ())
    assert value("medley_service_errors_total", labels) == 3
    # It is back: that is news.
    faults.tell(seen, (CHAT,))
    assert len(caplog.records) == 3
    unread = InvalidObject(CHAT.about, "uid", 1, Refusal("InternalError", "boom"), {})
    faults.tell(replace(snapshot(), rejected=(unread,)), ())
    assert value("medley_service_errors_total", labels) == 5
    faults.tell(snapshot(), ())
    assert value("medley_service_errors_total", labels) is None
