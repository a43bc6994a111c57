"""Curtailments: what a grid or a facility asks of a domain for some time, as a `PowerEvent` carries it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from medley_planner.bad_input import BadInput
from medley_planner.power.tree import CappedDomain, DomainTree
from medley_planner.power.victims import Shed, shed
from medley_planner.refusal import Refusal

LONGEST_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Curtailment:
    """A domain is to draw at most `target_watts` from `start_seconds` to `end_seconds`, on the clock of the policy.

    None is an end that nobody gave, which is refused.
    """

    name: str
    domain: str
    target_watts: float
    start_seconds: float
    end_seconds: float | None

    def active(self, now_seconds: float) -> bool:
        return self.end_seconds is not None and self.start_seconds <= now_seconds < self.end_seconds


def check_curtailment(tree: DomainTree, event: Curtailment, now_seconds: float) -> Refusal | None:
    """Why a curtailment is not accepted. It is asked once, when it arrives; one that was accepted runs to its end."""
    domain = tree.domains.get(event.domain)
    if domain is None:
        return _refusal("UnknownDomain", event, "spec.domain", event.domain, "name a PowerDomain that exists")
    if event.end_seconds is None or not math.isfinite(event.end_seconds):
        return _refusal("EventWithoutEnd", event, "spec.end", event.end_seconds, "give the time at which it ends")
    if event.end_seconds <= now_seconds:
        way_out = f"it ended {now_seconds - event.end_seconds:.0f} s ago; give an end that is to come"
        return _refusal("EventInThePast", event, "spec.end", event.end_seconds, way_out)
    length = event.end_seconds - event.start_seconds
    if not 0.0 < length <= LONGEST_SECONDS:
        way_out = f"it lasts {length:.0f} s; let it end after its start, and within {LONGEST_SECONDS:.0f} s of it"
        return _refusal("EventLength", event, "spec.end", event.end_seconds, way_out)
    idle = tree.bounds[domain.name][0]
    if not idle < event.target_watts < math.inf:
        way_out = f"its nodes draw {idle:.0f} W idle; give more, or take nodes out"
        return _refusal("BudgetBelowIdle", event, "spec.targetWatts", event.target_watts, way_out)
    return None


def budget_in_force(domain: CappedDomain, events: Iterable[Curtailment], now_seconds: float) -> float:
    """The least of the domain's budget and of what the curtailments ask that are active now."""
    targets = (event.target_watts for event in events if event.domain == domain.name and event.active(now_seconds))
    return min(domain.budget_watts, min(targets, default=math.inf))


def shed_for(tree: DomainTree, event: Curtailment, drawn_watts: float) -> Shed:
    """The caps alone for a curtailment of a domain that draws so much. The shortfall is left to the plan."""
    return shed(tree, tree.domains[event.domain], drawn_watts - event.target_watts)


def _refusal(reason: str, event: Curtailment, field: str, value: object, way_out: str) -> Refusal:
    return Refusal(reason, str(BadInput(f"power event {event.name}", field, value, way_out)))
