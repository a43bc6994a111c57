"""The status of each PowerDomain, and what is worth a word to people and to hooks. Pure.

Watts in a status follow the meter in steps, since a meter never rests: a status is written when its level, its reason,
a condition or a count changed, or its watts moved by more than a part of the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from medley_operator.api.v1alpha1.power import PowerDomain, PowerDomainStatus, PowerEventStatus
from medley_operator.domain.power.view import MeterFault
from medley_operator.domain.values.conditions import ACCEPTED, ConditionStatus, Draft, merge
from medley_operator.domain.values.leadtime import utc_text
from medley_planner.power import (
    CappedDomain,
    DomainState,
    LevelReason,
    MeterState,
    RiseHistory,
    derived_entry,
    entry_warning,
)
from medley_planner.refusal import Refusal

METER_READABLE = "MeterReadable"
WITHIN_BUDGET = "WithinBudget"
SECOND_ENTRY = "SecondEntryInTime"
STEP_OF_BUDGET = 0.02
HELD, REFUSED = "Held", "Refused"
"""Reasons of a status beside those of the policy: a reading is not believed; the domain is not accepted."""


class NoticeKind(StrEnum):
    """Kinds of what happened. The values are the types of CloudEvents, after `dev.medley.power.`."""

    LEVEL_RAISED = "LevelRaised"
    LEVEL_LOWERED = "LevelLowered"
    BRAKED = "SoftwareBrake"
    BLIND = "MeterBlind"
    SEES = "MeterReadable"
    REFUSED = "DomainRefused"
    ACCEPTED = "DomainAccepted"
    LIMIT_REFUSED = "PodLimitRefused"
    EVENT_REFUSED = "PowerEventRefused"
    EVENT_BEGUN = "PowerEventBegun"
    EVENT_MET = "PowerEventMet"
    EVENT_ENDED = "PowerEventEnded"


WARNINGS = frozenset(
    {
        NoticeKind.BRAKED,
        NoticeKind.BLIND,
        NoticeKind.REFUSED,
        NoticeKind.LIMIT_REFUSED,
        NoticeKind.EVENT_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class DomainReading:
    """Where a domain stands after a step. `refused`: what is wrong with it as it is given; `stepped`: whether the
    policy goes on with what was accepted last. `silent`: why its meter gave no answer in this round."""

    capped: CappedDomain
    state: DomainState
    meter: MeterState | None
    budget_watts: float
    refused: Refusal | None
    stepped: bool
    nodes: int
    gpus: int
    capped_gpus: int
    rises: RiseHistory | None
    silent: MeterFault | None


def domain_status(domain: PowerDomain, reading: DomainReading, *, now: float) -> PowerDomainStatus:
    """The status to write; equal to the one that there is where nothing is worth a write. `now` is Unix time."""
    before, meter = domain.status, reading.meter
    watts = None if meter is None or math.isnan(meter.watts) else meter.watts
    shown = _stepwise(before.watts, watts, reading.budget_watts)
    level = reading.state.level if reading.stepped else before.level
    reason = _reason(reading)
    stays = (level, reason) == (before.level, before.reason) and before.since is not None
    budget = round(reading.budget_watts)
    return PowerDomainStatus(
        observed_generation=domain.metadata.generation,
        level=level,
        reason=reason,
        since=before.since if stays else utc_text(now),
        safe=reading.state.safe if reading.stepped else before.safe,
        watts=shown,
        budget_watts=budget,
        headroom_watts=None if shown is None else budget - shown,
        nodes=reading.nodes,
        gpus=reading.gpus,
        capped_gpus=reading.capped_gpus,
        derived_second_entry=_derived(reading),
        conditions=merge(
            before.conditions, _conditions(reading, shown), generation=domain.metadata.generation, now=utc_text(now)
        ),
    )


Status = TypeVar("Status", PowerDomainStatus, PowerEventStatus)


def rejected_status(before: Status, refusal: Refusal, *, generation: int, now: float) -> Status:
    """For an object that does not parse: what it was, and why it is not accepted."""
    draft = Draft(ConditionStatus.FALSE, refusal.reason, refusal.message)
    conditions = merge(before.conditions, {ACCEPTED: draft}, generation=generation, now=utc_text(now))
    return before.model_copy(update={"observed_generation": generation, "conditions": conditions})


def notices_of(before: PowerDomainStatus, after: PowerDomainStatus, brake_level: int | None) -> list[NoticeKind]:
    """The changes from one status to the next. `brake_level`: that of the software brake."""
    found = []
    old, new = before.level or 0, after.level or 0
    if new > old:
        found.append(NoticeKind.BRAKED if new == brake_level else NoticeKind.LEVEL_RAISED)
    elif new < old:
        found.append(NoticeKind.LEVEL_LOWERED)
    was, is_now = before.reason == LevelReason.BLIND, after.reason == LevelReason.BLIND
    if is_now and not was:
        found.append(NoticeKind.BLIND)
    elif was and not is_now:
        found.append(NoticeKind.SEES)
    refused_before, refused_now = _is_refused(before), _is_refused(after)
    if refused_now and not refused_before:
        found.append(NoticeKind.REFUSED)
    elif refused_before and not refused_now:
        found.append(NoticeKind.ACCEPTED)
    return found


def _conditions(reading: DomainReading, watts: int | None) -> Mapping[str, Draft]:
    found = {ACCEPTED: _accepted(reading)}
    if reading.stepped:
        found[METER_READABLE] = _readable(reading)
        found[WITHIN_BUDGET] = _within(reading, watts)
        late = None if reading.rises is None else entry_warning(reading.capped, reading.rises)
        if late is not None:
            found[SECOND_ENTRY] = Draft(ConditionStatus.FALSE, "EnteredLate", late, sticky_message=True)
    return found


def _accepted(reading: DomainReading) -> Draft:
    if reading.refused is None:
        return Draft(ConditionStatus.TRUE, "Accepted", "the domain is held to its budget as spec.mode says")
    message = reading.refused.message
    if reading.stepped:
        message = f"{message} (until then, what was accepted last stays in force)"
    return Draft(ConditionStatus.FALSE, reading.refused.reason, message, sticky_message=True)


def _readable(reading: DomainReading) -> Draft:
    meter = reading.meter
    blind = reading.state.reason is LevelReason.BLIND
    status = ConditionStatus.FALSE
    if reading.silent is not None:
        reason, message = "MeterUnreachable", reading.silent.message
    elif meter is not None and meter.held is not None:
        reason, message = meter.held.reason, meter.held.message
    elif blind:
        reason, message = "MeterStale", f"no reading of the last {reading.capped.stale_seconds:g} s counts"
    elif meter is None or math.isnan(meter.watts):
        return Draft(ConditionStatus.UNKNOWN, "MeterNotRead", "the meter has not been read yet")
    else:
        return Draft(ConditionStatus.TRUE, "MeterRead", "readings of the meter count")
    if blind:
        message = f"{message}. The domain is at its safe limits, and is not relaxed until a reading counts"
    return Draft(status, reason, message, sticky_message=True)


def _within(reading: DomainReading, watts: int | None) -> Draft:
    if watts is None:
        return Draft(ConditionStatus.UNKNOWN, "MeterNotRead", "what the domain draws is not known")
    budget = reading.budget_watts
    if watts > budget:
        text = f"the domain draws {watts} W of {budget:.0f} W"
        return Draft(ConditionStatus.FALSE, "OverBudget", text, sticky_message=True)
    return Draft(ConditionStatus.TRUE, "WithinBudget", "the domain draws no more than its budget")


def _reason(reading: DomainReading) -> str:
    if not reading.stepped:
        return REFUSED
    held = reading.meter is not None and reading.meter.held is not None
    if held and reading.state.reason is not LevelReason.BLIND:
        return HELD
    return reading.state.reason.value


def _derived(reading: DomainReading) -> str:
    if reading.rises is None or not reading.rises.largest:
        return ""
    return f"{max(derived_entry(reading.capped, reading.rises), 0.0):.2f}"


def _stepwise(before: int | None, watts: float | None, budget_watts: float) -> int | None:
    """The watts that were shown before while the reading is near it; it crosses a budget at once."""
    if watts is None or before is None:
        return before if watts is None else round(watts)
    near = abs(watts - before) <= STEP_OF_BUDGET * budget_watts
    return before if near and (watts > budget_watts) == (before > budget_watts) else round(watts)


def _is_refused(status: PowerDomainStatus) -> bool:
    return any(each.type == ACCEPTED and each.status == ConditionStatus.FALSE for each in status.conditions)
