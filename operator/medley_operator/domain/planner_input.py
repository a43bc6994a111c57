"""From the candidates of this round to the values that the planner takes: services with their wishes, and what other
pods leave of each pool.

Pure. May read candidates, pools and children; decides nothing about which services are planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.domain.cluster.places import planner_places
from medley_operator.domain.cluster.pools import planner_pool
from medley_operator.domain.feeds.budgets import NO_FEEDING, Feeding, with_budgets
from medley_operator.domain.in_place import InPlace, held_rps
from medley_operator.domain.load.headroom import utilisation_limit
from medley_operator.domain.quotas import drawing, held_by_namespace, quota_of
from medley_operator.domain.staying import stay_seconds
from medley_operator.domain.values.candidates import (
    Disposition,
    PoolState,
    ServiceCandidate,
)
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, Ledger, ReplicaSizes, Workload
from medley_planner.capacity import LatencyTargets
from medley_planner.check import Subject
from medley_planner.model import Pool, PowerBudget, Priority, Problem, Quota, RoutingMode, Service, Variant
from medley_planner.variants import Replica


def planner_problem(
    candidates: Sequence[ServiceCandidate],
    pools: Sequence[PoolState],
    ledger: Ledger,
    *,
    feeding: Feeding = NO_FEEDING,
    advice: bool = False,
) -> Problem | None:
    """The problem of all services whose plan is acted on at once or, with `advice`, of those whose plan waits or is
    only shown; None without any. What the others have in force is taken."""
    planned = [
        candidate
        for candidate in candidates
        if candidate.disposition is Disposition.PLANNED and (candidate.mode is not ActingMode.AUTO) is advice
    ]
    if not planned:
        return None
    keys = frozenset(candidate.key for candidate in planned)
    reserved = reserved_replicas(candidates, ledger, planned=keys)
    fed = with_budgets(feeding, candidates, planned=keys, reserved=reserved)
    waiting: Counter[str] = Counter()
    for workload in ledger.workloads:
        if workload.holder.service in keys:
            waiting[workload.pool] += ledger.lacking(workload) * workload.gpus
    offered: dict[str, dict[Holder, int]] = {}
    for candidate in planned:
        for known in candidate.variants:
            holder = Holder(candidate.key, known.variant.name)
            offered.setdefault(known.variant.pool, {})[holder] = known.variant.gpus_per_replica
    found: list[Pool] = []
    # A pool that is refused shows so in its own status, and no service has a variant there.
    pools = [state for state in pools if state.refusal is None]
    for state in pools:
        name = state.name
        offers = offered.get(name, {})
        places = planner_places(
            state,
            offers,
            planned=keys,
            reserved=reserved.get(name, {}),
            waiting_gpus=waiting[name],
            most_gpus=fed.most_gpus.get(name, {}),
        )
        found.append(planner_pool(state, places, degrees=offers.values()))
    unpacked = {
        state.name: state
        for state, pool in zip(pools, found, strict=True)
        if pool.node_gpus is None and pool.node_price is None
    }
    quotas = namespace_quotas(candidates, pools, ledger, planned=keys)
    in_place = InPlace.of(ledger)
    return Problem(
        services=tuple(
            drawing(_bounded(in_place(planner_service(each), each), unpacked), each.bounds) for each in planned
        ),
        pools=tuple(found),
        power_domains=(*fed.budgets, *pool_budgets(pools, ledger=ledger, planned=keys, reserved=reserved)),
        quotas=quotas,
    )


def namespace_quotas(
    candidates: Sequence[ServiceCandidate],
    pools: Sequence[PoolState],
    ledger: Ledger,
    *,
    planned: Collection[ServiceKey],
) -> tuple[Quota, ...]:
    """A quota for each namespace that has a limit on GPUs or money, of what is left of it. `planned`: the services of
    the problem."""
    inside: dict[str, list[ServiceCandidate]] = {}
    for candidate in candidates:
        if candidate.bounds.limits_what_is_planned:
            inside.setdefault(candidate.key.namespace, []).append(candidate)
    if not inside:
        return ()
    held = held_by_namespace(ledger, except_services=planned)
    asked: dict[str, list[Workload]] = {}
    for workload in ledger.workloads:
        asked.setdefault(workload.holder.service.namespace, []).append(workload)
    quotas: list[Quota] = []
    for namespace, own in sorted(inside.items()):
        of_namespace = replace(ledger, workloads=tuple(asked.get(namespace, ())))
        kept = reserved_replicas(own, of_namespace, planned=planned)
        quotas.append(quota_of(own[0].bounds, held.get(namespace, {}), kept, pools))
    return tuple(quotas)


def _bounded(service: Service, unpacked: Mapping[str, PoolState]) -> Service:
    """The service with variants in pools where packing is not planned bounded by what the nodes hold of each alone."""

    def bounded(variant: Variant) -> Variant:
        limit = unpacked[variant.pool].replica_limit(variant.gpus_per_replica) if variant.pool in unpacked else None
        if limit is None or (variant.max_replicas is not None and variant.max_replicas <= limit):
            return variant
        return replace(variant, max_replicas=limit)

    return replace(service, variants=tuple(bounded(variant) for variant in service.variants))


def planner_service(candidate: ServiceCandidate) -> Service:
    if candidate.choice is None:
        raise AssertionError(f"{candidate.key} is planned without a demand")
    spec = candidate.service.spec
    scaling, budget = spec.scaling, spec.budget
    return Service(
        name=candidate.key.problem_name,
        demand=candidate.choice.demand,
        variants=tuple(variant.variant for variant in candidate.variants),
        routing=RoutingMode(spec.routing.effective_mode().value),
        min_replicas=scaling.min_replicas,
        max_replicas=candidate.bounds.replicas(scaling.max_replicas),
        utilisation_limit=utilisation_limit(scaling.headroom_percent, candidate.choice.demand.size_source),
        staffing_beta=scaling.staffing_beta,
        priority=Priority(candidate.bounds.priority(spec.priority).value),
        max_cost_per_hour=budget.max_cost_per_hour_usd,
        spot_max_share=budget.spot_max_percent / 100.0,
        on_demand_min_replicas=budget.on_demand_min_replicas,
        zone_spread=scaling.zone_spread,
        n_plus_one=scaling.tolerate_replica_loss,
        held_rps=held_rps(candidate),
        stay_seconds=stay_seconds(candidate),
    )


def check_subjects(candidates: Sequence[ServiceCandidate]) -> Mapping[str, Subject]:
    """The facts about each planned service that the check of the plan needs. Equal replicas are one object, so that a
    fleet's are sent to the worker once."""
    one_of_equals: dict[Replica, Replica] = {}
    known_by_id: dict[int, Replica] = {}

    def shared(replica: Replica) -> Replica:
        # To hash a replica is to hash all that is known of its engine: most are the same object anyway.
        found = known_by_id.get(id(replica))
        if found is None:
            found = known_by_id[id(replica)] = one_of_equals.setdefault(replica, replica)
        return found

    subjects: dict[str, Subject] = {}
    for candidate in candidates:
        if candidate.disposition is not Disposition.PLANNED:
            continue
        slo = candidate.service.spec.slo
        subjects[candidate.key.problem_name] = Subject(
            replicas=tuple(
                (known.variant.name, shared(known.replica)) for known in candidate.variants if known.replica is not None
            ),
            targets=LatencyTargets(slo.ttft_seconds, slo.tpot_seconds, float(slo.percentile)),
            last_factors=tuple(last_factors(candidate).items()),
            headrooms=tuple((name, margin.share) for name, margin in candidate.margins.items()),
        )
    return subjects


def last_factors(candidate: ServiceCandidate) -> dict[str, float]:
    """The capacity corrections of the current plan by variant, read from the status. Text that is not a factor is
    ignored."""
    plan = candidate.service.status.plan
    rows = plan.capacity_corrections if plan is not None else []
    return {row.variant: factor for row in rows if 0.0 < (factor := row.factor_figure) <= 1.0}


def pool_budgets(
    pools: Sequence[PoolState],
    *,
    ledger: Ledger,
    planned: Collection[ServiceKey],
    reserved: Mapping[str, ReplicaSizes],
) -> tuple[PowerBudget, ...]:
    """Each pool with a budget is a domain of its own name, below the one that feeds it; what is not planned this round
    draws from it first."""
    domains: list[PowerBudget] = []
    for state in pools:
        power = state.pool.spec.power
        if power is None or power.budget_watts is None:
            continue
        gpus = ledger.pools[state.name].running_gpus(except_services=planned)
        gpus += sum(size * count for size, count in reserved.get(state.name, {}).items())
        left = power.budget_watts - gpus * state.limit_watts
        above = state.feed.domain if state.feed is not None else None
        domains.append(PowerBudget(state.budget_name or state.name, max(left, 0.0), above))
    return tuple(domains)


def reserved_replicas(
    candidates: Sequence[ServiceCandidate], ledger: Ledger, *, planned: Collection[ServiceKey] = frozenset()
) -> Mapping[str, ReplicaSizes]:
    """Replicas that services keep and that have no place yet, by pool and GPUs of one. `planned`: the services of the
    problem, which keep none.

    A plan in force is kept whole: one that is held, and one of a service that another problem plans. A service that is
    refused, or that is only advised, is left what it runs: what its Deployments ask for within its last plan. One that
    is leaving, does not parse, or is in a namespace that ends gets no new pods. Where pods cannot be seen, no replica
    has a known place, and Deployments count by what they ask for.
    """
    reserved: dict[str, Counter[int]] = {}
    by_key = {candidate.key: candidate for candidate in candidates}
    for candidate in candidates:
        if candidate.key in planned or not _holds_target(candidate):
            continue
        for name, replicas in candidate.last_replicas.items():
            place = _place(candidate, name)
            if place is not None:
                pool, gpus = place
                lacking = replicas - ledger.bound.get(Holder(candidate.key, name), 0)
                reserved.setdefault(pool, Counter())[gpus] += max(lacking, 0)
    for workload in ledger.workloads:
        kept = by_key.get(workload.holder.service)
        if kept is not None and (kept.key in planned or _holds_target(kept)):
            continue
        lacking = ledger.lacking(workload)
        if ledger.pods_known:
            gets = kept is not None and kept.gets_pods
            last = kept.last_replicas.get(workload.holder.variant, 0) if kept is not None and gets else 0
            lacking = min(lacking, max(last - ledger.bound.get(workload.holder, 0), 0))
        reserved.setdefault(workload.pool, Counter())[workload.gpus] += lacking
    return reserved


def _holds_target(candidate: ServiceCandidate) -> bool:
    """Whether its children are held to a last plan, rather than to what is found."""
    if not candidate.mode.writes_children:
        return False
    has_plan = candidate.disposition is Disposition.PLANNED and bool(candidate.last_replicas)
    return has_plan or candidate.disposition is Disposition.HELD


def _place(candidate: ServiceCandidate, variant: str) -> tuple[str, int] | None:
    known = candidate.variant(variant)
    if known is not None:
        return known.variant.pool, known.variant.gpus_per_replica
    for old in candidate.service.status.variants:
        if old.name == variant and old.gpus_per_replica > 0:
            return old.pool, old.gpus_per_replica
    return None
