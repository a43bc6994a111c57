"""What a PowerEvent's status says that caps alone do, and what they leave to the plan."""

from __future__ import annotations

from medley_operator.domain.power.report import NoticeKind
from tests.unit.operator.domain.power.play import Power, pod, service


def shed(target: float, *, busy: bool) -> Power:
    """A rack of two nodes that draws 11 of 12 kW, held to a part of that from now on."""
    power = Power(watts={"a": 9600.0}, services=[service("vip", "High")])
    power.pods = [pod("vip", node, name=f"vip-{node}") for node in ("a-0", "a-1")] if busy else []
    power.rack("a")
    power.step(3)
    power.event("less", "a", start=power.now + 1, end=power.now + 3600, targetWatts=int(target), source="grid")
    power.step(5)
    return power


def test_what_the_levels_allow_is_met_by_caps_alone() -> None:
    power = shed(9000.0, busy=False)
    assert power.events["less"].status.shortfall_watts == 0
    assert power.events["less"].status.met_at is None
    power.watts["a"] = 8900.0
    power.step(2)
    assert power.events["less"].status.met_at is not None
    assert NoticeKind.EVENT_MET in power.kinds()


def test_what_the_levels_do_not_allow_is_told_as_a_shortfall_while_all_is_capped_that_may_be() -> None:
    power = shed(4500.0, busy=True)
    power.step(20)
    status = power.events["less"].status
    # High priority is held to 0.926 of its clock at the deepest level, which sheds far less than 5.1 kW.
    assert status.shortfall_watts is not None
    assert 3000 < status.shortfall_watts < 5100
    assert status.met_at is None
    assert power.limits("a-0") == power.limits("a-1") == {("0.926", None)}
    assert power.domains["a"].status.budget_watts == 4500
