"""How far a service shrinks in one step: by halves, not too often, and after its route."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.shrink import ROUTE_SECONDS, SHRINK_SECONDS, bounded, routed
from medley_operator.domain.rollout.step_memory import ServiceSteps, Shrink


def runs(replicas: int, ready: int | None = None, name: str = "l4", **fields: Any) -> dict[str, RunningVariant]:
    found = RunningVariant(
        name=name,
        layout="abc",
        object_name=f"llama-{name}-abc",
        pool=name,
        replicas=replicas,
        ready=replicas if ready is None else ready,
        gpus_per_replica=1,
        drained=False,
        **fields,
    )
    return {name: found}


FRESH = ServiceSteps()


def after(wanted: int, running: dict[str, RunningVariant], steps: ServiceSteps = FRESH, at: float = 0.0) -> int:
    return bounded({"l4": wanted}, running, steps, at_seconds=at).replicas["l4"]


@pytest.mark.parametrize(("ready", "first"), [(10, 5), (5, 2), (3, 1), (2, 1), (1, 0)])
def test_ready_replicas_go_by_halves(ready: int, first: int) -> None:
    assert after(0, runs(ready)) == first


def test_no_more_goes_than_is_to_go() -> None:
    assert after(9, runs(10)) == 9
    assert after(12, runs(10)) == 12


def test_replicas_that_are_not_ready_go_at_once() -> None:
    assert after(4, runs(12, ready=4)) == 4
    assert after(0, runs(12, ready=0)) == 0


def test_while_two_templates_are_there_each_that_goes_may_be_a_ready_one() -> None:
    """The controller takes from the pods of either template: 12 asked for, 4 of them not Ready, and 8 fewer."""
    rolling = runs(12, ready=8, made=12, updated=4)
    assert after(4, rolling) == 8
    assert after(4, runs(12, ready=8, made=12, updated=4, stalled=True)) == 4
    assert rolling["l4"].staying(8) == 4


def test_the_next_step_waits_and_says_for_how_long() -> None:
    running = runs(10)
    step = routed(bounded({"l4": 0}, running, ServiceSteps(), at_seconds=100.0), running, None, at_seconds=100.0)
    assert (step.replicas, step.wait_seconds) == ({"l4": 5}, SHRINK_SECONDS)
    again = bounded({"l4": 0}, runs(5), step.steps, at_seconds=104.0)
    assert (again.replicas, again.wait_seconds) == ({"l4": 5}, SHRINK_SECONDS - 4.0)
    assert after(0, runs(5), step.steps, at=100.0 + SHRINK_SECONDS) == 2


def shrinking(steps: ServiceSteps) -> Shrink:
    return Shrink({"l4": 1}, None, steps)


def test_a_shrink_waits_for_the_route_that_leaves_it() -> None:
    """A variant was scaled to zero before the route left it, with all of the weight on it for as long as the route was
    refused."""
    old, new = {"l4": 1000}, {"l4": 400, "h100": 600}
    kept = routed(shrinking(ServiceSteps(weights=old)), runs(2), new, at_seconds=10.0)
    assert kept.replicas == {"l4": 2}
    refused = routed(shrinking(ServiceSteps(weights=None)), runs(2), new, at_seconds=10.0)
    assert refused.replicas == {"l4": 2}


def test_a_shrink_waits_some_seconds_after_the_route_was_accepted() -> None:
    new = {"l4": 400, "h100": 600}
    steps = ServiceSteps().seen(new, at_seconds=10.0)
    early = routed(shrinking(steps), runs(2), new, at_seconds=11.0)
    assert (early.replicas, early.wait_seconds) == ({"l4": 2}, ROUTE_SECONDS - 1.0)
    assert routed(shrinking(steps), runs(2), new, at_seconds=10.0 + ROUTE_SECONDS).replicas == {"l4": 1}


def test_a_route_that_was_changed_meanwhile_starts_the_wait_anew() -> None:
    steps = ServiceSteps().seen({"l4": 1}, at_seconds=10.0)
    assert steps.seen({"l4": 1}, at_seconds=20.0) is steps
    assert steps.seen(None, at_seconds=20.0).weights is None
    assert steps.seen({"l4": 2}, at_seconds=20.0).weights_since == 20.0


def test_growth_and_replicas_that_serve_nothing_wait_for_no_route() -> None:
    grown = Shrink({"l4": 3}, None, ServiceSteps())
    assert routed(grown, runs(2), {"l4": 1000}, at_seconds=0.0).replicas == {"l4": 3}
    assert routed(shrinking(ServiceSteps()), runs(2, ready=1), {"l4": 1}, at_seconds=0.0).replicas == {"l4": 1}
