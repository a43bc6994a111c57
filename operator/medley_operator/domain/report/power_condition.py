"""Whether the power domains that feed a service's replicas are within their budgets, as a condition. Pure.

Apart: judged from what the controller of power says of domains, and from nothing that the round decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from medley_operator.api.v1alpha1.power import PowerDomain, PowerMode
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.values.conditions import ConditionStatus, Draft, find
from medley_operator.domain.values.leadtime import utc_text

POWER_WITHIN_BUDGET = "PowerWithinBudget"
NOT_CONFIRMED = "NotConfirmed"
_METER_READABLE = "MeterReadable"


def power_within_budget(outcome: ServiceDecision) -> Draft | None:
    """Informational. None where no domain feeds a replica. The message has no watts: they move all the time."""
    domains = outcome.candidate.domains
    if not domains:
        return None
    unconfirmed = outcome.candidate.unconfirmed
    if unconfirmed:
        alone = [domain for domain in domains if domain.metadata.name in unconfirmed]
        message = (
            f"{_named(alone)} of its replicas has no controller: the last lease on its caps ended at "
            f"{utc_text(max(unconfirmed.values()))}, and its status is as old. Agents hold GPUs to their safe limits, "
            "and plans put no more replicas there; look at the pods of medley power controller"
        )
        return Draft(ConditionStatus.UNKNOWN, NOT_CONFIRMED, message)
    over = [domain for domain in domains if (domain.status.headroom_watts or 0) < 0]
    if over:
        message = (
            f"{_named(over)} of its replicas draws more than its budget; the controller of power caps GPUs as its mode "
            "allows, and plans put no more replicas there"
        )
        return Draft(ConditionStatus.FALSE, "OverBudget", message)
    capped = [domain for domain in domains if domain.spec.mode is PowerMode.ENFORCE and domain.status.level]
    if capped:
        levels = ", ".join(f"{domain.metadata.name} at level {domain.status.level}" for domain in capped)
        message = (
            f"GPUs are held to lower clocks or watts by priority ({levels}), so that replicas may be slower; none is "
            "restarted for it"
        )
        return Draft(ConditionStatus.FALSE, "Capped", message)
    unread = [domain for domain in domains if not _read(domain)]
    if unread:
        message = f"{_named(unread)} of its replicas has no meter reading that counts; see its conditions"
        return Draft(ConditionStatus.UNKNOWN, "MeterNotRead", message)
    return Draft(ConditionStatus.TRUE, "WithinBudget", f"{_named(domains)} of its replicas is within its budget")


def _named(domains: Sequence[PowerDomain]) -> str:
    names = ", ".join(domain.metadata.name for domain in domains)
    return f"PowerDomain {names}" if len(domains) == 1 else f"each of PowerDomains {names}"


def _read(domain: PowerDomain) -> bool:
    readable = find(domain.status.conditions, _METER_READABLE)
    told = readable is not None and readable.status == ConditionStatus.TRUE
    return told and domain.status.watts is not None
