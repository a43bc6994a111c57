"""Why an object, or a part of it, is not accepted; and how an ordered tuple of checks finds that out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

Input = TypeVar("Input")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`reason` is stable, that of the condition that shows it; `message` names object, field, value and way out."""

    reason: str
    message: str


def first_refusal(checks: Iterable[Callable[[Input], Refusal | None]], given: Input) -> Refusal | None:
    """The answer of the first check that refuses; the later ones, which may rely on it, are not asked."""
    return next((refusal for check in checks if (refusal := check(given)) is not None), None)
