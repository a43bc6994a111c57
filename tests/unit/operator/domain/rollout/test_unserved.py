"""The messages about demand that a plan leaves out: each limit with its way out, the largest part first."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.domain.rollout.unserved import WAY_OUT, shortage, unserved_message
from medley_planner.model import Unserved, UnservedReason
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import planned


def test_every_reason_has_a_way_out() -> None:
    assert set(WAY_OUT) == set(UnservedReason)
    assert all("spec." in way for way in WAY_OUT.values())


def test_several_limits_are_all_told_and_the_largest_part_gives_the_reason() -> None:
    good = planned(make.snapshot(make.service())).services[0]
    unserved = (
        Unserved(0, 1.0, UnservedReason.STOCK, ("l4",)),
        Unserved(0, 2.0, UnservedReason.POWER, ("h100",)),
        Unserved(0, 9.0, UnservedReason.BUDGET),
    )
    lacking = shortage(replace(good, unserved=unserved))
    assert lacking is not None
    assert lacking.reason == "PowerLimit"
    assert "1 req/s have no free GPU" in lacking.message
    assert "spec.budget." not in lacking.message
    message = unserved_message(replace(good, unserved=unserved), kept=False)
    assert "9 req/s (Budget): " in message
    assert "(Stock: GPUPool l4)" in message
    assert shortage(replace(good, unserved=unserved[2:])) is None
