"""`medley power status` on a cluster in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from medley_operator.cli.power_events import shed
from medley_operator.cli.power_status import read_power, status_lines, status_values
from medley_planner.bad_input import BadInput
from tests.unit.operator.cli.power_cluster import cluster

START = datetime(2027, 1, 15, 16, tzinfo=UTC)
shedding = cluster()
asyncio.run(
    shed(shedding, "row-1", watts=None, fraction="0.750", start=START, end=START + timedelta(hours=3), source="grid")
)
STATE = asyncio.run(read_power(shedding, None))


def test_it_shows_levels_events_and_what_is_refused() -> None:
    lines = status_lines(STATE)
    assert lines[1].split() == ["row-1", "Enforce", "2", "Raised", "9100", "10000", "8/16"]
    assert any("row-2: Accepted is False, BudgetBelowIdle: raise the budget" in line for line in lines)
    assert lines[-1].split()[:2] == ["row-1-20270115-160000", "row-1"]


def test_wide_has_more_columns() -> None:
    assert status_lines(STATE, wide=True)[1].split() == [*status_lines(STATE)[1].split(), "-", "0", "-", "-"]


def test_programs_get_the_same_by_name() -> None:
    values = status_values(STATE)
    row, refused = values["domains"]
    assert (row["name"], row["mode"], row["level"], row["watts"], row["cappedGpus"]) == ("row-1", "Enforce", 2, 9100, 8)
    assert refused["conditions"][0]["reason"] == "BudgetBelowIdle"
    assert [(each["domain"], each["phase"], each["end"]) for each in values["events"]] == [
        ("row-1", "New", "2027-01-15T19:00:00Z")
    ]


def test_one_domain_by_name() -> None:
    assert len(status_lines(asyncio.run(read_power(shedding, "row-2")))) == 3
    with pytest.raises(BadInput, match="kubectl get pdom"):
        asyncio.run(read_power(shedding, "row-3"))
