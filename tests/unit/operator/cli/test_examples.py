"""The help of every command has examples, and each of them is a command line that is understood."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from medley_operator.cli.examples import EXAMPLES, subcommands
from medley_operator.cli.main import COMMANDS, whole_parser


def leaves(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[str]:
    ways = subcommands(parser)
    if not ways:
        yield " ".join(words)
    for name, way in ways.items():
        yield from leaves(way, (*words, name))


def test_every_command_has_examples() -> None:
    assert set(leaves(whole_parser())) - {"version"} == set(EXAMPLES)


@pytest.mark.parametrize("example", [each for examples in EXAMPLES.values() for each in examples])
def test_an_example_parses(example: str) -> None:
    program, *words = shlex.split(example)
    assert program == "medley"
    ends = [at for at, word in enumerate(words) if word in ("|", ">")]
    whole_parser().parse_args(words[: ends[0]] if ends else words)


@pytest.mark.parametrize("words", [(), ("history",), ("model",), ("model", "show")], ids=" ".join)
def test_help_shows_them(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        whole_parser().parse_args([*words, "--help"])
    assert f"medley {' '.join(words)}" in capsys.readouterr().out


def test_the_help_of_medley_loads_none_of_its_commands() -> None:
    code = (
        "import sys\n"
        "from medley_operator.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'numpy', 'pydantic', 'ortools', 'rich', 'yaml', 'asyncio', 'importlib.metadata'} & set(sys.modules)\n"
        f"heavy |= {{{', '.join(repr(each.module) for each in COMMANDS.values())}}} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
