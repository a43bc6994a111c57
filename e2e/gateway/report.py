"""The table at the end of a run, and below it what was wrong.

Apart: text only, while its user plays the steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from e2e.gateway.oracle import Verdict

_HEAD = ("step", "requests", "failed", "share error", "to not Ready", "to draining", "seconds", "then")


def table(verdicts: Sequence[Verdict]) -> str:
    rows = [_HEAD, *(_row(verdict) for verdict in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for verdict in verdicts:
        lines += [f"{verdict.step.name}: {breach}" for breach in verdict.breaches]
    return "\n".join(lines)


def _row(verdict: Verdict) -> tuple[str, ...]:
    late = f" (up to {verdict.latest_draining_seconds:.2f} s)" if verdict.to_draining else ""
    return (
        verdict.step.name,
        str(verdict.requests),
        str(verdict.failed),
        f"{verdict.share_error_points:.2f} points",
        str(verdict.to_not_ready),
        f"{verdict.to_draining}{late}",
        f"{verdict.step.until - verdict.step.since:.0f}",
        verdict.step.what,
    )
