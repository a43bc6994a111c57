"""`medley completion`: the script of bash completes in bash itself, and those of zsh and fish name every command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from medley_operator.cli.completion import SHELLS
from medley_operator.cli.main import COMMANDS, main

BASH = shutil.which("bash")


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    if BASH is None:
        pytest.skip("bash is not here")
    file = tmp_path / "medley.bash"
    file.write_text(script("bash", capsys))
    return file


def completed(file: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    given = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {file}; COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; "
        'eval "$(complete -p medley | sed "s/.*-F \\([^ ]*\\) .*/\\1/")"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-u", "-c", code], capture_output=True, text=True, check=True, cwd=file.parent)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("medley", "pla"), ["plan"]),
        (("medley", "power", "s"), ["simulate", "status", "shed"]),
        (("medley", "plan", "--ht"), ["--html"]),
        (("medley", "plan", "-o", ""), ["table", "wide", "json", "yaml"]),
        (("medley", "plan", "-f", "x", "--objective", "w"), ["watts"]),
        (("medley", "completion", ""), ["bash", "zsh", "fish", "-h", "--help"]),
        (("medley", "power", "shed", "--frac"), ["--fraction"]),
        (("medley", "plan", "-f", "medl"), ["medley.bash"]),
    ],
    ids=" ".join,
)
def test_bash(bash: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(bash, *words) == offered


def test_all_commands_are_offered(bash: Path) -> None:
    assert {word for word in completed(bash, "medley", "") if not word.startswith("-")} == {*COMMANDS, "version"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = script(shell, capsys)
    assert all(name in shown for name in COMMANDS)
    other = shutil.which(shell)
    if other is not None:
        subprocess.run([other, "-n", "-c", shown], check=True, capture_output=True)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "csh"])
    assert "csh" in capsys.readouterr().err
