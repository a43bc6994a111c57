"""The command line: help, version, and that the offline commands load nothing of Kubernetes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medley_operator.cli.main import main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for command in ("plan", "solve", "operator", "version"):
        assert f"    {command} " in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.splitlines() == ["medley 0.1.0"] * 2


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "medley plan -f" in capsys.readouterr().err


def test_an_unknown_command_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plna"])
    assert caught.value.code == 2
    assert "plna" in capsys.readouterr().err


def test_a_bad_setting_of_the_operator_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["operator", "--port", "http"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["plan", "solve"])
def test_offline_commands_load_no_kubernetes(command: str) -> None:
    code = (
        "import sys\n"
        "from medley_operator.cli.main import main\n"
        "try:\n"
        f"    main(['{command}', '--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "loaded = {'kopf', 'kubernetes', 'aiohttp'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
