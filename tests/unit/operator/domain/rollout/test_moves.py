"""When a replica moves off a node that is going, one at a time, and when it is tried no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.rollout.moves import (
    AGAIN_SECONDS,
    DWELL_SECONDS,
    Move,
    Standing,
    leaving_by_variant,
    next_move,
)
from medley_operator.domain.rollout.step_memory import Moving
from medley_operator.domain.values.views import PodTrouble, PodView
from tests.unit.operator import factories as make
from tests.unit.operator.domain.rollout.test_deletion_costs import pod
from tests.unit.operator.domain.rollout.test_removals import variant

GOING = (pod("a-0", "n1"), pod("a-1", "n1"))
STAYS = pod("a-2", "n2")
POOLS = {"l4": make.pool()}
DWELT = Moving(since=0.0)


def standing(replicas: int = 3, ready: int = 3, *, extra: tuple[PodView, ...] = (), **fields: Any) -> Standing:
    running = {"a": variant("a", replicas, ready, **fields)}
    return Standing(running, {"a": 3}, (*GOING, STAYS, *extra), {"a": GOING})


def move(
    at: Standing, memory: Moving = DWELT, *, room: bool = True, at_seconds: float = 100.0, now: float = 0.0
) -> Move:
    return next_move(at, memory, has_room=lambda _name: room, pools=POOLS, at_seconds=at_seconds, now=now)


def test_a_replica_moves_after_a_short_while() -> None:
    """A node that is cordoned for two seconds moves nothing."""
    first = move(standing(), Moving())
    assert (first.variant, first.wait_seconds, first.memory.since) == ("", DWELL_SECONDS, 100.0)
    assert move(standing(), first.memory, at_seconds=100.0 + DWELL_SECONDS).variant == "a"
    uncordoned = replace(standing(), leaving={})
    assert move(uncordoned, first.memory) == Move()


def test_one_more_stays_asked_for_until_it_is_ready_and_then_one_goes() -> None:
    begun = move(standing())
    assert begun.memory.tried == {"uid-a-0", "uid-a-1"}
    assert move(standing(4, 3), begun.memory).variant == "a"
    assert move(standing(4, 4), begun.memory).variant == ""
    # An operator that was restarted meanwhile goes on, and does not take the new one away.
    assert move(standing(4, 3), Moving()).variant == "a"


def test_the_next_one_moves_when_one_went() -> None:
    begun = move(standing())
    moved = Standing(standing().running, {"a": 3}, (), {"a": GOING[1:]})
    assert move(moved, begun.memory).variant == "a"


def test_a_move_that_moved_nothing_is_tried_again_after_some_minutes() -> None:
    """The cost of the pod was refused, and its controller took the new one: no endless row of starts."""
    begun = move(standing())
    at = 130.0
    left = AGAIN_SECONDS - (at - 100.0)
    again = move(standing(), begun.memory, at_seconds=at)
    assert (again.variant, again.wait_seconds, again.stranded) == ("", left, GOING)
    assert move(standing(), again.memory, at_seconds=100.0 + AGAIN_SECONDS).variant == "a"


def test_without_room_they_stay_and_it_is_told() -> None:
    found = move(standing(), room=False)
    assert (found.variant, found.stranded) == ("", GOING)
    assert move(standing(), Moving(), room=False).stranded == (), "not before it has lasted"


@pytest.mark.parametrize(
    "busy",
    [
        standing(3, 2),
        standing(3, 3, updated=1),
        standing(2, 2),
        standing(6, 6),
        replace(standing(), planned={"a": 3, "b": 1}),
        replace(standing(), running={**standing().running, "b": variant("b", 1, 1)}),
    ],
    ids=["starts", "rolls", "grows", "shrinks", "is made", "goes"],
)
def test_nothing_moves_while_the_service_is_not_at_rest(busy: Standing) -> None:
    found = move(busy)
    assert (found.variant, found.stranded) == ("", ())


STARTING = pod("a-3", "", ready=False, created_at=0.0)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"trouble": PodTrouble("Unschedulable", "no node", 0.0)}, 30.0),
        ({"trouble": PodTrouble("ImagePullBackOff", "no image", 0.0)}, 60.0),
        ({"gated": True}, 60.0),
        ({"creating_since": 0.0}, 900.0),
    ],
)
def test_one_that_does_not_start_is_given_up_before_it_counts_as_a_failure(
    fields: dict[str, Any], seconds: float
) -> None:
    stuck = standing(4, 3, extra=(replace(STARTING, **fields),))
    waits = move(stuck, now=seconds - 1.0)
    assert (waits.variant, waits.wait_seconds) == ("a", 1.0)
    at = 100.0 + seconds
    given_up = move(stuck, waits.memory, now=seconds, at_seconds=at)
    assert given_up.variant == ""
    again = move(standing(), given_up.memory, at_seconds=at + 5.0)
    assert (again.variant, again.wait_seconds) == ("", AGAIN_SECONDS - 5.0), "and not begun anew at once"


def test_a_deployment_that_may_not_make_pods_is_given_up() -> None:
    assert move(standing(4, 3, failure="exceeded quota")).variant == ""
    assert move(standing(4, 3, extra=(STARTING,)), now=500.0).variant == "a", "it loads its model"


def test_only_replicas_that_the_plan_keeps_and_that_may_grow_are_moved() -> None:
    running = {"a": variant("a", 3, 3), "old": variant("old", 1, 1), "paused": variant("paused", 1, 1, paused=True)}
    labels = {name: {**GOING[0].labels, "medley.dev/variant": name} for name in running}
    pods = [replace(GOING[0], labels=labels[name]) for name in running]
    assert list(leaving_by_variant(running, {"a": 3, "paused": 1}, pods)) == ["a"]
