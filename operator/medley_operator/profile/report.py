"""Shared by the readers of other tools' reports: the points they find, and how they refuse a report that makes no
sense.

Pure: a report comes as parsed JSON. A load that is not a steady state is skipped with the reason; figures that
contradict each other are an error, because nothing then shows which of them is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medley_operator.profile.samples import MOST_FAILED
from medley_planner.bad_input import MISSING, BadInput
from medley_planner.capacity.points import LoadPoint

MOST_APART = 3.0
"""Figures that must agree may differ by this factor: start and end of a run, and means of ratios, do differ."""

KEEPS_UP = 0.7
"""A load whose rate of completions is below this share of the requested rate left a growing queue: no steady state."""


class BadReport(BadInput):
    """The report cannot be read or contradicts itself; `where` is its file and run, `field` the key."""


@dataclass(frozen=True, slots=True)
class Imported:
    """`skipped`: loads that are not points, and why. `measured_at`: RFC 3339 in UTC. None where no report has it."""

    points: tuple[LoadPoint, ...]
    skipped: tuple[str, ...]
    measured_at: str | None
    model: str | None = None
    engine_version: str | None = None


def joined(parts: Sequence[Imported]) -> Imported:
    """Several reports as one; the newest time counts. Raises BadReport where they are of different models or
    versions of the engine."""
    model = _only("model_id", "models", "model", [part.model for part in parts])
    version = _only("engine_version", "versions of the engine", "version", [part.engine_version for part in parts])
    return Imported(
        points=tuple(point for part in parts for point in part.points),
        skipped=tuple(reason for part in parts for reason in part.skipped),
        measured_at=max((part.measured_at for part in parts if part.measured_at is not None), default=None),
        model=model,
        engine_version=version,
    )


def _only(field: str, kinds: str, kind: str, values: Sequence[str | None]) -> str | None:
    """The value that all reports agree on, as far as they have it. Raises BadReport where they do not."""
    known = sorted({value for value in values if value is not None})
    if len(known) > 1:
        way_out = (
            f"the reports are of different {kinds}, but a profile is of one; import those of each {kind} separately"
        )
        raise BadReport("", field, known[:2], way_out)
    return known[0] if known else None


def figure(values: Mapping[str, Any], path: str, *, where: str) -> float:
    """The number at a dotted `path`; NaN and infinity are numbers. Raises BadReport."""
    found = look_up(values, path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise BadReport(where, path, MISSING if found is None else found, "give a report that has a number there")
    try:
        return float(found)
    except OverflowError:
        raise BadReport(where, path, found, "it is too large; give a report that has a number there") from None


def count(values: Mapping[str, Any], path: str, *, where: str) -> float:
    """As `figure`, and finite, so that a count is a whole number."""
    found = figure(values, path, where=where)
    if not math.isfinite(found):
        raise BadReport(where, path, found, "it is not a count; give a report that has one there")
    return found


def look_up(values: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted `path`; None where nothing does."""
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def check_agreement(one: float, other: float, *, where: str, told: str) -> None:
    """Raises BadReport where two figures of the same thing are more than `MOST_APART` apart.

    Both must be finite and above 0 to be compared; others are refused as points. `told` names both in words.
    """
    comparable = math.isfinite(one) and math.isfinite(other) and one > 0 and other > 0
    if comparable and not 1 / MOST_APART <= one / other <= MOST_APART:
        raise BadReport.whole(
            where,
            f"{told} contradict each other ({one:g} and {other:g}); are these milliseconds in seconds' place, or "
            "figures of another run? Give the report as the tool wrote it",
        )


def check_failures(failed: float, completed: float, *, where: str, field: str) -> None:
    """Raises BadReport where more requests failed than a profile may rest on: those left had an engine for less."""
    sent = failed + completed
    if failed > MOST_FAILED * sent:
        way_out = (
            f"{failed:g} of {sent:g} requests failed, more than {MOST_FAILED:.0%}: what the others saw is not an "
            "engine at that load; correct the run and measure again"
        )
        raise BadReport(where, field, failed, way_out)


def shared(total: float, count: float) -> float:
    """The mean; NaN where there is nothing to share, so that the point is refused with its count."""
    return total / count if count > 0 else math.nan
