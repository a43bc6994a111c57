"""Prompts of an exact length that no prefix cache knows: random token ids, or random words where ids are refused. Pure.

The first block of every prompt differs from all others', so that a prefix cache finds nothing to reuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

DEFAULT_TOKEN_IDS = range(1000, 30_000)
"""Ordinary words in the vocabularies of served models: control tokens lie below or at the very end."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD_LETTERS = 4


@dataclass(frozen=True, slots=True)
class Prompts:
    """`tokens_per_word` None: token ids. Given: text, of as many words as make the tokens on average."""

    token_ids: range = DEFAULT_TOKEN_IDS
    tokens_per_word: float | None = None

    def make(self, tokens: int, random: Random) -> list[int] | str:
        if self.tokens_per_word is None:
            return random.choices(self.token_ids, k=tokens)
        return words(max(1, round(tokens / self.tokens_per_word)), random)


def words(count: int, random: Random) -> str:
    return " ".join("".join(random.choices(_LETTERS, k=_WORD_LETTERS)) for _ in range(count))
