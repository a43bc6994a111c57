"""The account of staying: what it adds up to, what starts are charged by it, and when a fleet is left."""

from __future__ import annotations

import math

import pytest

from medley_planner.model import CheaperFleet
from medley_planner.regret import Regret

OTHER = CheaperFleet((0, 3), saving_per_hour=2.0, leaving_cost=1.0)


def test_it_adds_up_what_the_cheaper_fleet_would_save() -> None:
    regret = Regret().after(OTHER, 1000.0, left=False)
    assert regret == Regret(1000.0, 0.0, 2.0, 1.0)
    assert regret.wasted_by(1000.0) == 0.0
    assert regret.wasted_by(1900.0) == pytest.approx(0.5)
    assert regret.wasted_by(0.0) == 0.0, "a clock that goes back wastes nothing"


def test_starts_are_charged_less_the_more_is_wasted_and_nothing_in_the_end() -> None:
    regret = Regret(0.0, 0.0, 2.0, 1.0)
    stays = [regret.stay_seconds(seconds, known_seconds=300.0) for seconds in (0.0, 900.0, 1799.0, 1800.0, 9999.0)]
    assert stays[0] == 300.0
    assert stays[1] == pytest.approx(600.0)
    assert stays == sorted(stays)
    assert stays[3:] == [math.inf, math.inf]
    assert Regret(0.0, 5.0, 0.0, 0.0).stay_seconds(0.0, known_seconds=300.0) == 300.0


def test_it_leaves_when_what_is_known_to_come_pays_for_the_rest() -> None:
    regret = Regret(100.0, 0.25, 2.0, 1.0)
    leaves = regret.leaves_at(known_seconds=300.0)
    assert leaves is not None
    assert leaves == pytest.approx(100.0 + 0.75 / 2.0 * 3600 - 300.0)
    stays = regret.stay_seconds(leaves, known_seconds=300.0)
    assert regret.saving_per_hour == pytest.approx(regret.leaving_cost * 3600 / stays), "the charge is what is saved"
    assert Regret(100.0, 0.99, 2.0, 1.0).leaves_at(known_seconds=300.0) == 100.0
    assert Regret().leaves_at(known_seconds=300.0) is None


def test_nothing_is_written_anew_while_only_time_passes() -> None:
    regret = Regret().after(OTHER, 0.0, left=False)
    assert regret.after(CheaperFleet((0, 3), 2.01, 1.005), 600.0, left=False) is regret
    bent = regret.after(CheaperFleet((0, 3), 4.0, 1.0), 600.0, left=False)
    assert bent == Regret(600.0, bent.wasted_cost, 4.0, 1.0)
    assert bent.wasted_cost == pytest.approx(2.0 / 6)


def test_without_a_cheaper_fleet_what_was_wasted_is_kept() -> None:
    regret = Regret(0.0, 0.5, 2.0, 1.0).after(None, 900.0, left=False)
    assert regret == Regret(900.0, 1.0, 0.0, 0.0)
    assert regret.after(None, 9000.0, left=False) is regret


def test_leaving_closes_the_account_and_leaving_in_part_closes_a_part() -> None:
    regret = Regret(0.0, 0.8, 2.0, 1.0)
    assert regret.after(None, 0.0, left=True) == Regret()
    half = regret.after(CheaperFleet((1, 2), 1.0, 0.5), 0.0, left=True)
    assert half == Regret(0.0, half.wasted_cost, 1.0, 0.5)
    assert half.wasted_cost == pytest.approx(0.4)
