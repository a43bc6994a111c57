"""Chromium is found, installed by root where Debian's packages are, and asked for by name elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.browser.install import VARIABLE, NoChromium, ensure


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def no_call(command: Sequence[str]) -> int:
    raise AssertionError(command)


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_what_is_there_is_used(tmp_path: Path, name: str) -> None:
    own = program(tmp_path, name)
    assert ensure(environment={"PATH": str(tmp_path)}, call=no_call) == own


def test_another_binary_may_be_named(tmp_path: Path) -> None:
    own = program(tmp_path, "mine")
    assert ensure(environment={VARIABLE: str(own), "PATH": ""}, call=no_call) == own


def test_a_name_that_leads_nowhere_is_said() -> None:
    with pytest.raises(NoChromium, match=f"{VARIABLE} is '/nowhere/chromium'"):
        ensure(environment={VARIABLE: "/nowhere/chromium"}, call=no_call)


def test_root_installs_it(tmp_path: Path) -> None:
    program(tmp_path, "apt-get")
    called = []

    def call(command: Sequence[str]) -> int:
        called.append(command[2:4])
        if "install" in command:
            program(tmp_path, "chromium")
        return 0

    assert ensure(environment={"PATH": str(tmp_path)}, is_root=lambda: True, call=call) == tmp_path / "chromium"
    assert called == [("apt-get", "update"), ("apt-get", "install")]


def test_who_is_not_root_is_told_what_to_do(tmp_path: Path) -> None:
    program(tmp_path, "apt-get")
    with pytest.raises(NoChromium, match="apt-get install chromium"):
        ensure(environment={"PATH": str(tmp_path)}, is_root=lambda: False, call=no_call)


def test_an_install_that_fails_says_which_step(tmp_path: Path) -> None:
    program(tmp_path, "apt-get")
    with pytest.raises(NoChromium, match="apt-get update -qq failed"):
        ensure(environment={"PATH": str(tmp_path)}, is_root=lambda: True, call=lambda _: 100)
