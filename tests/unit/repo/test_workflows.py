"""The workflows: actions at a commit, rights to read alone, no secrets, and targets that the Makefile has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXT = {path.name: path.read_text(encoding="utf-8") for path in WORKFLOWS}
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", TEXT)
def test_actions_are_pinned_by_commit(name: str) -> None:
    used = re.findall(r"uses: (.*)", TEXT[name])
    assert used
    assert [each for each in used if not PINNED.fullmatch(each)] == []


def test_an_action_has_one_commit_everywhere() -> None:
    used = {each for text in TEXT.values() for each in re.findall(r"uses: (.*)", text)}
    assert len({each.split("@")[0] for each in used}) == len(used)


@pytest.mark.parametrize("name", TEXT)
def test_rights_are_to_read(name: str) -> None:
    workflow = yaml.safe_load(TEXT[name])
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    assert "secrets." not in TEXT[name]
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", TEXT)
def test_nothing_of_an_event_is_part_of_a_command(name: str) -> None:
    """A branch or a title with a command in it would run."""
    commands = [step["run"] for step in steps(yaml.safe_load(TEXT[name])) if "run" in step]
    assert commands
    assert [each for each in commands if "${{" in each] == []


def test_commands_are_there() -> None:
    commands = [step["run"] for text in TEXT.values() for step in steps(yaml.safe_load(text)) if "run" in step]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for command in commands:
        program, *rest = command.split()
        assert rest[0] in targets if program == "make" else (ROOT / program).is_file(), command


def test_python_and_go_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    modules = [path.read_text() for path in (ROOT / "e2e" / "controlplane" / "gomod").glob("*/go.mod")]
    newest = max(re.findall(r"^go (\d+\.\d+)", text, re.MULTILINE)[0] for text in modules)
    for text in TEXT.values():
        settings = {key: value for step in steps(yaml.safe_load(text)) for key, value in step.get("with", {}).items()}
        assert f'requires-python = ">={settings["python-version"]}"' in project
        assert settings["go-version"] == newest
