"""Margins as the status shows them, and back: a restarted operator goes on where it was. Pure.

The status moves with a margin and not with each window: evidence since the last move is lost with a restart.
"""

from __future__ import annotations

import math

from medley_operator.api.v1alpha1 import LLMServiceStatus, MarginStatus, VariantMarginStatus
from medley_operator.domain.margins.of_service import margin_cost_per_hour
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_operator.domain.values.margins import Margin
from medley_planner.units import money

MOST_ROWS = 48
MOST_PERCENT = 1e4


def margin_status(outcome: ServiceDecision) -> MarginStatus | None:
    """None where no margin is learned."""
    known = outcome.candidate.margins
    rows = {row.name: row.cost_per_hour for row in outcome.rows if row.name in known}
    if not rows:
        return None
    shown = {name: margin for name, margin in sorted(known.items()) if name in rows or margin.rests_on > 0}
    cost = math.fsum(margin_cost_per_hour(rows[name], known[name].share) for name in rows)
    rest = math.fsum(rows.values()) - cost
    firsts = [margin.since for name in rows if (margin := known[name]).since is not None]
    return MarginStatus(
        percent=_percent(cost / rest if rest > 0 else max(known[name].share for name in rows)),
        cost_per_hour=money(cost),
        requests=round(sum(known[name].rests_on for name in rows)),
        window=outcome.candidate.service.spec.workload.window,
        since=utc_text(min(firsts)) if firsts else None,
        variants=[_row(name, margin) for name, margin in shown.items()][:MOST_ROWS],
    )


def remembered_margins(status: LLMServiceStatus) -> dict[str, Margin]:
    """Those of the status; a row that makes no sense is left out, and that margin learned anew."""
    found: dict[str, Margin] = {}
    for row in status.margin.variants if status.margin is not None else []:
        share, short = _share(row.percent), _share(row.short_percent)
        if share is not None:
            found[row.variant] = Margin(
                share=share,
                basis=row.basis,
                rests_on=float(max(row.requests, 0)),
                since=unix_seconds(row.since),
                short_share=short,
                short_at=unix_seconds(row.short_at) or 0.0,
            )
    return found


def _row(name: str, margin: Margin) -> VariantMarginStatus:
    short = margin.short_share
    return VariantMarginStatus(
        variant=name,
        percent=_percent(margin.share),
        basis=margin.basis,
        requests=round(margin.rests_on),
        since=utc_text(margin.since) if margin.since is not None else None,
        short_percent=_percent(short) if short is not None else None,
        short_at=utc_text(margin.short_at) if short is not None else None,
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.2f}"


def _share(text: str | None) -> float | None:
    """None for text that is not a margin: anybody who may write statuses can have written it."""
    try:
        percent = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return round(percent / 100.0, 4) if 0.0 <= percent <= MOST_PERCENT else None
