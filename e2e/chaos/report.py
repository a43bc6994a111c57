"""The table at the end of a run.

Apart: text only, while its user plays cases.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def _row(result: Result) -> tuple[str, ...]:
    verdict = {
        (True, True): "passes, though known to fail",
        (True, False): "ok",
        (False, True): "known",
        (False, False): "FAILS",
    }
    return (
        result.case.name,
        str(result.struck) if result.struck else "-",
        f"{result.seconds:.1f}",
        str(result.extra_writes),
        str(len(result.breaches)),
        verdict[result.ok, bool(result.case.known)],
    )
