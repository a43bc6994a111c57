"""Settings on boards: within the range, on the grid of clocks, and never more because of a figure that is wrong."""

from __future__ import annotations

import math

import pytest

from medley_operator.power.agent.bounds import BoundsReason, Registers, fault_of, least, registers_of
from medley_operator.power.gpu.protocol import GpuFacts
from medley_planner.power import GpuSetting

GRID = tuple(range(210, 1411, 15))
A100 = GpuFacts("GPU-1", "A100", 100.0, 400.0, 400.0, GRID)
CONSUMER = GpuFacts("GPU-2", "GeForce", None, None, None)
RAISED = GpuFacts("GPU-3", "overclocked", 100.0, 450.0, 400.0, GRID)


@pytest.mark.parametrize(
    ("facts", "setting", "registers", "reasons"),
    [
        (A100, GpuSetting(), Registers(400.0, None), []),
        (A100, GpuSetting(0.787), Registers(400.0, 1110), []),
        (A100, GpuSetting(0.904, 250.0), Registers(250.0, 1275), []),
        (A100, GpuSetting(cap_watts=80.0), Registers(100.0, None), [BoundsReason.BELOW_RANGE]),
        (A100, GpuSetting(0.1), Registers(400.0, 210), [BoundsReason.BELOW_RANGE]),
        (RAISED, GpuSetting(cap_watts=430.0), Registers(400.0, None), []),
        (CONSUMER, GpuSetting(), Registers(None, None), []),
        (CONSUMER, GpuSetting(0.5, 200.0), Registers(None, None), [BoundsReason.NO_LIMIT, BoundsReason.NO_CLOCKS]),
    ],
)
def test_settings_become_registers(
    facts: GpuFacts, setting: GpuSetting, registers: Registers, reasons: list[BoundsReason]
) -> None:
    found, remarks = registers_of(setting, facts)
    assert found == registers
    assert [remark.reason for remark in remarks] == reasons
    assert fault_of(setting, facts) is None


@pytest.mark.parametrize(
    "setting",
    [
        GpuSetting(0.0),
        GpuSetting(1.2),
        GpuSetting(math.nan),
        GpuSetting(cap_watts=0.0),
        GpuSetting(cap_watts=math.nan),
        GpuSetting(cap_watts=math.inf),
        GpuSetting(cap_watts=401.0),
        GpuSetting(cap_watts=250_000.0),
    ],
)
def test_what_makes_no_sense_is_not_followed(setting: GpuSetting) -> None:
    fault = fault_of(setting, A100)
    assert fault is not None
    assert fault.reason == BoundsReason.OUT_OF_RANGE
    assert "is not followed: " in fault.message


def test_the_least_of_a_board_can_be_followed() -> None:
    assert registers_of(least(A100), A100) == (Registers(100.0, None), ())
    assert registers_of(least(CONSUMER), CONSUMER) == (Registers(None, None), ())
