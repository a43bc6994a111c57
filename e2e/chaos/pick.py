"""Which cases a run of the suite plays: those that a text names, one part of several, an even sample of many. Pure.

Apart: what is picked is tested without a control plane.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from e2e.chaos.run import Case


@dataclass(frozen=True, slots=True)
class Part:
    """Part `number` of `count`, from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """Of "2/4". Raises `ValueError`."""
        numbers = [int(number) for number in text.split("/") if number.isdecimal()]
        if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1]:
            raise ValueError(f"{text!r} is not a part: write 1/4 for the first of four")
        return cls(*numbers)


def named(cases: Sequence[Case], only: str) -> list[Case]:
    """The cases whose name contains one of the texts that stand between bars."""
    return [case for case in cases if any(text.strip() in case.name for text in only.split("|"))]


def evenly(cases: Sequence[Case], count: int) -> list[Case]:
    """So many of them, with even distances and the first among them; all where there are not more."""
    if not 0 < count < len(cases):
        return list(cases)
    return [cases[index * len(cases) // count] for index in range(count)]


def rest(cases: Sequence[Case], part: Part, done: Collection[str]) -> list[Case]:
    """The part of them less what was played before. A part has each n-th case, so that all take equally long."""
    return [case for case in cases[part.number - 1 :: part.count] if case.name not in done]
