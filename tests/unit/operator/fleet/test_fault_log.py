"""Faults of single objects: logged once while they last, counted in each round, forgotten with their object."""

from __future__ import annotations

import logging

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values.snapshot import ActuatorView, InvalidObject, ObjectFault, ObjectKey
from medley_operator.fleet.fault_log import FaultLog, unread
from medley_operator.metrics.exporter import Exporter
from medley_planner.refusal import Refusal
from tests.unit.operator.fleet.objects import service

CHAT = ObjectFault(ObjectKey("LLMService", "demo", "chat"), "ZeroDivisionError: division by zero", "Traceback ...")
POOL = ObjectFault(ObjectKey("GPUPool", "", "l4"), "KeyError: 'gpu'", "Traceback ...")


def view(*services: LLMService, rejected: tuple[InvalidObject, ...] = ()) -> ActuatorView:
    return ActuatorView(services=services, rejected=rejected, children={}, gateways=None)


def test_a_fault_is_logged_once_and_counted_in_each_round(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter()
    faults, seen = FaultLog(exporter), view(service("chat"))
    labels = {"namespace": "demo", "service": "chat"}
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            faults.report(seen, (CHAT, POOL))
    assert sorted(vars(record)["object"] for record in caplog.records) == ["GPUPool l4", "LLMService demo/chat"]
    value = exporter.registry.get_sample_value
    assert value("medley_service_errors_total", labels) == 3
    assert value("medley_errors_total", {"component": "object"}) == 3
    faults.report(seen, ())
    assert value("medley_service_errors_total", labels) == 3
    # It is back: that is news.
    faults.report(seen, (CHAT,))
    assert len(caplog.records) == 3
    rejected = (InvalidObject(CHAT.about, "uid", 1, Refusal("InternalError", "boom"), {}),)
    faults.report(view(rejected=rejected), unread(rejected))
    assert value("medley_service_errors_total", labels) == 5
    faults.report(view(), ())
    assert value("medley_service_errors_total", labels) is None
