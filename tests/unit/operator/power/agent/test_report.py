"""Statuses of NodePowerCaps: what is in force, what is wrong, and when that is worth a write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.api.v1alpha1.power import NodePowerCapStatus
from medley_operator.power.agent.bounds import Remark
from medley_operator.power.agent.keeper import GpuKeeper, GpuReport
from medley_operator.power.agent.orders import orders_of
from medley_operator.power.agent.report import REFRESH_SECONDS, gpu_status, status_of, worth_writing
from medley_operator.power.gpu.protocol import GpuFault, GpuReading, Throttle
from tests.fake_gpus import FakeBoard, FakeGpus
from tests.unit.operator.power.agent.caps import at, node_power_cap

PODS = {"GPU-1": ["team/chat"]}
CAP = node_power_cap(revision=7, generation=9)


def reported(board: FakeBoard, *, seconds: float = 1.0) -> GpuReport:
    """After one turn under the orders of `CAP`."""
    now = at(seconds)
    keeper = GpuKeeper(board.uuid, FakeGpus([board]), clock=lambda: now.monotonic_seconds)
    orders = orders_of(CAP, at(0.0))
    return keeper.turn(orders.of(board.uuid), lease_ends_seconds=orders.lease_ends_seconds)


def status(*reports: GpuReport, fault: str = "") -> NodePowerCapStatus:
    return status_of(CAP, reports, fault, at(1.0), PODS)


def test_all_is_as_ordered() -> None:
    found = status(reported(FakeBoard("GPU-2")), reported(FakeBoard("GPU-1", mig=True)))
    assert (found.observed_revision, found.observed_generation) == (7, 9)
    assert (found.state, found.message, found.capped_gpus) == ("Enforcing", "", 2)
    first, second = found.gpus
    assert (first.uuid, first.state, first.mig, second.mig) == ("GPU-1", "Ok", True, False)
    assert (first.requested_watts, first.enforced_watts, first.requested_clock_mhz) == (300, 300, 1110)
    assert (first.min_cap_watts, first.max_cap_watts, first.default_cap_watts, first.max_clock_mhz) == (
        *(100, 400, 400),
        1410,
    )
    assert first.applied_at == "2026-09-21T14:13:21Z"
    (condition,) = found.conditions
    assert (condition.type, condition.status, condition.reason) == ("Enforced", "True", "AsOrdered")


@pytest.mark.parametrize(
    ("board", "state", "reason"),
    [
        (FakeBoard("GPU-1", outside_watts=250.0), "Limited", "OtherLimits"),
        (FakeBoard("GPU-1", min_watts=350.0), "Limited", "OtherLimits"),
        (FakeBoard("GPU-1", has_limit=False), "NotSupported", "GpusNotHeld"),
        (FakeBoard("GPU-1", clocks_mhz=()), "NotSupported", "GpusNotHeld"),
        (FakeBoard("GPU-1", write_fault=GpuFault.NOT_PERMITTED), "NoPermission", "GpusNotHeld"),
        (FakeBoard("GPU-1", fault=GpuFault.LOST), "Lost", "GpusNotHeld"),
        (FakeBoard("GPU-1", fault=GpuFault.NO_DRIVER), "Failed", "GpusNotHeld"),
        (FakeBoard("GPU-1", fault=GpuFault.FAILED), "Failed", "GpusNotHeld"),
    ],
)
def test_what_is_wrong_with_a_gpu_is_in_its_state(board: FakeBoard, state: str, reason: str) -> None:
    found = status(reported(board), reported(FakeBoard("GPU-2")))
    assert [gpu.state for gpu in found.gpus] == [state, "Ok"]
    assert found.gpus[0].message
    assert found.message.startswith("1 of 2 GPUs are not held as ordered: GPU-1: ")
    assert found.conditions[0].reason == reason
    assert found.conditions[0].status == ("True" if reason == "OtherLimits" else "False")


def test_every_fault_and_remark_has_a_state() -> None:
    for fault in GpuFault:
        assert gpu_status(GpuReport("GPU-1", faults=(Remark(fault, "x"),)), at(0.0)).state != "Ok"


def test_the_end_of_the_lease_is_told_with_who_held_it() -> None:
    found = status(reported(FakeBoard("GPU-1"), seconds=40.0))
    assert found.state == "Safe"
    assert found.message.startswith("controller-0 last renewed the lease of 30 s at 2026-09-21T14:13:20Z, so the safe")
    assert found.conditions[0].reason == "SafeLimits"


@pytest.mark.parametrize(("mode", "state"), [("Shadow", "Shadow"), ("Release", "Released")])
def test_modes_are_states(mode: str, state: str) -> None:
    found = status_of(node_power_cap(mode=mode), [reported(FakeBoard("GPU-1"))], "", at(1.0), {})
    assert found.state == state


def test_a_driver_that_does_not_answer_is_the_message() -> None:
    found = status(fault="no driver of GPUs answers")
    assert (found.message, found.gpus) == ("no driver of GPUs answers", [])
    assert (found.conditions[0].status, found.conditions[0].reason) == ("Unknown", "NoGpus")


def test_what_moves_by_itself_is_written_within_a_minute_and_what_is_held_at_once() -> None:
    report = reported(FakeBoard("GPU-1"))
    before = status(report)
    assert report.reading is not None
    moved = status(replace(report, reading=replace(report.reading, usage_watts=111.0, throttle=Throttle.NONE)))
    assert moved != before
    assert not worth_writing(before, moved, since_seconds=REFRESH_SECONDS - 1.0)
    assert worth_writing(before, moved, since_seconds=REFRESH_SECONDS)
    assert not worth_writing(before, before, since_seconds=REFRESH_SECONDS)
    braked = status(replace(report, reading=replace(report.reading, throttle=Throttle.POWER_BRAKE)))
    assert braked.gpus[0].reasons == ["HwPowerBrake"]
    lower = status(replace(report, reading=GpuReading(300.0, 250.0)))
    for news in (braked, lower):
        assert worth_writing(before, news, since_seconds=0.0)
    assert worth_writing(None, before, since_seconds=0.0)


def test_another_pod_is_news_at_once() -> None:
    report = reported(FakeBoard("GPU-1"))
    before, after = (status_of(CAP, [report], "", at(1.0), pods) for pods in (PODS, {"GPU-1": ["team/other"]}))
    assert after.gpus[0].pods == ["team/other"]
    assert worth_writing(before, after, since_seconds=1.0)


def test_a_renewal_is_no_news() -> None:
    report = reported(FakeBoard("GPU-1"))
    before = status(report)
    renewed = node_power_cap(revision=7, generation=12, renewed=10.0, status=before.model_dump(by_alias=True))
    after = status_of(renewed, [report], "", at(11.0), PODS)
    assert after.observed_generation == 12
    assert not worth_writing(before, after, since_seconds=10.0)
    unseen = node_power_cap(revision=7, generation=12, renewed=10.0)
    assert not worth_writing(before, status_of(unseen, [report], "", at(11.0), PODS), since_seconds=10.0)
