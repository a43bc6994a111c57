"""The story of a recording, and what a replay of it tells otherwise."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from e2e.fleet.load import Arrivals, Workload
from e2e.recording import Recording, Sight
from e2e.twin import Change, Stage, changed_otherwise, differences, replayed, story, told_otherwise

START = 1_000_000.0
STAGES = (20.0, 110.0)
END = 230.0


def sights(*fleets: tuple[float, dict[str, int]]) -> list[Sight]:
    """A sight each second up to END; each fleet from its time on."""
    found, at = [], 0.0
    while at < END:
        asked = [fleet for since, fleet in fleets if since <= at][-1]
        found.append(Sight(at, asked, asked, {name: ("l4", 2) for name in asked}))
        at += 1.0
    return found


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Recording(sights((0, {"a": 1})), [(1.0, 20, 30)], [0.5])
    written.write(tmp_path / "recording.json")
    assert Recording.read(tmp_path / "recording.json") == written


def test_a_change_is_timed_by_its_half_and_told_in_order() -> None:
    seen = sights((0, {"a": 1}), (30, {"a": 1, "b": 1}), (34, {"a": 1, "b": 5}), (40, {"b": 4}), (150, {"b": 2}))
    assert story(seen, STAGES, end=END) == [
        Stage({"b": 4}, (Change("b", 0, 4, 13.0), Change("a", 1, 0, 19.0))),
        Stage({"b": 2}, (Change("b", 4, 2, 39.0),)),
    ]


def test_what_overshoots_has_changed_when_it_stays() -> None:
    seen = sights((0, {"a": 1}), (30, {"a": 9}), (50, {"a": 1}), (60, {"a": 4}))
    assert story(seen, STAGES[:1], end=END)[0].changes == (Change("a", 1, 4, 39.0),)


TOLD = [Stage({"b": 4}, (Change("b", 0, 4, 13.0), Change("a", 1, 0, 21.0)))]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (TOLD[0], ""),
        (replace(TOLD[0], changes=(Change("b", 0, 4, 15.0), Change("a", 1, 0, 17.0))), ""),
        (replace(TOLD[0], rest={"b": 5}), ""),
        (replace(TOLD[0], rest={"b": 6}), "rests at"),
        (replace(TOLD[0], rest={"b": 4, "a": 1}), "rests at"),
        (replace(TOLD[0], changes=(Change("b", 0, 4, 20.0), Change("a", 1, 0, 21.0))), r"comes \+7.0 s later"),
        (replace(TOLD[0], changes=(Change("a", 1, 0, 15.0), Change("b", 0, 4, 16.0))), "a changes before b"),
    ],
)
def test_another_fleet_time_or_order_is_told(other: Stage, says: str) -> None:
    found = differences(TOLD, [other], within_seconds=6.0)
    assert bool(found) is bool(says)
    if says:
        assert any(re.search(says, each) for each in found)


def recording(*loads: Workload) -> Recording:
    requests: list[tuple[float, int, int]] = []
    for load, began, end in zip(loads, STAGES, (*STAGES[1:], END), strict=True):
        arrivals = Arrivals(load, random=Random(str(load)), start=START + began)  # noqa: S311
        requests += [(r.arrival, r.prompt_tokens, r.generation_tokens) for r in arrivals.until(START + end)]
    return Recording([Sight(START, {}, {})], requests)


def told(sent: Recording) -> list[Stage]:
    return story(replayed(sent), [START + at for at in STAGES], end=START + END)


def test_a_replay_of_a_recording_follows_its_load() -> None:
    low, high = Workload(24, 500, 150), Workload(72, 500, 150)
    sent = recording(low, high)
    one = told(sent)
    assert sum(one[0].rest.values()) >= 2
    assert sum(one[1].rest.values()) > 2 * sum(one[0].rest.values())
    # Other draws of the routes tell the same story; another load tells another.
    seen = Recording(replayed(sent, seed=1), sent.requests, [START + at for at in STAGES])
    assert told_otherwise(seen) == []
    assert changed_otherwise(seen) == []
    assert differences(one, told(recording(high, low)), within_seconds=6.0) != []
    # The same fleets a minute later, and as many replicas of a dearer GPU type, are another story.
    late = [replace(sight, at_seconds=sight.at_seconds + 60.0) for sight in seen.sights]
    assert changed_otherwise(replace(seen, sights=[seen.sights[0], *late])) != []
    other = [
        replace(sight, planned={"h100": sum(sight.planned.values())}, gpus={**sight.gpus, "h100": ("h100", 1)})
        for sight in seen.sights
    ]
    assert changed_otherwise(replace(seen, sights=other)) != []
