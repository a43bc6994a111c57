"""The control of a simulated row: late readings and commands, the facility's brake, agents without a controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from medley_planner.power import PRESETS, GpuSetting
from medley_planner.power.simulate import Control, OnLoss
from medley_planner.power.simulate.control import BRAKED, Controller, row_tree
from medley_planner.power.simulate.requests import draw_requests
from medley_planner.power.simulate.row import ServerRow

SERVERS, HIGH, BUDGET = 4, 2, 20000.0
LADDER = replace(PRESETS["ladder5"], ramp_seconds=0.0)
PLAIN = Control(LADDER)


@dataclass
class Held(ServerRow):
    """A row that only writes down what it is held to, and when."""

    now: int = 0
    held: list[tuple[int, int, GpuSetting]] = field(default_factory=list)

    def hold(self, server: int, setting: GpuSetting) -> None:
        self.held.append((self.now, server, setting))


def play(control: Control, pressures: Sequence[float]) -> tuple[Controller, Held]:
    """One tick for each pressure, beginning with second 1."""
    tree = row_tree(control, servers=SERVERS, high_servers=HIGH, budget_watts=BUDGET)
    assert tree.refused == {} or control.ladder is None
    row = Held()
    controller = Controller(control, row, tree, days=1, seed=1)
    for second, pressure in enumerate(pressures, 1):
        row.now = second
        controller.tick(second, pressure * BUDGET)
    return controller, row


def first(held: Held, server: int) -> tuple[int, GpuSetting]:
    return next((at, setting) for at, which, setting in held.held if which == server)


@pytest.mark.parametrize(("telemetry", "actuation"), [(2, 1), (2, 40), (5, 3)])
def test_a_command_comes_after_telemetry_and_actuation(telemetry: int, actuation: int) -> None:
    control = replace(PLAIN, telemetry_seconds=telemetry, actuation_seconds=actuation)
    _, row = play(control, [0.5] * 10 + [0.9] * 60)
    # Two-second means: 0.7 at second 11, 0.9 at second 12.
    assert first(row, 0) == (12 + telemetry + actuation, GpuSetting(0.787))
    assert first(row, SERVERS - 1)[1] == GpuSetting(0.926)


def test_a_meter_that_reads_low_is_late() -> None:
    _, row = play(replace(PLAIN, under_read=0.05), [0.5] * 10 + [0.83] * 20)
    assert row.held == []
    _, row = play(replace(PLAIN, under_read=0.05, meter_error=0.06), [0.5] * 10 + [0.83] * 20)
    assert first(row, 0)[1] == GpuSetting(0.904)


def test_the_brake_is_seen_after_2_s_acts_after_5_and_lasts_30() -> None:
    controller, row = play(Control(None), [0.9] * 10 + [1.2] * 10 + [0.8] * 60)
    assert controller.brakes == 1
    assert row.held[:SERVERS] == [(18, server, BRAKED) for server in range(SERVERS)]
    assert row.held[SERVERS:] == [(48, server, GpuSetting()) for server in range(SERVERS)]


def test_the_brake_stays_while_power_is_high_and_counts_each_time() -> None:
    controller, row = play(Control(None), [1.1] * 60 + [0.8] * 10 + [1.1] * 20)
    assert controller.brakes == 2
    assert {at for at, _, setting in row.held if setting == GpuSetting()} == {62}


def test_a_command_during_the_brake_holds_after_it() -> None:
    _, row = play(PLAIN, [0.5] * 10 + [1.2] * 10 + [0.8] * 60)
    released = [(at, server, setting) for at, server, setting in row.held if at == 49]
    assert {setting.clock_fraction for _, _, setting in released} == {600 / 1410}


@pytest.mark.parametrize("on_loss", list(OnLoss))
def test_agents_act_when_the_lease_is_over(on_loss: OnLoss) -> None:
    control = replace(PLAIN, outages_per_day=1, on_loss=on_loss)
    tree = row_tree(control, servers=SERVERS, high_servers=HIGH, budget_watts=BUDGET)
    row = Held()
    controller = Controller(control, row, tree, days=1, seed=1)
    start = controller._outages[0]
    assert 8 * 3600 <= start < 20 * 3600
    for second in range(start - 100, start + 1300):
        row.now = second
        controller.tick(second, 0.82 * BUDGET)
    acted = [(at - start, setting) for at, server, setting in row.held if server == 0]
    before = acted[0]
    assert before[1] == GpuSetting(0.904)
    if on_loss is OnLoss.HOLD:
        assert not [at for at, _ in acted if 0 <= at < 1200]
    else:
        wanted = tree.safe["0"] if on_loss is OnLoss.SAFE else GpuSetting()
        assert [each for each in acted if 0 <= each[0] < 1200] == [(30, wanted)]


def test_the_controller_comes_back_safe() -> None:
    """A gap counts as blindness, so that agents at their safe settings are not released at once."""
    control = replace(PLAIN, outages_per_day=1)
    tree = row_tree(control, servers=SERVERS, high_servers=HIGH, budget_watts=BUDGET)
    row = Held()
    controller = Controller(control, row, tree, days=1, seed=1)
    start = controller._outages[0]
    for second in range(start - 10, start + 1205):
        row.now = second
        controller.tick(second, 0.5 * BUDGET)
    assert {setting for at, _, setting in row.held if at >= start + 1200} == set(tree.safe.values())


def test_what_is_counted() -> None:
    controller, _ = play(PLAIN, [0.5] * 10 + [0.99] * 30)
    assert controller.soft_brakes == 1
    assert controller.capped_seconds == 27  # from second 14 to 40


def test_the_rise_is_that_until_a_command_acts() -> None:
    row = ServerRow(draw_requests(SERVERS, days=1, seed=1), servers=SERVERS, high_servers=HIGH)
    tree = row_tree(PLAIN, servers=SERVERS, high_servers=HIGH, budget_watts=BUDGET)
    controller = Controller(PLAIN, row, tree, days=1, seed=1)
    for second, pressure in enumerate([0.2, 0.9, *[0.6] * 20, 0.62, 0.64, 0.66, 0.68, 0.70, 0.72]):
        controller.tick(3590 + second, pressure * BUDGET)
    # The rise of two-second means over three seconds; that at the beginning is within the warm-up.
    assert controller.rises.rise == pytest.approx(0.06)
