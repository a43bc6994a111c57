"""Candidate settings: how they are written, what a service does not take, and which one comes first."""

from __future__ import annotations

import pytest

from medley_operator.replay.bad_replay import BadReplay
from medley_operator.replay.report import summarise_sweep
from medley_operator.replay.sweep import SweptField, candidates, sweep, swept_field
from tests.unit.operator.replay.worlds import scenario


def test_values_are_read_as_yaml_reads_them() -> None:
    assert swept_field("scaling.headroomPercent=0,5") == SweptField("scaling.headroomPercent", (0, 5))
    assert swept_field("workload.window=1m,5m") == SweptField("workload.window", ("1m", "5m"))
    assert swept_field("scaling.zoneSpread=true,false").values == (True, False)


@pytest.mark.parametrize("text", ["", "scaling", "=1", "a..b=1", "a b=1"])
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a field with its values"):
        swept_field(text)


def test_a_value_that_a_service_does_not_take_names_its_field() -> None:
    with pytest.raises(BadReplay, match=r"--sweep, LLMService demo/llama: spec\.scaling\.headroomPercent is 900"):
        candidates(scenario("constant:2x5m"), [SweptField("scaling.headroomPercent", (900,))])
    with pytest.raises(BadReplay, match=r"spec\.scaling\.speed"):
        candidates(scenario("constant:2x5m"), [SweptField("scaling.speed", (1,))])


def test_too_many_candidates_are_refused() -> None:
    field = SweptField("scaling.headroomPercent", tuple(range(100)))
    with pytest.raises(BadReplay, match="comes to 10000 candidates"):
        candidates(scenario("constant:2x5m"), [field, field])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_cheapest_candidate_that_keeps_the_percentile_comes_first(workers: int) -> None:
    world = scenario("ramp:4-16x40m")
    asked = candidates(world, [SweptField("scaling.headroomPercent", (0, 150))])
    found = list(sweep(asked, {}, workers=workers))
    assert [settings["scaling.headroomPercent"] for settings, _ in found] == [0, 150]
    report = summarise_sweep(world, found)
    first, second = report["candidates"]
    assert first["settings"] == {"scaling.headroomPercent": 0}
    assert first["attainment_percent"] >= 95
    assert first["cost"] < second["cost"]


def test_words_that_yaml_takes_for_booleans_stay_words_and_booleans_take_them() -> None:
    fields = [swept_field("scaling.forecast.mode=Auto,Off"), swept_field("scaling.zoneSpread=no,true")]
    found = [scenario.own.services[0].spec.scaling for _, scenario in candidates(scenario("constant:2x5m"), fields)]
    assert [(spec.forecast.mode, spec.zone_spread) for spec in found] == [
        ("Auto", False),
        ("Auto", True),
        ("Off", False),
        ("Off", True),
    ]
