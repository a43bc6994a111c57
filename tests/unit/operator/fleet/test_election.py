"""Leader election as values: when a Lease is free, when ours ends, and what is written down."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.fleet.election import LONGEST_PROMISE_SECONDS, Election, LeaseStep, LeaseTimes

STAMP = "2026-01-01T00:00:00.000000Z"


def lease(holder: str, *, version: int = 1, renewed: str = STAMP, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "medley", "name": "medley-operator", "resourceVersion": str(version)},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed, **spec},
    }


def election() -> Election:
    return Election("b_1", LeaseTimes())


def record(one: Election) -> dict[str, Any]:
    return one.record(namespace="medley", name="medley-operator", timestamp=STAMP)


def test_where_there_is_no_lease_it_is_created() -> None:
    one = election()
    one.saw(None, now=0.0)
    assert one.next_step(0.0) is LeaseStep.CREATE
    made = record(one)
    assert made["metadata"] == {"namespace": "medley", "name": "medley-operator"}
    assert made["spec"] == {
        "holderIdentity": "b_1",
        "leaseDurationSeconds": 15,
        "renewTime": STAMP,
        "acquireTime": STAMP,
        "leaseTransitions": 0,
    }


def test_a_lease_that_somebody_deletes_is_its_holders_to_make_again() -> None:
    """Two replicas led at once where the follower was the first to see that it was gone."""
    follower = election()
    follower.saw(lease("a_1"), now=100.0)
    follower.saw(None, now=110.0)
    follower.saw(None, now=112.0)
    assert follower.next_step(124.9) is LeaseStep.WAIT
    assert follower.next_step(125.0) is LeaseStep.CREATE
    leader = election()
    leader.wrote(lease("b_1"), asked_at=100.0, now=100.0)
    leader.saw(None, now=101.0)
    assert leader.next_step(101.0) is LeaseStep.CREATE


def test_a_lease_is_over_when_we_saw_no_change_for_as_long_as_it_promises() -> None:
    one = election()
    one.saw(lease("a_1"), now=100.0)
    for now in (100.0, 110.0, 115.0):
        assert one.next_step(now) is LeaseStep.WAIT
    assert one.next_step(115.1) is LeaseStep.WRITE


def test_the_wall_clock_of_the_holder_decides_nothing() -> None:
    for stamp in ("1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "nonsense"):
        one = election()
        one.saw(lease("a_1", renewed=stamp), now=0.0)
        assert one.next_step(15.0) is LeaseStep.WAIT
        assert one.next_step(15.1) is LeaseStep.WRITE


def test_a_renewal_that_we_see_starts_the_time_anew_and_a_foreign_label_does_not() -> None:
    one = election()
    one.saw(lease("a_1"), now=0.0)
    one.saw(lease("a_1", version=2, renewed="later"), now=10.0)
    assert one.next_step(20.0) is LeaseStep.WAIT
    labelled = lease("a_1", version=3, renewed="later")
    labelled["metadata"]["labels"] = {"touched": "yes"}
    one.saw(labelled, now=20.0)
    assert one.next_step(25.1) is LeaseStep.WRITE


def test_a_lease_that_was_released_is_taken_at_once() -> None:
    one = election()
    one.saw(lease("", leaseTransitions=4, note="kept"), now=0.0)
    assert one.next_step(0.0) is LeaseStep.WRITE
    taken = record(one)
    assert taken["metadata"]["resourceVersion"] == "1"
    assert (taken["spec"]["leaseTransitions"], taken["spec"]["note"]) == (5, "kept")


def test_a_renewal_counts_no_transition() -> None:
    one = election()
    one.saw(lease("b_1", leaseTransitions=4, acquireTime="then"), now=0.0)
    assert one.next_step(0.0) is LeaseStep.WRITE
    renewed = record(one)["spec"]
    assert (renewed["leaseTransitions"], renewed["acquireTime"]) == (4, "then")


@pytest.mark.parametrize("promised", [0, -5, None, "long", 10**9])
def test_a_promise_that_makes_no_sense_does_not_keep_the_fleet_without_a_leader(promised: object) -> None:
    one = election()
    one.saw(lease("a_1", leaseDurationSeconds=promised), now=0.0)
    assert one.next_step(10.0) is LeaseStep.WAIT
    assert one.next_step(LONGEST_PROMISE_SECONDS + 0.1) is LeaseStep.WRITE


def test_our_time_counts_from_when_we_asked_and_ends_before_others_may_lead() -> None:
    one = election()
    one.saw(None, now=0.0)
    assert one.seconds_left(0.0) == 0.0
    one.wrote(lease("b_1"), asked_at=1.0, now=4.0)
    assert one.seconds_left(4.0) == 7.0
    assert one.seconds_left(11.0) == 0.0
    other = Election("c_1", LeaseTimes())
    # The other one cannot have seen our record before we asked for it.
    other.saw(lease("b_1"), now=1.0)
    assert other.next_step(15.9) is LeaseStep.WAIT


def test_a_lease_that_another_holds_ends_ours_at_once() -> None:
    one = election()
    one.saw(None, now=0.0)
    one.wrote(lease("b_1"), asked_at=0.0, now=0.0)
    one.saw(lease("c_1", version=2), now=1.0)
    assert one.seconds_left(1.0) == 0.0
    assert one.holder == "c_1"


def test_a_lease_that_somebody_deleted_is_made_again_within_our_time() -> None:
    one = election()
    one.saw(None, now=0.0)
    one.wrote(lease("b_1"), asked_at=0.0, now=0.0)
    one.saw(None, now=2.0)
    assert one.seconds_left(2.0) == 8.0
    assert one.next_step(2.0) is LeaseStep.CREATE


def test_who_resigns_leads_no_longer_before_anything_is_written() -> None:
    one = election()
    one.saw(None, now=0.0)
    assert one.resign(timestamp=STAMP) is None
    one.wrote(lease("b_1", leaseTransitions=3), asked_at=0.0, now=0.0)
    given_back = one.resign(timestamp="now")
    assert one.seconds_left(0.0) == 0.0
    assert given_back is not None
    assert given_back["metadata"]["resourceVersion"] == "1"
    assert (given_back["spec"]["holderIdentity"], given_back["spec"]["leaseTransitions"]) == ("", 3)
    assert one.resign(timestamp=STAMP) is None
