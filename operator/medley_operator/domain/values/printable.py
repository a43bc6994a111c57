"""Text that others wrote, made fit for one line of a terminal, a log or an object: no line breaks, no control
characters, no escape sequences, no direction marks. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of controls, formats (direction marks among them), surrogates and separators of lines."""


def first_few(names: Sequence[str], *, most: int = 3) -> str:
    """ "a, b, c and 2 more": no message grows with a cluster."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def printable(text: str) -> str:
    """`text` with each such character as its code, such as \\x1b, and line breaks and tabs as spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if unicodedata.category(character) not in _UNPRINTED:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
