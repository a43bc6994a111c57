"""A run of the fault suite in parts: each case is in one of them, and what was played well is not played again."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from e2e.chaos.cases import CASES, kills
from e2e.chaos.pick import Part, evenly, named, rest
from e2e.chaos.report import Ledger
from e2e.chaos.run import Case, Result


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in (*CASES, *kills(30))]
    assert len(set(names)) == len(names)


def test_parts_hold_each_case_once() -> None:
    parts = [rest(CASES, Part.parse(f"{number}/4"), ()) for number in (1, 2, 3, 4)]
    assert sorted(case.name for part in parts for case in part) == sorted(case.name for case in CASES)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "a/b", "1/0"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a part"):
        Part.parse(text)


def test_a_sample_is_spread_over_all() -> None:
    cases = kills(30)
    chosen = [cases.index(case) for case in evenly(cases, 20)]
    assert len(chosen) == 20
    assert {after - before for before, after in pairwise(chosen)} == {3}
    assert evenly(cases, 0) == evenly(cases, 100) == cases


def test_cases_are_found_by_parts_of_their_names() -> None:
    cases = [Case("watches break"), Case("a node is gone"), Case("a policy")]
    assert named(cases, "") == cases
    assert named(cases, "watch | gone") == cases[:2]


def test_what_passed_last_is_not_played_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.passed() == set()
    one, other, known = Case("one"), Case("other"), Case("known", known="because")
    ledger.add(Result(one, wrong=["late"]))
    ledger.add(Result(other))
    ledger.add(Result(known, wrong=["late"]))
    assert ledger.passed() == {"other", "known"}
    ledger.add(Result(one))
    ledger.add(Result(other, breaches=["too little"]))
    assert ledger.passed() == {"one", "known"}
    assert [case.name for case in rest([one, other], Part(), ledger.passed())] == ["other"]
    assert json.loads((tmp_path / "ledger").read_text().splitlines()[0])["wrong"] == ["late"]
