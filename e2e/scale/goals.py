"""The goals of a run and what became of them, as a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HEAD = ("measured", "goal", "figure", "", "about it")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure. `most` None: it has no goal and is told beside others. `unit` follows the number."""

    name: str
    value: float
    most: float | None = None
    unit: str = "s"
    about: str = ""

    @property
    def missed(self) -> bool:
        # Not "more than": a figure that is no number is missed too.
        return self.most is not None and not self.value <= self.most

    def row(self) -> tuple[str, ...]:
        goal = "" if self.most is None else f"<= {self.most:g} {self.unit}".rstrip()
        verdict = "" if self.most is None else "MISS" if self.missed else "ok"
        return (self.name, goal, f"{self.value:.3g} {self.unit}".rstrip(), verdict, self.about)


def table(figures: Sequence[Figure]) -> str:
    rows = [_HEAD, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
