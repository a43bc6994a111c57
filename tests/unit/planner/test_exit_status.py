"""Exit statuses stand in one place, and every command says why it ends in the same form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medley_planner.bad_input import BadInput
from medley_planner.exit_status import ExitStatus, report_error

ROOT = Path(__file__).parents[3]


def test_each_line_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    error = BadInput("x.json", "rate", -1, "give a finite number, 0 or more")
    assert report_error("solve", error) is ExitStatus.BAD_INPUT
    assert capsys.readouterr() == ("", "medley solve: x.json: rate is -1: give a finite number, 0 or more\n")
    assert report_error("plan", "one\ntwo", status=ExitStatus.NO_PLAN) == 4
    assert capsys.readouterr().err == "medley plan: one\nmedley plan: two\n"


def test_the_reference_lists_all() -> None:
    section = (ROOT / "docs" / "reference.md").read_text().split("## Exit statuses")[1].split("\n## ")[0]
    listed = {name: int(number) for number, name in re.findall(r"^\| (\d+) \| `(\w+)`", section, re.M)}
    assert listed == {status.name: status.value for status in ExitStatus}


@pytest.mark.parametrize("package", ["planner/medley_planner", "operator/medley_operator"])
def test_no_command_has_a_status_or_a_form_of_its_own(package: str) -> None:
    own = re.compile(r"^\s*EXIT_(?!SECONDS)\w+ *[=,]|print\(f?\"medley \w+( \w+)?:")
    found = [
        f"{file.name}: {line.strip()}"
        for file in sorted((ROOT / package).rglob("*.py"))
        if file.name != "exit_status.py"
        for line in file.read_text(encoding="utf-8").splitlines()
        if own.search(line)
    ]
    assert found == []
