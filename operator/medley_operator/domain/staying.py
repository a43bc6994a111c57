"""How long a service stays on a dear fleet: the account of what that has cost, from round to round and in its status.

Pure. The rule itself is the planner's (`medley_planner.regret`); here it meets the load, the target in force and the
status, which keeps the account for an operator that starts anew.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import MemoryStatus
from medley_operator.api.v1alpha1.fields import figure_of
from medley_operator.domain.rollout.goals import Goal
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_planner.regret import KNOWN_LEADS, Regret
from medley_planner.units import money, per_hour


def known_seconds(candidate: ServiceCandidate) -> float:
    """How long the load of a plan is taken to stay."""
    leads = [each.variant.startup_seconds + each.variant.drain_seconds for each in candidate.variants]
    return KNOWN_LEADS * max(leads, default=0.0) or 1.0


def stay_seconds(candidate: ServiceCandidate) -> float:
    """How long replicas that start in this round are taken to stay. What was found out about another load does not
    count: with that load, too, something else may be cheaper."""
    known = known_seconds(candidate)
    if not _same_load(candidate):
        return known
    return candidate.memory.regret.stay_seconds(candidate.at_seconds, known_seconds=known)


def regret_after(candidate: ServiceCandidate, goal: Goal) -> Regret:
    """The account after this round; only time passes without a plan, and while one waits to be acted on."""
    regret = candidate.memory.regret
    if goal.plan is None or goal.target is None:
        return regret
    now = {name: count for name, count in goal.target.replicas.items() if count}
    if now != {name: count for name, count in goal.plan.replicas().items() if count}:
        return regret
    started = any(count > candidate.last_replicas.get(name, 0) for name, count in now.items())
    left = started and _same_load(candidate) and regret.saving_per_hour > 0
    return regret.after(goal.plan.cheaper, candidate.at_seconds, left=left)


def _same_load(candidate: ServiceCandidate) -> bool:
    """Whether the account is about the load of this round. Of a load that was not measured a restart leaves nothing but
    the account."""
    known = candidate.memory.demand
    return candidate.choice is not None and known in (None, candidate.choice.demand)


def staying_text(candidate: ServiceCandidate, goal: Goal, kept: MemoryStatus | None) -> str | None:
    """The fleet that the plan stays on though another is cheaper, and when it leaves; None where none is. It moves only
    with the plan: the account is `kept` with the time that it begins at."""
    plan, since = goal.plan, unix_seconds(kept.staying_since) if kept is not None else None
    if plan is None or plan.cheaper is None or kept is None or since is None:
        return None
    regret = Regret(since, *(figure_of(text) for text in (kept.wasted_cost, kept.saving_per_hour, kept.leaving_cost)))
    leaves = regret.leaves_at(known_seconds=known_seconds(candidate))
    names = [part.variant for part in plan.variants]
    return (
        f"stays on {_fleet(names, [part.replicas for part in plan.variants])}: "
        f"{_fleet(names, plan.cheaper.replicas)} would save {per_hour(regret.saving_per_hour)}; leaving costs "
        f"${money(regret.leaving_cost)}, staying has cost ${money(regret.wasted_cost)} by {kept.staying_since}; leaves "
        f"at about {utc_text(leaves if leaves is not None else since)}"
    )


def _fleet(names: list[str], replicas: tuple[int, ...] | list[int]) -> str:
    return " + ".join(f"{count} {name}" for name, count in zip(names, replicas, strict=True) if count) or "nothing"
