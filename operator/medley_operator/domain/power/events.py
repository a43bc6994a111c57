"""PowerEvents: which are accepted, how far each has come, and what its status says. Pure.

An event is checked until it is accepted; one that was accepted runs to its end, also under another leader, which finds
that in its status. A target as a fraction is one of the domain's budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medley_operator.api.v1alpha1.power import EventPhase, PowerEvent, PowerEventStatus
from medley_operator.domain.values.conditions import ACCEPTED, ConditionStatus, Draft, find, merge
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_planner.power import CappedDomain, Curtailment, DomainTree, check_curtailment, shed_for
from medley_planner.refusal import Refusal


@dataclass(frozen=True, slots=True)
class JudgedEvent:
    """An event with what it asks on the policy's clock. `refusal` None: it is accepted."""

    event: PowerEvent
    curtailment: Curtailment
    refusal: Refusal | None
    phase: EventPhase


def judge(event: PowerEvent, trees: Iterable[DomainTree], *, now: float) -> JudgedEvent:
    """`trees` are looked through for the event's domain, the first that has it counts. `now` is Unix time."""
    tree = next((each for each in trees if event.spec.domain in each.domains), DomainTree({}))
    asked = _curtailment(event, tree.domains.get(event.spec.domain))
    refusal = None if _was_accepted(event) else check_curtailment(tree, asked, now)
    return JudgedEvent(event, asked, refusal, _phase(asked, refusal, now))


def event_status(judged: JudgedEvent, tree: DomainTree | None, watts: float | None, *, now: float) -> PowerEventStatus:
    """`watts`: what the domain draws, where that is known. `tree`: the one that holds the domain."""
    event, before = judged.event, judged.event.status
    same = before.observed_generation == event.metadata.generation
    drawn = before.drawn_watts if same else None
    shortfall = before.shortfall_watts if same else None
    met = before.met_at if same else None
    if judged.phase is EventPhase.ACTIVE and watts is not None:
        if drawn is None:
            drawn = round(watts)
            if tree is not None and judged.curtailment.domain in tree.domains:
                shortfall = round(shed_for(tree, judged.curtailment, watts).shortfall_watts)
        if met is None and watts <= judged.curtailment.target_watts:
            met = utc_text(now)
    draft = Draft(ConditionStatus.TRUE, "Accepted", "the event is accepted")
    if judged.refusal is not None:
        draft = Draft(ConditionStatus.FALSE, judged.refusal.reason, judged.refusal.message, sticky_message=True)
    return PowerEventStatus(
        observed_generation=event.metadata.generation,
        phase=judged.phase.value,
        target_watts=round(judged.curtailment.target_watts) if judged.curtailment.target_watts > 0 else None,
        drawn_watts=drawn,
        shortfall_watts=shortfall,
        met_at=met,
        conditions=merge(before.conditions, {ACCEPTED: draft}, generation=event.metadata.generation, now=utc_text(now)),
    )


def accepted(judged: Iterable[JudgedEvent]) -> tuple[Curtailment, ...]:
    return tuple(each.curtailment for each in judged if each.refusal is None)


def _curtailment(event: PowerEvent, domain: CappedDomain | None) -> Curtailment:
    spec = event.spec
    if spec.target_watts is not None:
        target = float(spec.target_watts)
    elif domain is not None:
        target = float(spec.target_fraction or 0) * domain.budget_watts
    else:
        target = 0.0
    start, end = unix_seconds(spec.start) or 0.0, unix_seconds(spec.end)
    return Curtailment(event.metadata.name, spec.domain, target, start, end)


def _was_accepted(event: PowerEvent) -> bool:
    """Whether this leader, or one before it, accepted it with this very spec."""
    known = find(event.status.conditions, ACCEPTED)
    fresh = event.status.observed_generation == event.metadata.generation
    return fresh and known is not None and known.status == ConditionStatus.TRUE


def _phase(asked: Curtailment, refusal: Refusal | None, now: float) -> EventPhase:
    if refusal is not None:
        return EventPhase.REFUSED
    if asked.active(now):
        return EventPhase.ACTIVE
    return EventPhase.PENDING if now < asked.start_seconds else EventPhase.ENDED
