"""Which modules a quantized checkpoint names: the lists of names, globs and regular expressions in quantization_config.

Patterns are a tenant's text, so no regular expression of theirs ever runs: a pattern is cut at its `.*` (or `*`) into
pieces, each of which is a plain text or an alternative of plain texts, and the pieces are looked for one after the
other, which takes no longer than the name is long. A pattern that is more than that is refused. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_REGEX = "re:"
_LAYERS = "layers."
_ESCAPED = re.compile(r"\\([.\-_/])")
_DIGITS = re.compile(r"\\d\+|\[0-9\]\+|\\d\*")
_GROUP = re.compile(r"\((?:\?:)?([^()]*)\)")
_ANY_DIGITS = "\0"
"""Stands for one digit or more within a piece."""
_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "")
"""The names that stand before `layers.` in checkpoints: a pattern that looks for it must find it."""
_MOST_ALTERNATIVES = 64


class UnreadablePattern(Exception):
    """A regular expression that is more than pieces with anything between them; whoever knows its field refuses it."""


@dataclass(frozen=True, slots=True)
class _Pieces:
    """`pieces`: texts of which one must come next, in order. `from_start`, `to_end`: nothing before, or behind."""

    pieces: tuple[tuple[str, ...], ...]
    from_start: bool
    to_end: bool

    def match(self, name: str) -> bool:
        place = 0
        for number, texts in enumerate(self.pieces):
            ends = [end for text in texts if (end := self._find(name, text, place, first=number == 0)) >= 0]
            if not ends:
                return False
            place = min(ends)
        if not self.to_end or place == len(name) or not self.pieces:
            return True
        return any(_ends_with(name, text) for text in self.pieces[-1])

    def _find(self, name: str, text: str, place: int, *, first: bool) -> int:
        """Where the text ends, -1 where it is not."""
        if first and self.from_start:
            return _match_at(name, text, 0)
        return next((end for start in range(place, len(name) + 1) if (end := _match_at(name, text, start)) >= 0), -1)


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """Names of modules, read once and asked for every weight."""

    exact: frozenset[str]
    starts: tuple[str, ...]
    words: tuple[str, ...]
    pieces: tuple[_Pieces, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> ModuleNames:
        """Raises UnreadablePattern."""
        exact: set[str] = set()
        starts: list[str] = []
        words: list[str] = []
        pieces: list[_Pieces] = []
        for pattern in dict.fromkeys(patterns):
            if pattern.startswith(_REGEX):
                pieces.append(_of_regex(pattern.removeprefix(_REGEX)))
            elif "*" not in pattern:
                if _LAYERS in pattern:
                    exact.add(_from_layers(pattern))
                else:
                    words.append(f".{pattern}.")
            elif pattern.endswith("*") and pattern.count("*") == 1 and _LAYERS in pattern:
                starts.append(_from_layers(pattern[:-1]))
            else:
                pieces.append(_of_glob(pattern))
        return cls(frozenset(exact), tuple(starts), tuple(words), tuple(pieces))

    def __contains__(self, name: str) -> bool:
        """Whether a module such as `layers.3.mlp.down_proj`, or one that holds it, is named."""
        if name.startswith(self.starts):
            return True
        place = len(name)
        while place > 0:
            if name[:place] in self.exact:
                return True
            place = name.rfind(".", 0, place)
        dotted = f".{name}."
        if any(word in dotted for word in self.words):
            return True
        return any(one.match(before + name) for one in self.pieces for before in _PREFIXES)


def _from_layers(pattern: str) -> str:
    return pattern[pattern.rfind(_LAYERS) :]


def _of_glob(pattern: str) -> _Pieces:
    parts = pattern.split("*")
    return _Pieces(
        pieces=tuple((part,) for part in parts if part),
        from_start=bool(parts[0]),
        to_end=bool(parts[-1]),
    )


def _of_regex(pattern: str) -> _Pieces:
    """`re.match` begins at the start and does not go to the end."""
    text = pattern.removeprefix("^")
    to_end = text.endswith("$")
    parts = text.removesuffix("$").split(".*")
    pieces = [_alternatives(part, pattern) for part in parts]
    return _Pieces(
        pieces=tuple(piece for piece in pieces if piece != ("",)),
        from_start=bool(parts[0]),
        to_end=to_end and bool(parts[-1]),
    )


def _alternatives(part: str, pattern: str) -> tuple[str, ...]:
    """The plain texts that a piece stands for."""
    plain = _DIGITS.sub(_ANY_DIGITS, part)
    texts = [""]
    place = 0
    for group in _GROUP.finditer(plain):
        options = group[1].split("|")
        texts = [text + _plain(plain[place : group.start()], pattern) + _plain(option, pattern)
                 for text in texts for option in options]  # fmt: skip
        place = group.end()
        if len(texts) > _MOST_ALTERNATIVES:
            raise UnreadablePattern(pattern)
    return tuple(text + _plain(plain[place:], pattern) for text in texts)


def _plain(text: str, pattern: str) -> str:
    unescaped = _ESCAPED.sub(r"\1", text)
    if re.search(r"[\\()\[\]{}?+*|^$]", unescaped):
        raise UnreadablePattern(pattern)
    return unescaped


def _match_at(name: str, text: str, start: int) -> int:
    """Where `text` ends in `name` if it begins at `start`, -1 where it does not; a dot stands for itself."""
    place = start
    for letter in text:
        if letter == _ANY_DIGITS:
            begin = place
            while place < len(name) and name[place].isdigit():
                place += 1
            if place == begin:
                return -1
        elif place < len(name) and name[place] == letter:
            place += 1
        else:
            return -1
    return place


def _ends_with(name: str, text: str) -> bool:
    return any(_match_at(name, text, start) == len(name) for start in range(len(name) + 1))
