"""The table at the end of a run, and the ledger of runs that are played in parts.

Apart: text only, while its user plays cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from e2e.chaos.run import Result

_HEAD = ("fault", "struck", "converged in s", "extra writes", "breaches", "result")


def table(results: Sequence[Result]) -> str:
    """One line for each case, and below it what was wrong."""
    rows = [_HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for result in results:
        if not result.ok:
            lines += ["", result.case.name, *(f"  known: {result.case.known}" for _ in result.case.known[:1])]
            lines += [f"  {text}" for text in (*result.wrong, *result.breaches)]
    return "\n".join(lines)


class Ledger:
    """A file with one line of JSON for each case that was played; None: nothing is noted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def passed(self) -> set[str]:
        """Names of the cases whose last result is as it should be."""
        if self._path is None or not self._path.exists():
            return set()
        rows = [json.loads(line) for line in self._path.read_text().splitlines()]
        return {name for name, good in {row["case"]: row["good"] for row in rows}.items() if good}

    def add(self, result: Result) -> None:
        if self._path is None:
            return
        row = {
            "case": result.case.name,
            "good": result.as_known,
            "result": _verdict(result),
            "struck": result.struck,
            "seconds": round(result.seconds, 1),
            "extra": result.extra_writes,
            "wrong": result.wrong + result.breaches,
        }
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def _verdict(result: Result) -> str:
    return {
        (True, True): "passes, though known to fail",
        (True, False): "ok",
        (False, True): "known",
        (False, False): "FAILS",
    }[result.ok, bool(result.case.known)]


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.case.name,
        str(result.struck) if result.struck else "-",
        f"{result.seconds:.1f}",
        str(result.extra_writes),
        str(len(result.breaches)),
        _verdict(result),
    )
