"""`medley plan` and `explain` plan with simulated capacities that are at hand, and make the others only when asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from medley_operator.cli import tables
from medley_operator.cli.main import main
from medley_operator.cli.manifests import read_objects
from medley_operator.cli.plan import offline_snapshot
from medley_operator.cli.tables import simulate_all, with_tables
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.capacity import GridRatios, TableKey
from medley_planner.capacity.cache import TableCache
from medley_planner.capacity.simulated import closed_form_of

FLEET = Path(__file__).parents[4] / "examples" / "plan" / "fleet.yaml"


def half(keys: Sequence[TableKey]) -> Iterator[tuple[TableKey, GridRatios | str]]:
    for key in keys:
        closed = closed_form_of(key)
        yield key, GridRatios(key, tuple(0.5 * rate for rate in closed), closed)


def nothing(keys: Sequence[TableKey]) -> Iterator[tuple[TableKey, GridRatios | str]]:
    raise AssertionError(f"{len(keys)} tables were asked for")


@pytest.fixture
def small(tmp_path: Path) -> str:
    """The example with two of its pools and one token budget."""
    documents = [one for one in yaml.safe_load_all(FLEET.read_text()) if one["kind"] != "GPUPool"]
    pools = [one for one in yaml.safe_load_all(FLEET.read_text()) if one["metadata"]["name"] in ("l4", "h100")]
    for one in documents:
        if one["kind"] == "RuntimeProfile":
            one["spec"]["tokenBudget"] = 2048
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all([*pools, *documents]))
    return str(file)


def snapshot_of(path: str) -> Snapshot:
    return offline_snapshot(read_objects([path]))[0]


def test_what_is_at_hand_counts_without_being_asked_for(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "simulate_all", nothing)
    assert main(["plan", "-f", small, "-o", "json"]) == 0
    (before,) = json.loads(capsys.readouterr().out)["services"]
    assert {row["capacity_basis"] for row in before["mix"]} == {"ClosedForm"}
    # The directory that the operator and `medley estimate` use, too.
    cache = TableCache(tmp_path / "cache" / "medley" / "capacity")
    for _, table in half(prepare(snapshot_of(small), FleetMemory()).missing_tables):
        assert isinstance(table, GridRatios)
        cache.put(table)
    assert main(["plan", "-f", small, "-o", "json"]) == 0
    (after,) = json.loads(capsys.readouterr().out)["services"]
    planned_with = [row for row in (*after["mix"], *after["unused"]) if "capacity_basis" in row]
    assert {row["capacity_basis"] for row in planned_with} == {"Simulated"}
    assert after["cost_per_hour"] > before["cost_per_hour"]
    assert main(["plan", "-f", small]) == 0
    assert f"capacities: all {len(planned_with)} simulated" in capsys.readouterr().out
    assert main(["explain", "-f", small]) == 0
    assert f"capacities: all {len(planned_with)} simulated" in capsys.readouterr().out
    assert main(["explain", "-f", small, "-o", "json"]) == 0
    assert "note: demo/chat: capacities Simulated " in capsys.readouterr().err


def test_simulate_makes_what_is_missing_tells_how_far_it_is_and_keeps_it(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "simulate_all", half)
    command = ["plan", "-f", small, "--simulate", "--cache-dir", str(tmp_path / "own"), "-o", "json"]
    assert main(command) == 0
    told = capsys.readouterr()
    missing = len(prepare(snapshot_of(small), FleetMemory()).missing_tables)
    assert f"simulated {missing}/{missing}: " in told.err
    monkeypatch.setattr(tables, "simulate_all", nothing)
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.out == told.out
    assert "simulated" not in again.err


def test_a_directory_that_cannot_be_written_is_told_once_and_the_tables_count(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    known = with_tables(snapshot_of(small), directory=tmp_path / "file", simulate=True, make=half)
    assert prepare(known, FleetMemory()).missing_tables == ()
    assert capsys.readouterr().err.count("give another --cache-dir") == 1


def test_a_cache_that_is_none_is_told_where_it_would_only_be_read(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "missing"):
        assert main(["plan", "-f", small, "--cache-dir", str(directory)]) == 0
        assert f"{directory} is not a directory, so there are no simulated capacities" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["plan", "-f", small, "--simulate", "--cache-dir", ""])
    assert "--cache-dir: is empty; name a directory" in capsys.readouterr().err


def test_what_cannot_be_simulated_is_told_and_planned_by_the_closed_form(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(keys: Sequence[TableKey]) -> Iterator[tuple[TableKey, GridRatios | str]]:
        yield from ((key, "no such engine") for key in keys)

    known = with_tables(snapshot_of(small), directory=tmp_path, simulate=True, make=refused)
    assert known.capacity_tables == {}
    assert "failed (no such engine); the closed form is used" in capsys.readouterr().err


def test_an_instance_holds_its_own_capacities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path / "instance.json"), "--simulate"]) == 2
    assert "--simulate works only with manifests" in capsys.readouterr().err


def test_processes_tell_what_the_simulator_refuses(small: str) -> None:
    """More sequences than tokens in a step are refused before anything is simulated."""
    key = prepare(snapshot_of(small), FleetMemory()).missing_tables[0]
    ((asked, outcome),) = simulate_all([replace(key, token_budget=128)])
    assert asked.token_budget == 128
    assert isinstance(outcome, str)
    assert "token_budget is 128" in outcome
