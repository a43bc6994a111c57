"""Text of others is made fit for one line of a terminal."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.printable import printable


@pytest.mark.parametrize("text", ["", "plain text", "Größe → 4 H100", "日本語"])
def test_plain_text_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\rd", "a b c d"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\x00b\x7fc\x9bd", "a\\x00b\\x7fc\\x9bd"),
        ("left\u202eright", "left\\u202eright"),
        ("line\u2028line", "line\\u2028line"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_controls_a_terminal_is_shown_as_its_code(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()
