"""Dynamo's annotation: read on pods of others as a ceiling, written on ours alone and where that is switched on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.power.dynamo import ANNOTATION
from medley_operator.domain.power.report import NoticeKind
from tests.unit.operator.domain.power.play import Power, pod, service

CALM, HOT = 8000.0, 11500.0


def cap_of(power: Power, node: str, index: int) -> int | None:
    return power.caps[node].spec.gpus[index].limit.cap_watts


def foreign(power_limit: str, *, on: str = "a-0", name: str = "dynamo-worker") -> Power:
    """A rack of two nodes; on the first GPU of `on` is a pod of others that asks for this."""
    power = Power(watts={"a": CALM}, pods=[pod("", on, 1, name=name, power_limit=power_limit)])
    power.rack("a")
    power.report(on, pods={0: f"team/{name}"})
    power.step(2)
    return power


def test_what_a_pod_of_others_asks_for_is_a_ceiling_on_its_own_gpu() -> None:
    power = foreign("300")
    assert [cap_of(power, "a-0", index) for index in (0, 1)] == [300, None]
    assert power.caps["a-1"].spec.gpus[0].limit.cap_watts is None
    assert power.domains["a"].status.capped_gpus == 1
    power.watts["a"] = HOT
    power.step(2)
    limit = power.caps["a-0"].spec.gpus[0].limit
    # It counts as Normal, as all pods of others do: the level locks its clock, and the ceiling stays beside it.
    assert limit.cap_watts == 300
    assert float(limit.clock_fraction) < 1.0


def test_the_ceiling_goes_with_the_pod() -> None:
    power = foreign("300")
    writes = power.writes
    power.step(5)
    assert power.writes == writes, "what stays is written once"
    power.pods = []
    power.report("a-0")
    power.step(2)
    assert cap_of(power, "a-0", 0) is None


def test_a_new_leader_keeps_the_ceiling_and_no_more() -> None:
    power = foreign("300")
    power.new_leader()
    power.step(2)
    assert [cap_of(power, "a-0", index) for index in (0, 1)] == [300, None]
    power.pods = []
    power.report("a-0")
    assert power.until(lambda: cap_of(power, "a-0", 0) is None, within=10) > 0


@pytest.mark.parametrize(
    ("asked", "cap"), [("100", 200), ("700", None), ("5000", None)], ids=["below the range", "the most", "above"]
)
def test_a_ceiling_is_within_what_the_board_takes(asked: str, cap: int | None) -> None:
    assert cap_of(foreign(asked), "a-0", 0) == cap


@pytest.mark.parametrize("text", ["0", "-5", "250W", "2.5e2", "٢٥٠", "1234567", " 250"])
def test_one_that_cannot_be_read_is_told_once_and_caps_nothing(text: str) -> None:
    power = foreign(text)
    power.step(5)
    assert cap_of(power, "a-0", 0) is None
    assert power.kinds().count(NoticeKind.LIMIT_REFUSED) == 1


def test_the_message_names_pod_annotation_value_and_way_out() -> None:
    power = Power(watts={"a": CALM}, pods=[pod("", "a-0", 1, name="w", power_limit="250W")])
    power.rack("a")
    power.report("a-0", pods={0: "team/w"})
    (notice,) = power.step().notices
    assert notice.about.name == "a"
    assert all(word in notice.message for word in ("pod team/w", ANNOTATION, "'250W'", "such as 250"))


def test_of_pods_on_one_gpu_the_least_counts() -> None:
    power = foreign("300")
    power.pods.append(pod("", "a-0", 1, name="other", power_limit="250"))
    status = power.caps["a-0"].status
    first = status.gpus[0].model_copy(update={"pods": ["team/dynamo-worker", "team/other"]})
    told = status.model_copy(update={"gpus": [first, *status.gpus[1:]]})
    power.caps["a-0"] = power.caps["a-0"].model_copy(update={"status": told})
    power.step(2)
    assert cap_of(power, "a-0", 0) == 250


def own(*, annotates_pods: bool) -> Power:
    """A rack with a service of two pods, each on four GPUs of one node, and a pod of others on the other node."""
    power = Power(watts={"a": CALM}, services=[service("batch", "Low")], annotates_pods=annotates_pods)
    power.pods = [pod("batch", "a-0", 4, name="b-0"), pod("batch", "a-0", 4, name="b-1"), pod("", "a-1", name="x")]
    power.rack("a")
    power.report("a-0", pods={index: f"team/b-{index // 4}" for index in range(8)})
    power.report("a-1", pods=dict.fromkeys(range(8), "team/x"))
    power.step(2)
    return power


def told(power: Power) -> dict[str, str]:
    return {each.name: each.power_limit for each in power.pods}


def test_ours_say_what_their_gpus_are_held_to_and_pods_of_others_are_never_written() -> None:
    power = own(annotates_pods=True)
    assert told(power) == {"b-0": "", "b-1": "", "x": ""}
    power.watts["a"] = HOT
    power.step(2)
    # 0.787 of the clock of an H100: 70 + 630 x 0.787^1.2 W.
    assert told(power) == {"b-0": "542", "b-1": "542", "x": ""}
    writes = power.writes
    power.step(3)
    assert power.limits("a-0") == {("0.787", None)}, "what it wrote is no ceiling"
    power.watts["a"] = CALM
    power.until(lambda: told(power) == {"b-0": "", "b-1": "", "x": ""}, within=300)
    assert power.writes > writes
    assert power.limits("a-0") == {("1", None)}


def test_nothing_is_written_where_it_is_not_switched_on() -> None:
    power = own(annotates_pods=False)
    power.watts["a"] = HOT
    power.step(5)
    assert set(told(power).values()) == {""}


def test_a_pod_that_only_says_that_it_is_ours_is_one_of_others() -> None:
    power = own(annotates_pods=True)
    power.pods.append(pod("nobody", "a-1", 1, name="forged"))
    power.watts["a"] = HOT
    power.step(3)
    assert told(power)["forged"] == ""


def test_a_refused_domain_leaves_what_pods_say_and_one_that_is_gone_takes_it_away() -> None:
    power = own(annotates_pods=True)
    power.watts["a"] = HOT
    power.step(2)
    power.domain("a", budget=500, nodeSelector={"rack": "a"}, nonGpuWatts=1000)
    power.new_leader()
    power.step(3)
    assert told(power)["b-0"] == "542"
    del power.domains["a"]
    del power.watts["a"]
    power.step(3)
    assert told(power)["b-0"] == ""


def test_without_word_of_the_agent_a_pod_says_the_deepest_of_its_node() -> None:
    power = Power(watts={"a": CALM}, services=[service("batch", "Low")], annotates_pods=True)
    power.pods = [pod("batch", "a-0", name="b-0")]
    power.rack("a", reported=False)
    power.step(2)
    power.watts["a"] = HOT
    power.step(2)
    assert told(power) == {"b-0": "542"}


def test_an_ended_pod_is_left_as_it_is() -> None:
    power = own(annotates_pods=True)
    power.pods = [replace(each, ended=each.name == "b-0") for each in power.pods]
    power.watts["a"] = HOT
    power.step(3)
    assert (told(power)["b-0"], told(power)["b-1"]) == ("", "542")
