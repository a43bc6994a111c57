"""The Dockerfile beside the lock files, the chart and what it copies: hashes, nothing to build with, one user."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Dockerfile").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """(instruction, rest) of each line, by stage."""
    whole = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE))
    found: list[list[Instruction]] = [[]]
    for line in filter(None, whole.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


BEFORE, BUILD, FINAL = stages()


def of(stage: list[Instruction], word: str) -> list[str]:
    return [rest for name, rest in stage if name == word]


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """(version, hashes) by package."""
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text())
    lines = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
    found = [re.fullmatch(r"([\w.-]+)==(\S+) (.*?)\s*(?:;.*)?", line) for line in lines]
    return {
        match[1].lower(): (match[2], frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", match[3])))
        for match in found
        if match is not None
    }


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~;\[ ]", text, maxsplit=1)[0].lower() for text in requirements}


def test_the_base_can_be_another_image() -> None:
    assert BEFORE == [("ARG", "BASE=docker.io/library/python:3.11-slim"), ("ARG", "RUN_BASE=${BASE}")]
    assert [of(stage, "FROM") for stage in (BUILD, FINAL)] == [["${BASE} AS build"], ["${RUN_BASE}"]]


def test_everything_from_a_registry_has_its_hash() -> None:
    commands = [part.strip() for rest in of(BUILD, "RUN") for part in rest.split("&&")]
    installs = [each for each in commands if ("pip" in each and " install " in each) or " wheel " in each]
    assert len(installs) == 4
    for each in installs:
        assert "--no-index" in each, each
        assert "--require-hashes" in each or "--no-deps" in each, each
    used = re.findall(r"-r (\S+)", " ".join(installs))
    assert used == ["requirements-build.lock", "requirements-runtime.lock"]
    for name in used:
        assert all(hashes for _, hashes in locked(name).values())


@pytest.mark.parametrize("name", ["requirements-runtime.lock", "requirements-build.lock"])
def test_versions_are_those_that_the_tests_ran_with(name: str) -> None:
    everything = locked("requirements.lock")
    here = locked(name)
    assert here
    assert {package: found for package, found in here.items() if everything.get(package) != found} == {}


def test_what_runs_is_what_the_project_needs_and_nothing_to_develop_with() -> None:
    runtime, build = locked("requirements-runtime.lock"), locked("requirements-build.lock")
    assert names(PROJECT["project"]["dependencies"]) <= runtime.keys()
    assert names(PROJECT["build-system"]["requires"]) <= build.keys()
    assert not names(PROJECT["project"]["optional-dependencies"]["dev"]) & runtime.keys()
    assert not {"pip", "setuptools", "wheel", "hatchling"} & runtime.keys()


def test_the_last_stage_has_what_runs_and_no_more() -> None:
    assert of(FINAL, "RUN") == []
    assert of(FINAL, "COPY") == ["--from=build /opt/medley /opt/medley"]
    assert of(FINAL, "ADD") == []
    assert any("--without-pip /opt/medley" in rest for rest in of(BUILD, "RUN"))


def test_user_and_command_are_the_charts() -> None:
    template = (ROOT / "helm" / "medley" / "templates" / "deployment.yaml").read_text()
    user, group = (re.findall(rf"{name}: (\d+)", template) for name in ("runAsUser", "runAsGroup"))
    assert of(FINAL, "USER") == [f"{user[0]}:{group[0]}"]
    assert int(user[0]) > 0
    (command,) = re.findall(r"command: (\[.*\])", template)
    entrypoint, arguments = of(FINAL, "ENTRYPOINT"), of(FINAL, "CMD")
    assert json.loads(entrypoint[0]) + json.loads(arguments[0]) == yaml.safe_load(command)
    assert yaml.safe_load(command)[0] in PROJECT["project"]["scripts"]


def test_the_context_holds_what_is_copied_and_no_more() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {word for rest in of(BUILD, "COPY") for word in rest.split()[:-1]}
    assert let_in == copied
    # `make image` fills the wheelhouse, by hash.
    assert all((ROOT / name).exists() for name in copied - {"build/wheelhouse"})
    recipe = (ROOT / "Makefile").read_text().partition("\nwheelhouse:")[2].partition("\n\n")[0]
    assert recipe.count("--require-hashes --dest build/wheelhouse") == recipe.count("-r requirements-") == 2
