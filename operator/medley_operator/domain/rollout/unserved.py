"""Demand that a plan leaves out, in words: how much, which limit binds, and the way out.

Pure. Says what each reason of the planner means to a user.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.values.candidates import ServiceCandidate
from medley_planner.model import ServicePlan, Unserved, UnservedReason
from medley_planner.units import req_per_second

WAY_OUT: dict[UnservedReason, str] = {
    UnservedReason.STOCK: "the pools hold too few GPUs; add nodes (GPUPool spec.capacity) or relax spec.slo",
    UnservedReason.NODES: "no node has room for a whole replica, or the pool cannot add enough nodes; raise GPUPool "
    "spec.capacity.nodes, or lower spec.variants[].tensorParallel",
    UnservedReason.POWER: "the power budget is reached; raise PowerDomain spec.budgetWatts or GPUPool "
    "spec.power.budgetWatts, or add a pool on another feed",
    UnservedReason.BUDGET: "the budget is reached; raise spec.budget.maxCostPerHour or relax spec.slo",
    UnservedReason.SPOT_SHARE: "the limits on spot GPUs are reached; raise spec.budget.spotMaxPercent, lower "
    "spec.budget.onDemandMinReplicas, or add a GPUPool with provisioning OnDemand",
    UnservedReason.ZONE_SPREAD: "spec.scaling.zoneSpread needs two zones, and only one is known; add a GPUPool in "
    "another zone, name the zones (GPUPool spec.zones), or set spec.scaling.zoneSpread to false",
    UnservedReason.MAX_REPLICAS: "the replica limits are reached; raise spec.scaling.maxReplicas or "
    "spec.variants[].maxReplicas",
    UnservedReason.QUOTA: "the namespace takes all that MedleyPolicy spec.limits allows it; lower what its other "
    "LLMServices take, or ask the platform team for more",
    UnservedReason.NO_VARIANT_MEETS_TARGET: "no variant serves requests of this size within the targets; relax "
    "spec.slo.ttft or spec.slo.tpot, or add a GPUPool with faster GPUs",
}

_SHORTAGES: dict[UnservedReason, tuple[str, str]] = {
    UnservedReason.STOCK: (
        "StockOut",
        "have no free GPU; add nodes to a pool (GPUPool spec.capacity.nodes), add a pool, or relax spec.slo",
    ),
    UnservedReason.NODES: (
        "NodesFull",
        "have no node with room for a whole replica; raise GPUPool spec.capacity.nodes, or lower "
        "spec.variants[].tensorParallel",
    ),
    UnservedReason.POWER: (
        "PowerLimit",
        "exceed the power budget; raise PowerDomain spec.budgetWatts or GPUPool spec.power.budgetWatts, or add a pool "
        "on another feed",
    ),
    UnservedReason.QUOTA: (
        "QuotaReached",
        "exceed what MedleyPolicy spec.limits allows the namespace; lower what its other LLMServices take, or ask the "
        "platform team for more",
    ),
}
"""Reasons that lie in what the cluster holds or the platform allows, with how CapacityAvailable puts them."""

_MINIMA = (
    "the replicas that spec.scaling.minReplicas, spec.variants[].minReplicas and spec.budget.onDemandMinReplicas ask "
    "for do not fit within stock, maxReplicas or spec.budget; add nodes (GPUPool spec.capacity), or lower the minima "
    "or raise the limits"
)


@dataclass(frozen=True, slots=True)
class Shortage:
    """The shortage of the cluster for a service: reason and message of CapacityAvailable."""

    reason: str
    message: str


def unserved_message(plan: ServicePlan, *, kept: bool, quota: str = "") -> str:
    """How much is left out, by reason, with the shared limits that bind and the way out. `quota`: what the namespace
    may take, and who says so."""
    parts = [
        f"{req_per_second(_total(rows))} ({reason.value}{_named(rows, before=': ')}): {WAY_OUT[reason]}"
        f"{_by_whom(reason, quota)}"
        for reason, rows in _by_reason(plan)
    ]
    head = "no plan is possible, so running replicas stay" if kept else "not planned"
    return f"{head}: {'; '.join(parts) or _MINIMA}"


def minima_unmet(candidate: ServiceCandidate, plan: ServicePlan) -> Shortage | None:
    """The replicas that the spec asks for at least and that the plan lacks, since nothing is free for them; what stands
    where they would have room is not taken for them."""
    replicas = plan.replicas()
    scaling, total = candidate.service.spec.scaling, sum(replicas.values())
    short = [
        f"spec.variants[].minReplicas of {each.variant.name} is {each.variant.min_replicas} ({planned} planned)"
        for each in candidate.variants
        if (planned := replicas.get(each.variant.name, 0)) < each.variant.min_replicas
    ]
    if total < scaling.min_replicas:
        short.append(f"spec.scaling.minReplicas is {scaling.min_replicas} ({total} planned)")
    if not short:
        return None
    pools = ", ".join(sorted({each.variant.pool for each in candidate.variants}))
    message = (
        f"{'; '.join(short)}: GPUPool {pools} has no GPU free for more; free GPUs, add nodes to a pool (GPUPool "
        "spec.capacity.nodes), or lower the minimum"
    )
    return Shortage(reason="StockOut", message=message)


def shortage(plan: ServicePlan, *, quota: str = "") -> Shortage | None:
    """The shortage of the cluster; None where only the service's own limits bind. The reason is that of the largest
    part."""
    lacking = [(reason, rows) for reason, rows in _by_reason(plan) if reason in _SHORTAGES]
    if not lacking:
        return None
    lacking.sort(key=lambda part: -_total(part[1]))
    parts = [
        f"{req_per_second(_total(rows))} {_SHORTAGES[reason][1]}{_named(rows, before=' (', after=')')}"
        f"{_by_whom(reason, quota)}"
        for reason, rows in lacking
    ]
    return Shortage(reason=_SHORTAGES[lacking[0][0]][0], message="; ".join(parts))


def _by_reason(plan: ServicePlan) -> list[tuple[UnservedReason, list[Unserved]]]:
    reasons = sorted({part.reason for part in plan.unserved})
    return [(reason, [part for part in plan.unserved if part.reason is reason]) for reason in reasons]


def _total(rows: list[Unserved]) -> float:
    return sum(part.rate_rps for part in rows)


def _named(rows: list[Unserved], *, before: str, after: str = "") -> str:
    """The pools that bind, or the power domains, of which each is a PowerDomain or named after its pool. A quota's name
    has a space, and says what it is."""
    found = sorted({name for part in rows for name in part.limits})
    kind = "power domain" if all(part.reason is UnservedReason.POWER for part in rows) else "GPUPool"
    pools = ", ".join(name for name in found if " " not in name)
    names = [f"{kind} {pools}" if pools else "", *(name for name in found if " " in name)]
    told = ", ".join(name for name in names if name)
    return f"{before}{told}{after}" if told else ""


def _by_whom(reason: UnservedReason, quota: str) -> str:
    return f" ({quota})" if quota and reason is UnservedReason.QUOTA else ""
