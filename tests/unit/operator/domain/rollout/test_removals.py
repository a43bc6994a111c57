"""Ready replicas go only where what stays carries the load, also without one more, or as much as the plan does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.removals import (
    NONE_FRESH,
    PROVEN_SECONDS,
    Carries,
    Fresh,
    checked,
    fresh_replicas,
)
from medley_operator.domain.rollout.shrink import SHRINK_SECONDS, bounded, routed
from medley_operator.domain.rollout.step_memory import ServiceSteps, Shrink
from medley_operator.domain.rollout.steps import VariantScale, next_replicas
from medley_operator.domain.values import labels
from medley_operator.domain.values.leadtime import Component, Start
from medley_operator.domain.values.views import PodView

NAMES = ("a", "b", "c")


def variant(name: str, replicas: int, ready: int, **fields: object) -> RunningVariant:
    given = RunningVariant(
        name=name,
        layout="abc",
        object_name=f"llama-{name}-abc",
        pool=name,
        replicas=replicas,
        ready=ready,
        gpus_per_replica=1,
        drained=False,
        updated=replicas,
        made=replicas,
    )
    return replace(given, **fields)  # type: ignore[arg-type]


def after(
    wanted: Mapping[str, int], running: Mapping[str, RunningVariant], carries: Carries, fresh: Fresh = NONE_FRESH
) -> dict[str, int]:
    return checked(Shrink(dict(wanted), None, ServiceSteps()), running, carries, fresh).replicas


def test_what_the_plan_has_always_goes_through() -> None:
    """A plan without a replica to spare has no N-1: it is followed, and not undercut."""
    running = {"a": variant("a", 4, 4), "b": variant("b", 2, 2)}
    carries = Carries({"a": 1.0, "b": 5.0}, load_rps=9.5, planned={"b": 2})
    assert after({"a": 0, "b": 2}, running, carries) == {"a": 0, "b": 2}


def test_replicas_of_unknown_capacity_go_by_number() -> None:
    """A plan of nobody knows how much was carried by nothing at all: all that was Ready could go."""
    running = {"a": variant("a", 4, 4), "b": variant("b", 2, 1)}
    unknown = Carries({}, load_rps=9.5, planned={"b": 2})
    assert after({"a": 0, "b": 2}, running, unknown) == {"a": 4, "b": 2}
    assert after({"a": 0, "b": 2}, {**running, "b": variant("b", 2, 2)}, unknown) == {"a": 0, "b": 2}
    assert after({"a": 0}, running, Carries({}, load_rps=0.0, planned={})) == {"a": 0}


def test_where_the_plan_is_not_there_yet_as_many_go_as_leave_one_to_spare() -> None:
    """Of ten replicas that carry 10, and a load of 6, three go: of the seven left, one more may be lost."""
    running = {"a": variant("a", 10, 10), "b": variant("b", 2, 0)}
    carries = Carries({"a": 1.0, "b": 5.0}, load_rps=6.0, planned={"b": 2})
    assert after({"a": 0, "b": 2}, running, carries) == {"a": 7, "b": 2}
    # The largest of those that stay is the one that may be lost.
    one_large = {"a": variant("a", 10, 10), "b": variant("b", 3, 1)}
    assert after({"a": 0, "b": 3}, one_large, replace(carries, planned={"b": 3})) == {"a": 6, "b": 3}


def test_what_carries_less_than_the_load_loses_nothing() -> None:
    running = {"a": variant("a", 4, 4), "b": variant("b", 2, 1)}
    carries = Carries({"a": 1.0, "b": 5.0}, load_rps=9.0, planned={"b": 2})
    assert after({"a": 0, "b": 2}, running, carries) == {"a": 4, "b": 2}


def test_two_that_shrink_at_once_are_checked_together() -> None:
    running = {"a": variant("a", 4, 4), "b": variant("b", 4, 4)}
    carries = Carries({"a": 1.0, "b": 1.0}, load_rps=4.0, planned={"a": 3, "b": 3})
    assert sum(after({"a": 1, "b": 1}, running, carries).values()) == 5


def test_replicas_that_are_not_ready_go_whatever_the_load_is() -> None:
    running = {"a": variant("a", 9, 2)}
    carries = Carries({"a": 1.0}, load_rps=50.0, planned={"a": 2})
    assert after({"a": 2}, running, carries) == {"a": 2}


def test_while_a_template_rolls_a_shrink_takes_no_more_than_is_certain_to_stay() -> None:
    running = {"a": variant("a", 10, 9, updated=1)}
    carries = Carries({"a": 1.0}, load_rps=8.0, planned={"a": 8})
    assert after({"a": 8}, running, carries) == {"a": 9}
    stalled = {"a": variant("a", 10, 9, updated=1, stalled=True)}
    assert after({"a": 8}, stalled, carries) == {"a": 8}


@pytest.mark.parametrize("replicas", [10**9, 7])
def test_a_count_that_others_wrote_costs_no_time(replicas: int) -> None:
    running = {"a": variant("a", replicas, 5, made=5, updated=5)}
    assert after({"a": 2}, running, Carries({"a": 1.0}, load_rps=9.0, planned={"a": 2})) == {"a": 2}
    assert after({"a": 2}, running, Carries({"a": 1.0}, load_rps=9.0, planned={"a": 5})) == {"a": 5}


def ready_pod(name: str, *, of: str, at: float) -> PodView:
    found = {labels.VARIANT: of, labels.LAYOUT: "abc"}
    start = Start(f"uid-{name}", at, {Component.TOTAL: 60.0})
    return PodView("demo", name, f"uid-{name}", labels=found, controller=("ReplicaSet", "rs"), ready=True, start=start)


def test_the_last_spare_one_waits_until_the_new_ones_have_stayed_ready() -> None:
    """A replica became Ready, the old one went, and the new one ended with its first requests."""
    running = {"a": variant("a", 1, 1), "b": variant("b", 1, 1)}
    carries = Carries({"a": 1.0, "b": 1.0}, load_rps=1.0, planned={"b": 1})
    pods = [ready_pod("new", of="b", at=100.0), ready_pod("old", of="a", at=0.0)]
    fresh = fresh_replicas(running, pods, now=102.0)
    assert fresh == Fresh({"b": 1}, PROVEN_SECONDS - 2.0)
    step = checked(Shrink({"a": 0, "b": 1}, None, ServiceSteps()), running, carries, fresh)
    assert (step.replicas, step.wait_seconds) == ({"a": 1, "b": 1}, PROVEN_SECONDS - 2.0)
    assert fresh_replicas(running, pods, now=100.0 + PROVEN_SECONDS) == Fresh({}, 0.0)
    assert after({"a": 0, "b": 1}, running, carries) == {"a": 0, "b": 1}
    # Where one more is to spare, nobody waits.
    spare = {"a": variant("a", 3, 3), "b": variant("b", 1, 1)}
    assert after({"a": 2, "b": 1}, spare, carries, fresh) == {"a": 2, "b": 1}


def test_a_time_to_come_and_pods_that_do_not_serve_are_not_waited_for() -> None:
    running = {"b": variant("b", 1, 1)}
    ahead = ready_pod("new", of="b", at=200.0)
    assert fresh_replicas(running, [ahead], now=100.0).replicas == {}
    now = ready_pod("new", of="b", at=100.0)
    others = [replace(now, ready=False), replace(now, terminating=True), replace(now, start=None)]
    assert fresh_replicas(running, [*others, replace(now, labels={})], now=100.0).replicas == {}


counts = st.integers(min_value=0, max_value=6)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_each_walk_keeps_what_it_must_and_reaches_the_plan(data: st.DataObject) -> None:
    """Over plans and readiness as they come: no step takes Ready capacity below the smallest of the load, the plan's
    and what was Ready; where the replicas become Ready, the plan is reached."""
    capacity = dict(zip(NAMES, data.draw(st.tuples(*[st.floats(min_value=0.5, max_value=9.0)] * 3)), strict=True))
    running = {
        name: variant(name, count, count)
        for name, count in zip(NAMES, data.draw(st.tuples(*[counts] * 3)), strict=True)
    }
    steps, at_seconds = ServiceSteps(), 0.0
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        planned = dict(zip(NAMES, data.draw(st.tuples(*[counts] * 3)), strict=True))
        carries = Carries(capacity, data.draw(st.floats(min_value=0.0, max_value=60.0)), planned)
        for _ in range(data.draw(st.integers(min_value=0, max_value=4))):
            running, steps = _walk(running, carries, steps, at_seconds)
            at_seconds += data.draw(st.sampled_from([1.0, SHRINK_SECONDS]))
            running = {name: _some_ready(each, data) for name, each in running.items()}
    for _ in range(20):
        running = {name: replace(each, ready=each.replicas) for name, each in running.items()}
        running, steps = _walk(running, carries, steps, at_seconds)
        at_seconds += SHRINK_SECONDS
    assert {name: each.replicas for name, each in running.items()} == planned


def _some_ready(each: RunningVariant, data: st.DataObject) -> RunningVariant:
    return replace(each, ready=data.draw(st.integers(min_value=0, max_value=each.replicas)))


def _walk(
    running: Mapping[str, RunningVariant], carries: Carries, steps: ServiceSteps, at_seconds: float
) -> tuple[dict[str, RunningVariant], ServiceSteps]:
    scales = {
        name: VariantScale(carries.planned.get(name, 0), each.replicas, each.ready) for name, each in running.items()
    }
    step = bounded(next_replicas(scales), running, steps, at_seconds=at_seconds)
    step = routed(checked(step, running, carries), running, None, at_seconds=at_seconds)
    staying = {name: each.staying(step.replicas[name]) for name, each in running.items()}
    ready = {name: each.ready for name, each in running.items()}
    least = min(carries.load_rps, carries.rps(carries.planned), carries.rps(ready))
    assert carries.rps(staying) >= least * (1 - 1e-6)
    if carries.rps(staying) < carries.rps(ready):
        assert carries.spares_one(staying) or carries.is_as_planned(staying)
    changed = {
        name: replace(each, replicas=count, ready=min(each.ready, count), made=count, updated=count)
        for (name, each), count in zip(sorted(running.items()), (step.replicas[name] for name in NAMES), strict=True)
    }
    return changed, step.steps
