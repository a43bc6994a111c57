"""Names of variants: readable, stable, and within the length that objects named after them allow. Pure."""

from __future__ import annotations

import hashlib

_FEWEST_LETTERS = 3
_HASH_LETTERS = 4
_LONG_HASH_LETTERS = 8


def variant_name(pool: str, suffix: str, *, longest: int) -> str:
    """`pool` + `suffix`; where that is too long, the pool's name is cut and a hash of it keeps two such pools apart.

    A suffix that leaves no room for that is cut itself, with a hash of the whole name.
    """
    name = pool + suffix
    if len(name) <= longest:
        return name
    room = longest - len(suffix) - _HASH_LETTERS - 1
    if room >= _FEWEST_LETTERS:
        return f"{pool[:room].rstrip('-')}-{_hash(pool, _HASH_LETTERS)}{suffix}"
    return f"{name[: longest - _LONG_HASH_LETTERS - 1].rstrip('-')}-{_hash(name, _LONG_HASH_LETTERS)}"


def _hash(text: str, letters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
