"""The engine's command line in a container of others, read as its shell and its parser would. Pure.

Users start engines by `command` and `args`, by one shell line, or by arguments alone behind the image's entry point.
What a shell would expand ($VARIABLES) is not expanded: such a value counts as not given.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHELLS = frozenset({"sh", "bash", "ash", "dash"})
MOST_CHARACTERS = 64 * 1024
"""A longer command line is not read: nobody starts an engine by one."""
ENGINE_MODULES = ("vllm.entrypoints.openai.api_server", "vllm.entrypoints.api_server")
KSERVE_SERVER = "huggingfaceserver"
"""KServe's program round the engine, and the end of its image's name."""

SHORT = {"-tp": "--tensor-parallel-size", "-q": "--quantization", "-pp": "--pipeline-parallel-size"}
"""Short forms of the engine's flags that matter here (`vllm serve --help`)."""
SAME = {"--model_id": "--model", "--model_name": "--served-model-name", "--model-name": "--served-model-name"}
"""Flags of KServe's program that say what a flag of the engine says."""


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """A command line of an engine: its model as it is given ("": not given), and the last value of each flag, ""
    for a flag without one."""

    model: str
    flags: Mapping[str, str]


def engine_command(container: Mapping[str, Any]) -> EngineCommand | None:
    """The engine that a container of a pod runs; None where it runs none."""
    words = [*_words(container.get("command")), *_words(container.get("args"))]
    image = str(container.get("image") or "")
    for part in _programs(words):
        found = _arguments_of_engine(part, image)
        if found is not None:
            return _parsed(found)
    return None


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _programs(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of each program that is started: those of a shell's line are split as the shell does."""
    name = words[0].rpartition("/")[2] if words else ""
    line = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-c", "-ec", "-lc")), None)
    if name not in SHELLS or line is None:
        yield list(words)
        return
    if len(line) > MOST_CHARACTERS:
        return
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=";&|\n")
    lexer.whitespace_split = True
    lexer.whitespace = " \t\r"
    lexer.commenters = "#"
    part: list[str] = []
    try:
        for word in lexer:
            if word and set(word) <= set(";&|\n"):
                yield part
                part = []
            else:
                part.append(word.strip("\n"))
    except ValueError:  # a quote that is not closed: the shell refuses it too
        return
    yield part


def _arguments_of_engine(words: Sequence[str], image: str) -> list[str] | None:
    """The arguments behind the engine's program; None where it is another program."""
    for at, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name == "vllm" and words[at + 1 : at + 2] == ["serve"]:
            return list(words[at + 2 :])
        if word in ENGINE_MODULES or (word == KSERVE_SERVER and words[at - 1] == "-m"):
            return list(words[at + 1 :])
    path = image.partition("@")[0]
    repository = path.rpartition("/")[2].partition(":")[0]
    engine_image = repository.startswith("vllm") or repository.startswith(KSERVE_SERVER)
    # The images' own entry points are the servers: `vllm serve` and KServe's program.
    if engine_image and (not words or words[0].startswith("-") or _is_model(words[0])):
        return list(words)
    return None


def _is_model(word: str) -> bool:
    return "/" in word and not word.startswith(("/bin", "/usr", "-"))


def _parsed(words: Sequence[str]) -> EngineCommand:
    flags: dict[str, str] = {}
    model = ""
    at = 0
    if words and not words[0].startswith("-"):
        model, at = words[0], 1
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-"):
            continue
        name, given, value = word.partition("=")
        if not given and at < len(words) and not words[at].startswith("-"):
            value = words[at]
            at += 1
        flags[_flag(name)] = "" if "$" in value else value
    return EngineCommand(flags.get("--model") or ("" if "$" in model else model), flags)


def _flag(name: str) -> str:
    """The engine's own long name of a flag. Its parser takes _ for -."""
    known = SHORT.get(name) or SAME.get(name)
    if known is not None:
        return known
    dashed = name.replace("_", "-") if name.startswith("--") else name
    return SAME.get(dashed, dashed)
