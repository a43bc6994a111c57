"""Commands of the README, the docs and messages: Medley's parse, targets and modules are there, kubectl and helm are
asked for what there is, and what a page shows as the answer of a plan is its answer."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from functools import cache
from importlib.util import find_spec
from itertools import pairwise

import pytest
import yaml

from medley_operator.api.v1alpha1 import KINDS
from medley_operator.cli.main import main, whole_parser
from tests.unit.repo.sources import ROOT, modules

PAGES = [ROOT / "README.md", ROOT / "helm" / "medley" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VALUES = yaml.safe_load((ROOT / "helm" / "medley" / "values.yaml").read_text(encoding="utf-8"))
BLOCK = re.compile(r"^ *```(?:console|bash|sh)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
MEDLEY = re.compile(r"(?:kubectl |\.venv/bin/)?medley ")
PROGRAMS = re.compile(rf"{MEDLEY.pattern}|(?:make|python -m|kubectl|helm) ")
NOT_OURS = {"gpuhunt"}
"""Modules of other projects that a page runs."""
KNOWN_KINDS = {
    *(name for kind in KINDS for name in (kind.plural, *kind.short_names)),
    *("configmap", "hpa", "lease", "node", "nodes", "pod", "pods", "scaledobject", "vpa"),
}
KUBECTL = {"apply", "create", "delete", "explain", "krew", "logs", "medley", "port-forward", "rollout", "uncordon"}
DEPLOYMENTS = {"NAME", "medley", "medley-power"}
"""Of the chart's release "medley"."""
FLAGS_OF_OTHERS = {
    "kubectl": "archive cascade force-conflicts from-file manifest previous recursive server-side show-labels tail",
    "helm": "create-namespace reuse-values set take-ownership",
    "git": "follow",
    "vLLM and SGLang": "chunked-prefill-size enable-expert-parallel enable-prefix-caching enforce-eager flag "
    "kv-cache-dtype load-format max-num-batched-tokens max-num-seqs quantization shutdown-timeout tp-size",
    "vllm bench": "append-result dataset-name max-concurrency metadata num-prompts random-input-len random-output-len "
    "save-detailed save-result",
}


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(command, what is shown below it) of each command in a block or an indented line."""
    indented = re.findall(
        r"(?:^ {4}\S.*\n)+(?:^ {6,}\S.*\n)*", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    for block in [*BLOCK.findall(text), *indented]:
        joined = re.sub(r"\\\n\s*", "", block)
        prompted = "$ " in joined
        command, shown = "", ""
        for line in joined.splitlines():
            words = line.strip().removeprefix("$ ")
            if PROGRAMS.match(words) and (not prompted or line.strip().startswith("$ ")):
                yield command, shown
                command, shown = words, ""
            else:
                shown += line + "\n"
        yield command, shown


def in_blocks(text: str) -> set[str]:
    """Each command on its own, without where its answer goes."""
    whole = {command for command, _ in blocks(text) if command}
    parts = {part.strip() for command in whole for part in re.split(r" \| | && | > | {2,}", command)}
    return {part for part in parts if PROGRAMS.match(part)}


def inline(text: str) -> set[str]:
    return {re.split(r" > ", words)[0] for words in INLINE.findall(text) if PROGRAMS.match(words) and ": " not in words}


BLOCKS = sorted({(page, command) for page, text in TEXT.items() for command in in_blocks(text)})
INLINES = sorted({(page, command) for page, text in TEXT.items() for command in inline(text)})
OURS_IN_BLOCKS = [(page, command) for page, command in BLOCKS if MEDLEY.match(command)]
OURS_INLINE = [(page, command) for page, command in INLINES if MEDLEY.match(command)]
OTHERS = [(page, command) for page, command in (*BLOCKS, *INLINES) if not MEDLEY.match(command)]


@cache
def parser() -> argparse.ArgumentParser:
    return whole_parser()


def medley_words(command: str) -> list[str]:
    return shlex.split(MEDLEY.sub("", command, count=1))


def leaves(under: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    below = list(children(under).values())
    yield from (leaf for child in below for leaf in leaves(child)) if below else (under,)


def children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def options(under: argparse.ArgumentParser) -> set[str]:
    parsers = [under, *leaves(under)]
    return {option for each in parsers for action in each._actions for option in action.option_strings}


def test_pages_have_commands() -> None:
    assert len(OURS_IN_BLOCKS) > 30
    assert len(OURS_INLINE) > 60
    assert {page for page, _ in OURS_IN_BLOCKS} >= {"README.md", "docs/quickstart.md", "docs/install.md"}


@pytest.mark.parametrize(("page", "command"), OURS_IN_BLOCKS)
def test_a_command_of_medley_in_a_block_is_whole(page: str, command: str) -> None:
    # What only prints, such as --schema, ends while it is parsed.
    with suppress(SystemExit) if "--schema" in command else nullcontext():
        parser().parse_args(medley_words(command))


@pytest.mark.parametrize(("page", "command"), OURS_INLINE)
def test_a_command_of_medley_in_a_sentence_has_its_options(page: str, command: str) -> None:
    """A sentence may leave out what a command needs."""
    words = medley_words(command)
    under = parser()
    while words and words[0] in children(under):
        under = children(under)[words.pop(0)]
    assert under is not parser() or not words or words[0] in ("COMMAND", "version", "--help")
    assert {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= options(under)


def texts() -> Iterator[tuple[str, str]]:
    """(module, text) of the code's strings."""
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield module.name, node.value


MESSAGES = sorted(
    {
        (module, command)
        for module, text in texts()
        for command in re.findall(r"\b(medley [a-z]+ (?:[a-z]+ )?--?[a-z][\w-]*)", text)
    }
)


@pytest.mark.parametrize(("module", "command"), MESSAGES)
def test_a_command_in_a_message_has_its_options(module: str, command: str) -> None:
    test_a_command_of_medley_in_a_sentence_has_its_options(module, command)


@pytest.mark.parametrize(("page", "command"), OTHERS)
def test_what_a_command_names_is_there(page: str, command: str) -> None:
    program, *words = shlex.split(command)
    match program:
        case "make":
            assignments = {word.split("=")[0] for word in words if "=" in word}
            targets = {word for word in words if "=" not in word}
            assert targets <= set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
            assert {
                name for name in assignments if not re.search(rf"\$\({name}[),]|^{name} \?=", MAKEFILE, re.M)
            } == set()
        case "python":
            assert words[1] in NOT_OURS or find_spec(words[1]) is not None
        case "helm":
            assert has_values(words)
        case "kubectl" if words[0] in ("get", "describe"):
            assert set(words[1].split(",")) <= KNOWN_KINDS
        case "kubectl":
            assert words[0] in KUBECTL
            assert set(re.findall(r"deployment/(\S+)", command)) <= DEPLOYMENTS


def has_values(words: list[str]) -> bool:
    """Whether the chart has every value that `--set` sets."""
    return all(has_value(word.split("=")[0]) for before, word in pairwise(words) if before == "--set")


def has_value(path: str) -> bool:
    value = VALUES
    for key in path.split("."):
        if key not in value:
            return False
        value = value[key]
    return True


def test_values_that_pages_and_messages_name_are_the_charts() -> None:
    in_pages = {words for text in TEXT.values() for words in INLINE.findall(text)}
    named = {found[1] for words in in_pages if (found := re.match(r"([a-z]\w*(?:\.[a-zA-Z]\w*)+)(?:=|: |$)", words))}
    named = {path for path in named if path.split(".")[0] in VALUES}
    assert len(named) > 20
    for _, text in texts():
        named |= set(re.findall(r"(?<![\w.])([a-z]\w*(?:\.[a-zA-Z]\w*)+)=true", text))
    assert {path for path in named if not has_value(path)} == set()


@pytest.mark.parametrize("page", TEXT)
def test_files_of_examples_are_there(page: str) -> None:
    named = set(re.findall(r"\bexamples/[\w./-]*[\w/]", TEXT[page]))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_flags_that_a_page_names_are_there() -> None:
    sources = [path for folder in ("e2e", "tests") for path in (ROOT / folder).rglob("*.py")]
    of_scripts = {flag for path in sources for flag in re.findall(r'"(--[a-z-]+)"', path.read_text(encoding="utf-8"))}
    of_others = {f"--{name}" for names in FLAGS_OF_OTHERS.values() for name in names.split()}
    known = options(parser()) | of_scripts | of_others
    named = {(page, flag) for page, text in TEXT.items() for flag in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text)}
    assert len(named) > 100
    assert {(page, flag) for page, flag in named if flag not in known} == set()


SHOWN = [
    (page, command, shown)
    for page, text in TEXT.items()
    for command, shown in blocks(text)
    if re.match(r"medley (plan|explain) -f examples/", command) and shown.strip()
]


@pytest.mark.parametrize(("page", "command", "shown"), SHOWN, ids=lambda part: part[:40])
def test_an_answer_on_a_page_is_the_answer(
    page: str, command: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(medley_words(command)) == 0
    assert " ".join(shown.split()) in " ".join(capsys.readouterr().out.split())


def test_pages_show_answers() -> None:
    assert {page for page, _, _ in SHOWN} == {"README.md", "docs/explain.md"}
