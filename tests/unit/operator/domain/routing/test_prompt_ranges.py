"""The prompts that a plan sends to each variant, as a range of tokens, and the pods that need its label."""

from __future__ import annotations

import pytest

from medley_operator.domain.routing.prompt_ranges import AGAIN_SECONDS, LONGEST_TOKENS, due_ranges, is_range, range_note
from medley_operator.domain.routing.prompt_ranges import prompt_ranges as ranges_of
from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.labels import PROMPT_RANGE, pod_selector
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView
from medley_planner.model import Bucket, Demand, PlanStatus, RoutingMode, ServicePlan, SizeSource, VariantPlan

PROMPTS = (100.0, 400.0, 400.0, 6400.0, 20000.0)
"""Two buckets of one class among them; the last one has no requests."""
DEMAND = Demand(
    rate_rps=4.0,
    buckets=tuple(Bucket(prompt, 50.0 + index) for index, prompt in enumerate(PROMPTS)),
    shares=(0.4, 0.2, 0.2, 0.2, 0.0),
    size_source=SizeSource.GATEWAY,
)


def prompt_ranges(longest: int | None = 131072, **shares: tuple[float, ...]) -> dict[str, str]:
    """The ranges of variants with these shares of the buckets; a variant without any has no replicas."""
    variants = tuple(
        VariantPlan(name, "pool", 1 if given else 0, 1.0, 0.5, given or (0.0,) * len(PROMPTS), 0.5)
        for name, given in shares.items()
    )
    plan = ServicePlan("s", PlanStatus.OPTIMAL, RoutingMode.INFERENCE_POOL, variants, 2.0, (), None, ())
    return ranges_of(plan, DEMAND, longest_tokens=longest)


def test_neighbours_meet_between_their_classes_and_no_length_is_left_out() -> None:
    found = prompt_ranges(l4=(1, 1, 1, 0, 0), h100=(0, 0, 0, 1, 1))
    assert found == {"l4": "0-1600", "h100": "1601-131072"}


def test_a_shared_class_belongs_to_both_ranges() -> None:
    found = prompt_ranges(l4=(1, 0.5, 0.5, 0, 0), h100=(0, 0.5, 0.5, 1, 0))
    assert found == {"l4": "0-1600", "h100": "201-131072"}


def test_a_range_goes_from_the_shortest_to_the_longest_prompt_whatever_lies_between() -> None:
    assert prompt_ranges(l4=(1, 0, 0, 1, 0), h100=(0, 1, 1, 0, 0)) == {"l4": "0-131072", "h100": "201-1600"}


def test_a_variant_without_requests_may_take_any_and_one_without_replicas_has_no_range() -> None:
    found = prompt_ranges(l4=(1, 1, 1, 1, 0), spare=(0, 0, 0, 0, 0), gone=())
    assert found == {"l4": "0-131072", "spare": "0-131072"}


@pytest.mark.parametrize(("longest", "end"), [(None, LONGEST_TOKENS), (1000, 1601)])
def test_the_last_range_ends_where_prompts_do_and_after_it_begins(longest: int | None, end: int) -> None:
    found = prompt_ranges(longest, l4=(1, 1, 1, 0, 0), h100=(0, 0, 0, 1, 0))
    assert found["h100"] == f"1601-{end}"


@pytest.mark.parametrize(("text", "good"), [("0-2048", True), ("", False), ("a-b", False), ("1-2\n", False)])
def test_a_text_that_is_not_a_range_is_not_written_to_a_pod(text: str, good: bool) -> None:
    assert is_range(text) is good


def pod(name: str, *, text: str = "", terminating: bool = False, variant: str = "l4") -> PodView:
    labels = pod_selector(service="llama", variant=variant, layout="abcdefgh") | ({PROMPT_RANGE: text} if text else {})
    return PodView("demo", name, f"uid-{name}", labels=labels, terminating=terminating)


def given(name: str, text: str) -> PodNote:
    return range_note(ObjectKey("Pod", "demo", name), f"uid-{name}", text)


def test_pods_with_another_range_or_none_get_theirs() -> None:
    pods = [pod("new"), pod("moved", text="0-99"), pod("right", text="0-2048"), pod("ends", terminating=True)]
    due, asked = due_ranges([*pods, pod("other", variant="a10")], {"l4": "0-2048"}, asked={}, at_seconds=5.0)
    assert due == (given("new", "0-2048"), given("moved", "0-2048"))
    assert asked == {"uid-new": ("0-2048", 5.0), "uid-moved": ("0-2048", 5.0)}


def test_pods_of_an_old_layout_get_the_range_of_their_variant() -> None:
    due, _ = due_ranges([pod("old")], {"l4@hgfedcba": "0-2048"}, asked={}, at_seconds=0.0)
    assert due == (given("old", "0-2048"),)


def test_a_label_that_something_takes_off_is_given_again_after_a_minute_and_another_one_at_once() -> None:
    asked = {"uid-new": ("0-2048", 5.0)}
    assert due_ranges([pod("new")], {"l4": "0-2048"}, asked=asked, at_seconds=6.0) == ((), asked)
    again, _ = due_ranges([pod("new")], {"l4": "0-2048"}, asked=asked, at_seconds=5.0 + AGAIN_SECONDS)
    other, _ = due_ranges([pod("new")], {"l4": "0-99"}, asked=asked, at_seconds=6.0)
    assert (again, other) == ((given("new", "0-2048"),), (given("new", "0-99"),))
