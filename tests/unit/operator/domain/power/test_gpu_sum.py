"""Domains without a meter: the GPUs' readings and the rest of the nodes; what nobody reads counts at its most."""

from __future__ import annotations

import pytest

from medley_operator.domain.power.gpu_sum import GpuReadings, NodeReading
from medley_operator.domain.power.view import MeterFault
from tests.unit.operator.domain.power.play import Power

QUIET = NodeReading(8 * 300.0, 8)


def play(nodes: dict[str, NodeReading] | None) -> Power:
    power = Power()
    power.rack("a", metered=False, budget=13000)
    for _ in range(3):
        power.gpus = MeterFault("no Prometheus") if nodes is None else GpuReadings(nodes, power.now + 1)
        power.step()
    return power


@pytest.mark.parametrize(
    ("nodes", "watts"),
    [
        ({"a-0": QUIET, "a-1": QUIET, "other": QUIET}, 2 * 3400),
        ({"a-0": QUIET, "a-1": NodeReading(7 * 300.0, 7)}, 3400 + 1000 + 2100 + 700),
        ({"a-0": QUIET}, 3400 + 6600),
    ],
)
def test_readings_are_summed(nodes: dict[str, NodeReading], watts: int) -> None:
    status = play(nodes).domains["a"].status
    assert status.watts == watts
    assert status.reason == "Below"


def test_no_node_that_is_read_is_no_reading() -> None:
    power = play({"other": QUIET})
    assert power.reason("a", "MeterReadable") == "MeterEmpty"
    assert play(None).reason("a", "MeterReadable") == "MeterUnreachable"
