"""`medley completion SHELL`: the script that makes bash, zsh or fish complete commands, options and their values.

It is made from the parsers themselves, so that it knows what they know. The script runs nothing of Medley.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from medley_operator.cli.examples import subcommands
from medley_planner.exit_status import ExitStatus

SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Any) -> None:
    """Adds the `completion` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "completion",
        help="print what makes a shell complete medley",
        description="Print the script by which a shell completes commands, options and their values; read it once, or "
        'put it where the shell looks: in bash "source <(medley completion bash)". Exit status: 0.',
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=" or ".join(SHELLS))


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    from medley_operator.cli.main import whole_parser

    commands = list(_commands(whole_parser(), ()))
    lines = _fish(commands) if args.shell == "fish" else _bash(commands, zsh=args.shell == "zsh")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return ExitStatus.OK


@dataclass(frozen=True, slots=True)
class _Words:
    """One command: the words that lead to it, those that may follow, and the values of its options that have few."""

    path: tuple[str, ...]
    subcommands: tuple[str, ...]
    options: tuple[str, ...]
    values: dict[str, tuple[str, ...]]

    @property
    def after(self) -> str:
        return " ".join((*self.subcommands, *self.options))


def _commands(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[_Words]:
    ways = subcommands(parser)
    options = tuple(option for action in parser._actions for option in action.option_strings)
    values = {
        option: tuple(map(str, action.choices))
        for action in parser._actions
        if action.choices is not None
        for option in action.option_strings
    }
    given = tuple(
        str(choice)
        for action in parser._actions
        if not action.option_strings and action.choices is not None
        for choice in action.choices
    )
    yield _Words(path, given, options, values)
    for name, way in ways.items():
        yield from _commands(way, (*path, name))


def _bash(commands: list[_Words], *, zsh: bool) -> Iterator[str]:
    if zsh:
        yield "#compdef medley"
        yield "autoload -Uz bashcompinit && bashcompinit"
    paths = "|".join(_quoted(" ".join(each.path)) for each in commands if each.path)
    yield "_medley() {"
    yield '  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path="" words="" at'
    yield "  for ((at = 1; at < COMP_CWORD; at++)); do"
    yield '    case "${path:+$path }${COMP_WORDS[at]}" in'
    yield f"      {paths}) path=${{path:+$path }}${{COMP_WORDS[at]}} ;;"
    yield "    esac"
    yield "  done"
    yield '  case "$path:$before" in'
    for each in commands:
        for option, values in each.values.items():
            case = f"{' '.join(each.path)}:{option}"
            yield f"    {_quoted(case)}) words={_quoted(' '.join(values))} ;;"
    yield '    *) case "$path" in'
    for each in commands:
        yield f"      {_quoted(' '.join(each.path))}) words={_quoted(each.after)} ;;"
    yield "    esac ;;"
    yield "  esac"
    yield '  COMPREPLY=($(compgen -W "$words" -- "$word"))'
    # Files where no word fits: most options and arguments name some.
    yield '  if [ ${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi'
    yield "}"
    yield "complete -o filenames -F _medley medley"


def _fish(commands: list[_Words]) -> Iterator[str]:
    yield "complete -c medley -e"
    for each in commands:
        seen = " ".join(f"; and __fish_seen_subcommand_from {word}" for word in each.path).removeprefix("; and ")
        nested = " ".join(each.subcommands)
        if nested:
            none_yet = f"not __fish_seen_subcommand_from {nested}"
            where = _quoted(f"{seen}; and {none_yet}" if seen else none_yet)
            yield f"complete -c medley -n {where} -a {_quoted(nested)}"
        for option in each.options:
            values = f" -xa {_quoted(' '.join(each.values[option]))}" if option in each.values else ""
            form = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            where = f" -n {_quoted(seen)}" if seen else ""
            yield f"complete -c medley{where} {form}{values}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
