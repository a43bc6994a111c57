"""Rounds of the controller of power on a given clock: crossings, releases, bad input, lost meters, new leaders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from medley_operator.api.v1alpha1.power import CapMode, PowerDomain, PowerEvent
from medley_operator.domain.power import tell
from medley_operator.domain.power.report import NoticeKind, domain_status
from medley_operator.domain.power.view import MeterFault
from medley_operator.domain.values.snapshot import InvalidObject, ObjectKey
from medley_operator.fleet.parse import parse_object
from medley_planner.refusal import Refusal
from tests.unit.operator.domain.power.play import FULL_WATTS, NON_GPU_WATTS, Power, node, pod, service

UNCAPPED = {("1", None)}
LOW_2 = {("0.787", None)}


@pytest.fixture
def power() -> Power:
    """A rack of two nodes that draws 8 kW of 12 kW, uncapped."""
    played = Power(watts={"a": 8000.0})
    played.rack("a")
    played.step(10)
    assert played.limits("a-0") == UNCAPPED
    return played


def test_levels_are_jumped_and_left_one_by_one(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step()
    assert power.limits("a-0") == power.limits("a-1") == LOW_2
    power.step(6)
    assert power.domains["a"].status.level == 3, "T2 again: it is still above"
    power.watts["a"] = 9000.0
    power.step(60)
    assert power.domains["a"].status.level == 2
    assert power.until(lambda: power.limits("a-0") == UNCAPPED, within=200) > 60
    assert NoticeKind.LEVEL_RAISED in power.kinds()
    assert power.kinds().count(NoticeKind.LEVEL_LOWERED) == 3


def test_nothing_is_written_while_nothing_changes_but_leases(power: Power) -> None:
    power.step(5)
    before, revisions = power.writes, {cap.spec.revision for cap in power.caps.values()}
    power.step(60)
    renewals = power.writes - before
    assert 2 * 60 // 15 - 1 <= renewals <= 2 * 60 // 12 + 1
    assert {cap.spec.revision for cap in power.caps.values()} == revisions


def test_priority_decides_and_policies_bound_it() -> None:
    power = Power(watts={"a": 8000.0}, services=[service("vip", "High"), service("batch", "Low")])
    power.pods = [pod("vip", "a-0"), pod("batch", "a-1")]
    power.rack("a")
    power.step(2)
    power.watts["a"] = 11500.0
    power.step()
    assert power.limits("a-0") == UNCAPPED, "High is not capped at level 2"
    assert power.limits("a-1") == LOW_2
    power.step(6)
    assert power.limits("a-0") == {("0.926", None)}
    assert {gpu.priority for gpu in power.caps["a-0"].spec.gpus} == {"High"}


def test_gpus_by_pod_where_the_agent_knows_them_else_the_highest_counts() -> None:
    power = Power(watts={"a": 8000.0}, services=[service("vip", "High"), service("batch", "Low")])
    power.pods = [pod("vip", "a-0", 4), pod("batch", "a-0", 4)]
    power.rack("a")
    power.step()
    assert [gpu.priority for gpu in power.caps["a-0"].spec.gpus] == ["High"] * 8
    assert [gpu.priority for gpu in power.caps["a-1"].spec.gpus] == ["Low"] * 8, "nothing runs there"
    power.report("a-0", pods={0: "team/vip-0", 1: "team/batch-0", 2: "other/x"})
    power.step()
    assert [gpu.priority for gpu in power.caps["a-0"].spec.gpus] == ["High", "Low", "Normal"] + ["Low"] * 5
    power.pods.append(pod("vip", "a-0", 1, name="vip-1"))
    power.step()
    named = [gpu.priority for gpu in power.caps["a-0"].spec.gpus]
    assert named == ["High", "Low", "Normal"] + ["High"] * 5, "the new pod may be on any that is free"


def test_before_an_agent_reports_all_gpus_of_a_node_have_one_limit() -> None:
    power = Power(watts={"a": 11500.0})
    power.rack("a", reported=False)
    power.step(2)
    assert power.caps["a-0"].spec.gpus == []
    assert power.limits("a-0") == LOW_2
    power.report("a-0")
    power.step()
    assert power.limits("a-0") == LOW_2, "a GPU that is named now is not released by it"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((), "MeterEmpty"),
        ((8000.0, 8000.0), "MeterAmbiguous"),
        (80000.0, "MeterImplausible"),
        (8.0, "MeterImplausible"),
        (float("nan"), "MeterImplausible"),
        (MeterFault("Prometheus does not answer"), "MeterUnreachable"),
    ],
)
def test_a_meter_that_cannot_be_believed_is_held_then_safe(power: Power, answer: object, reason: str) -> None:
    power.watts["a"] = answer  # type: ignore[assignment]
    power.step(5)
    assert power.limits("a-0") == UNCAPPED
    assert power.reason("a", "MeterReadable") == reason
    power.step(10)
    assert power.domains["a"].status.reason == "Blind"
    ((clock, watts),) = power.limits("a-0")
    assert float(clock) < 0.8
    assert watts is not None
    assert 2 * (NON_GPU_WATTS + 8 * watts) <= 12000
    assert power.reason("a", "MeterReadable") == reason
    assert NoticeKind.BLIND in power.kinds()


def test_a_blind_domain_relaxes_only_when_it_sees(power: Power) -> None:
    power.watts["a"] = ()
    power.step(20)
    capped = power.limits("a-0")
    power.step(600)
    assert power.limits("a-0") == capped
    power.watts["a"] = 8000.0
    power.step(50)
    assert power.limits("a-0") == capped, "the dwell begins when it sees"
    power.step(400)
    assert power.limits("a-0") == UNCAPPED


def test_a_new_leader_takes_over_what_is_capped(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(8)
    capped = power.limits("a-0")
    assert capped != UNCAPPED
    power.new_leader()
    power.watts["a"] = 8000.0
    power.step(50)
    assert power.limits("a-0") == capped
    assert power.domains["a"].status.level == 3


def test_a_new_leader_goes_by_the_caps_where_the_status_is_late(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(8)
    status = power.domains["a"].status.model_copy(update={"level": 0, "reason": "Below"})
    power.domains["a"] = power.domains["a"].model_copy(update={"status": status})
    power.new_leader()
    power.watts["a"] = 8000.0
    capped = power.limits("a-0")
    power.step(50)
    assert power.limits("a-0") == capped


def test_a_new_leader_takes_no_level_of_gpus_whose_limit_is_from_before() -> None:
    power = Power(services=[service("chat", "High"), service("batch", "Low")])
    power.rack("a", dwellSeconds=5, rampSeconds=1)
    power.pods = [pod("chat", "a-0"), pod("batch", "a-1")]
    power.watts["a"] = 11500.0
    power.step(10)
    assert power.domains["a"].status.level == 3
    power.watts["a"] = 6000.0
    power.step(120)
    assert power.limits("a-0") == power.limits("a-1") == UNCAPPED
    assert power.caps["a-0"].spec.gpus[0].level > 0, "its limit is the same at the levels below, so nothing was written"
    power.new_leader()
    power.step(3)
    assert power.domains["a"].status.level == 0
    assert power.limits("a-1") == UNCAPPED


def test_a_new_leader_takes_no_level_of_a_row_for_that_of_its_racks() -> None:
    power = Power(watts={"a": 8000.0, "row": 11700.0})
    power.domain("row", budget=12500)
    power.rack("a", parent="row")
    power.step(3)
    assert (power.domains["row"].status.level or 0) > 0
    power.new_leader()
    power.step(3)
    assert power.domains["a"].status.level == 0


def test_what_cannot_be_told_of_a_domain_stops_no_other(power: Power, monkeypatch: pytest.MonkeyPatch) -> None:
    power.rack("b")

    def failing(domain: PowerDomain, *given: Any, **more: Any) -> Any:
        if domain.metadata.name == "a":
            raise ZeroDivisionError("by 0x7f3a2b1c")
        return domain_status(domain, *given, **more)

    monkeypatch.setattr(tell, "domain_status", failing)
    power.watts = {"a": 11500.0, "b": 11500.0}
    power.step(8)
    assert power.limits("a-0") != UNCAPPED
    assert power.limits("b-0") != UNCAPPED
    assert power.reason("a") == "InternalError"
    assert power.reason("b") == "Accepted"


BAD_SPECS: dict[str, dict[str, Any]] = {
    "BudgetBelowIdle": {"budget": 3000},
    "NotEnforceable": {"budget": 5000},
    "UnknownParent": {"budget": 12000, "parent": "nobody"},
    "DomainCycle": {"budget": 12000, "parent": "a"},
    "LevelOutOfOrder": {"budget": 12000, "levels": [{"enter": "0.9"}, {"enter": "0.8"}]},
    "CapOutOfRange": {"budget": 12000, "levels": [{"enter": "0.9", "low": {"capWatts": 100}}]},
    "OutOfRange": {"budget": 12000, "safeLevel": 8},
}


@pytest.mark.parametrize(("reason", "spec"), BAD_SPECS.items())
def test_a_bad_domain_is_refused_and_stops_no_other(reason: str, spec: dict[str, object]) -> None:
    power = Power(watts={"a": 8000.0, "b": 8000.0})
    power.rack("b")
    power.rack("a")
    power.watts["b"] = 11500.0
    power.domain("a", nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS, **spec)  # type: ignore[arg-type]
    power.step(2)
    assert power.reason("a") == reason
    assert power.reason("b") == "Accepted"
    assert power.limits("b-0") == LOW_2
    power.watts["a"] = 11500.0
    power.step(2)
    assert power.limits("a-0") == LOW_2, "what was accepted last stays in force"


@pytest.mark.parametrize(("reason", "spec"), BAD_SPECS.items())
def test_a_domain_that_is_refused_from_the_start_caps_nothing(reason: str, spec: dict[str, object]) -> None:
    power = Power(watts={"a": 11500.0})
    power.nodes["a-0"] = node("a-0", "a")
    power.nodes["a-1"] = node("a-1", "a")
    power.domain("a", nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS, **spec)  # type: ignore[arg-type]
    power.step(20)
    assert power.reason("a") == reason
    assert power.domains["a"].status.reason == "Refused"
    assert power.caps == {}
    assert power.kinds() == [NoticeKind.REFUSED]


def changed_to(**spec: Any) -> Callable[[Power], None]:
    own = {"budget": 12000, "nodeSelector": {"rack": "a"}, "nonGpuWatts": NON_GPU_WATTS}
    return lambda power: power.domain("a", **{**own, **spec})


def reads(*watts: float) -> Callable[[Power], None]:
    return lambda power: power.watts.update(a=watts)


def asked_for(start: float, end: float, target: int) -> Callable[[Power], None]:
    return lambda power: power.event("odd", "a", start=power.now + start, end=power.now + end, targetWatts=target)


def taken_by_another(power: Power) -> None:
    power.domain("thief", budget=12000, nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS)
    power.watts["thief"] = 8000.0


BAD_INPUT: dict[str, tuple[Callable[[Power], None], str, str]] = {
    "a budget below what nodes draw idle": (changed_to(budget=3000), "Accepted", "BudgetBelowIdle"),
    "a node in two domains": (taken_by_another, "Accepted", "NodeInTwoDomains"),
    "a circle in the tree": (changed_to(parent="a"), "Accepted", "DomainCycle"),
    "a cap outside of the board's range": (changed_to(**BAD_SPECS["CapOutOfRange"]), "Accepted", "CapOutOfRange"),
    "a meter in kilowatts": (reads(11.5), "MeterReadable", "MeterImplausible"),
    "a meter that jumps tenfold": (reads(115000.0), "MeterReadable", "MeterImplausible"),
    "a meter with two series": (reads(4000.0, 4000.0), "MeterReadable", "MeterAmbiguous"),
    "a meter without a series": (reads(), "MeterReadable", "MeterEmpty"),
    "an event in the past": (asked_for(-100.0, -1.0, 11000), "", "EventInThePast"),
    "an event below what nodes draw idle": (asked_for(0.0, 3600.0, 3000), "", "BudgetBelowIdle"),
}
"""What is wrong, the condition that says so (none: that of the event), and its reason."""


@pytest.mark.parametrize("name", BAD_INPUT)
def test_no_bad_input_uncaps_anything(power: Power, name: str) -> None:
    """It is told, by the leader that saw it come and by the next one, and no GPU gets more than it had."""
    power.watts["a"] = 11500.0
    power.step(3)
    given, type_, reason = BAD_INPUT[name]
    given(power)
    for _ in range(2):
        power.step(100)
        for limits in map(power.limits, ("a-0", "a-1")):
            assert max(float(fraction) for fraction, _ in limits) <= 0.787
        told = power.reason("a", type_) if type_ else power.events["odd"].status.conditions[0].reason
        assert told == reason
        power.new_leader()


def test_an_event_without_an_end_does_not_parse() -> None:
    spec = {"domain": "a", "targetWatts": 9000, "start": "2026-11-27T13:00:00Z"}
    read = parse_object(PowerEvent)({"metadata": {"name": "odd", "uid": "u"}, "kind": "PowerEvent", "spec": spec})
    assert isinstance(read, InvalidObject)
    assert (read.refusal.reason, "spec.end" in read.refusal.message) == ("InvalidSpec", True)


def test_a_node_in_two_domains_keeps_what_it_had(power: Power) -> None:
    power.domain("thief", budget=12000, nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS)
    power.watts |= {"thief": 8000.0, "a": 11500.0}
    power.step(3)
    assert power.reason("thief") == power.reason("a") == "NodeInTwoDomains"
    assert power.limits("a-0") == LOW_2


def test_a_refused_change_is_held_by_a_new_leader_too(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(3)
    power.domain("a", budget=3000, nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS)
    power.step(3)
    power.new_leader()
    power.watts["a"] = 8000.0
    before = power.caps["a-0"].spec.lease.renew_time
    power.step(300)
    assert power.limits("a-0") == LOW_2
    assert power.caps["a-0"].spec.lease.renew_time > before


def test_an_unknown_board_is_named() -> None:
    power = Power(watts={"a": 8000.0})
    power.nodes["a-0"] = node("a-0", "a", product="Quantum-9")
    power.domain("a", budget=12000, nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS)
    power.step(2)
    assert power.reason("a") == "UnknownBoard"
    message = power.domains["a"].status.conditions[0].message
    assert "a-0" in message
    assert "Quantum-9" in message


def test_children_are_capped_for_their_parent() -> None:
    power = Power(watts={"a": 8000.0, "b": 8000.0, "row": 16000.0})
    power.domain("row", budget=20000)
    power.rack("a", parent="row")
    power.rack("b", parent="row")
    power.watts["row"] = 18500.0
    power.step()
    assert power.limits("a-0") == power.limits("b-1") == LOW_2
    assert power.domains["a"].status.level == 0
    assert power.caps["a-0"].spec.domains == ["a", "row"]


def test_log_writes_no_caps_and_shadow_marks_them() -> None:
    power = Power(watts={"a": 11500.0, "b": 11500.0})
    power.rack("a", mode="Log", reported=False)
    power.rack("b", mode="Shadow")
    power.step(2)
    assert "a-0" not in power.caps
    assert (power.domains["a"].status.level or 0) >= 2
    assert power.caps["b-0"].spec.mode is CapMode.SHADOW
    assert power.limits("b-0") == LOW_2


def test_a_domain_that_logs_above_does_not_cap_below() -> None:
    power = Power(watts={"a": 8000.0, "row": 12300.0})
    power.domain("row", budget=12500, mode="Log")
    power.rack("a", parent="row")
    power.step(3)
    assert power.limits("a-0") == UNCAPPED
    assert (power.domains["row"].status.level or 0) > 0


def test_a_row_caps_the_nodes_of_a_rack_that_only_logs() -> None:
    power = Power(watts={"a": 8000.0, "row": 11900.0})
    power.domain("row", budget=12500)
    power.rack("a", parent="row", mode="Log")
    power.step(2)
    assert power.limits("a-0") == LOW_2
    assert power.caps["a-0"].spec.domains == ["row"]
    assert power.domains["row"].status.nodes == power.domains["a"].status.nodes == 2


def test_an_event_that_does_not_parse_is_told(power: Power) -> None:
    key = ObjectKey("PowerEvent", "", "odd")
    power.rejected = [InvalidObject(key, "uid-odd", 1, Refusal("InvalidSpec", "it is broken"), {})]
    (write,) = power.step().statuses
    assert write.status["conditions"][0]["reason"] == "InvalidSpec"
    assert len(power.step().statuses) == 1, "again, until it is written"


def test_caps_are_released_when_a_person_ends_them_and_not_when_a_label_goes(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(3)
    power.nodes["a-0"] = node("a-0", "nowhere")
    power.step(40)
    assert power.limits("a-0") == LOW_2
    assert power.caps["a-0"].spec.mode is CapMode.ENFORCE
    power.domain("a", budget=12000, nodeSelector={"rack": "a"}, nonGpuWatts=NON_GPU_WATTS, mode="Log")
    power.step()
    assert power.caps["a-0"].spec.mode is power.caps["a-1"].spec.mode is CapMode.RELEASE
    writes = power.writes
    power.step(60)
    assert power.writes - writes <= 2, "nothing is renewed for what is released"


def test_a_deleted_domain_releases_and_a_gone_node_is_forgotten(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(3)
    del power.domains["a"], power.nodes["a-1"]
    power.step()
    assert {cap.spec.mode for cap in power.caps.values()} == {CapMode.RELEASE}
    power.step(605)
    assert set(power.caps) == {"a-0"}


def test_a_domain_that_does_not_parse_any_more_stays_as_it_was(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(2)
    broken = power.domains.pop("a")
    key = ObjectKey("PowerDomain", "", "a")
    power.rejected = [InvalidObject(key, "uid-a", 9, Refusal("InvalidSpec", "it is broken"), {"level": 2})]
    power.step(8)
    (limit,) = power.limits("a-0")
    assert limit[0] != "1"
    assert isinstance(broken, PowerDomain)
    power.new_leader()
    power.step(40)
    assert power.limits("a-0") == {limit}


@pytest.mark.parametrize(
    ("start", "end", "target", "phase", "reason"),
    [
        (-100.0, -1.0, {"targetWatts": 9000}, "Refused", "EventInThePast"),
        (0.0, 3600.0, {"targetWatts": 3000}, "Refused", "BudgetBelowIdle"),
        (0.0, 3600.0, {"targetWatts": 9000}, "Active", "Accepted"),
        (60.0, 3600.0, {"targetFraction": "0.75"}, "Pending", "Accepted"),
    ],
)
def test_events_are_accepted_or_refused(
    power: Power, start: float, end: float, target: dict[str, object], phase: str, reason: str
) -> None:
    power.event("peak", "a", start=power.now + start, end=power.now + end, **target)
    power.step(2)
    status = power.events["peak"].status
    assert (status.phase, status.conditions[0].reason) == (phase, reason)
    assert status.target_watts == int(target.get("targetWatts", 9000))  # type: ignore[call-overload]


def test_an_event_of_an_unknown_domain_waits_for_it(power: Power) -> None:
    power.event("peak", "b", start=power.now, end=power.now + 3600, targetFraction="0.75")
    power.step(2)
    assert power.events["peak"].status.conditions[0].reason == "UnknownDomain"
    power.watts["b"] = 8000.0
    power.rack("b")
    power.step(2)
    assert power.events["peak"].status.phase == "Active"


def test_an_event_lowers_the_budget_until_its_end(power: Power) -> None:
    power.event("peak", "a", start=power.now + 5, end=power.now + 300, targetFraction="0.75", source="grid")
    power.step(4)
    assert power.limits("a-0") == UNCAPPED
    power.step(3)
    assert power.domains["a"].status.budget_watts == 9000
    assert (power.domains["a"].status.level or 0) > 0, "8 kW of 9 kW"
    assert power.events["peak"].status.drawn_watts == 8000
    assert power.events["peak"].status.met_at is not None
    power.new_leader()
    power.step(310)
    assert power.events["peak"].status.phase == "Ended"
    power.step(300)
    assert power.limits("a-0") == UNCAPPED
    power.new_leader()
    power.step(3)
    assert power.events["peak"].status.phase == "Ended", "an event that ran is not refused afterwards"
    assert NoticeKind.EVENT_REFUSED not in power.kinds()
    assert {NoticeKind.EVENT_BEGUN, NoticeKind.EVENT_MET, NoticeKind.EVENT_ENDED} <= set(power.kinds())


def test_a_clock_that_goes_back_relaxes_nothing(power: Power) -> None:
    power.watts["a"] = 11500.0
    power.step(8)
    capped = power.limits("a-0")
    power.watts["a"] = 8000.0
    power.now -= 3600.0
    power.step(30)
    assert power.limits("a-0") == capped


def test_full_load_without_pods_is_within_the_budget_at_the_safe_limits(power: Power) -> None:
    for name in ("a-0", "a-1"):
        safe = [gpu.safe for gpu in power.caps[name].spec.gpus]
        assert 2 * (NON_GPU_WATTS + sum(limit.cap_watts or 700 for limit in safe)) <= 12000 < 2 * FULL_WATTS
