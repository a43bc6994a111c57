"""One service between plan and writes: its goal, what runs of it, and the figures that follow from both.

Pure. `conclude` and `act` line these up for the whole fleet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medley_operator.api.v1alpha1 import LLMService, VariantStatus
from medley_operator.domain.cluster.children import RunningVariant, running_variants, variant_of
from medley_operator.domain.planner_input import last_factors
from medley_operator.domain.rollout.decision import VariantRow
from medley_operator.domain.rollout.diff import is_set_by_others
from medley_operator.domain.rollout.goals import Goal, GoalKind, choose_goal, kept_goal
from medley_operator.domain.rollout.steps import PoolUse, VariantScale
from medley_operator.domain.rollout.weights import mix_capacity_rps, ready_weights, settle
from medley_operator.domain.routing.prompt_ranges import is_range, prompt_ranges
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.routing.routers import router_of
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import Disposition, ServiceCandidate
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey
from medley_operator.domain.values.views import PodView
from medley_planner.capacity import CapacityBasis
from medley_planner.check import with_capacity_factor
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import RoutingMode, ServicePlan
from medley_planner.refusal import Refusal

_SERVED_SHARE = 0.999
"""A bucket counts as left out when all but a rounding rest of it is not planned."""


@dataclass(frozen=True, slots=True)
class ServiceRound:
    candidate: ServiceCandidate
    goal: Goal
    own: Mapping[ObjectKey, Manifest]
    """The children that it controls, and orphans that it adopts."""
    running: dict[str, RunningVariant]


def service_round(
    candidate: ServiceCandidate,
    outcome: PlanOrFailure | None,
    own: Mapping[ObjectKey, Manifest],
    *,
    plans: Mapping[str, ServicePlan],
) -> ServiceRound:
    """`own`: the children that the service controls. `plans`: those in the outcome, by the service's name in it."""
    running = running_variants(own, candidate.layouts)
    goal = choose_goal(candidate, outcome, running, plans=plans)
    return ServiceRound(candidate=as_corrected(candidate, goal), goal=goal, own=own, running=running)


def kept_round(candidate: ServiceCandidate, refusal: Refusal, own: Mapping[ObjectKey, Manifest]) -> ServiceRound:
    """A round in which what runs stays, and the status says why; no more is asked of the candidate."""
    running = running_variants(own)
    refused = ServiceCandidate(
        service=candidate.service,
        disposition=Disposition.REJECTED,
        refusal=refusal,
        last_replicas=candidate.last_replicas,
        memory=candidate.memory,
        mode=candidate.mode,
        bounds=candidate.bounds,
    )
    return ServiceRound(candidate=refused, goal=kept_goal(refused, refusal, running), own=own, running=running)


def as_corrected(candidate: ServiceCandidate, goal: Goal) -> ServiceCandidate:
    """The candidate with the capacities that the plan in force was made with; for a held plan they come from the
    status."""
    factors = last_factors(candidate) if goal.plan is None else goal.capacity_factors
    if not factors:
        return candidate
    variants = tuple(
        replace(known, variant=with_capacity_factor(known.variant, factors.get(known.variant.name, 1.0)))
        for known in candidate.variants
    )
    return replace(candidate, variants=variants)


def variant_scale(turn: ServiceRound, name: str) -> VariantScale:
    running = turn.running.get(name)
    return VariantScale(
        desired=turn.goal.replicas.get(name, 0),
        current=running.replicas if running is not None else 0,
        ready=running.ready if running is not None else 0,
        paused=running is not None and running.paused and not _is_scaled_by_others(turn, running),
        stuck=any(failure.variant == name for failure in turn.candidate.start_failures),
    )


def _is_scaled_by_others(turn: ServiceRound, running: RunningVariant) -> bool:
    """Whoever pauses a Deployment keeps what we gave it, and not what they scale it to."""
    key = ObjectKey(labels.DEPLOYMENT, turn.candidate.key.namespace, running.object_name)
    return is_set_by_others(turn.own[key], ("f:spec", "f:replicas"))


def pool_use(turn: ServiceRound, name: str) -> PoolUse:
    known, running = turn.candidate.variant(name), turn.running.get(name)
    deployment = running.object_name if running is not None else ""
    if known is not None:
        return PoolUse(known.variant.pool, known.variant.gpus_per_replica, deployment)
    if running is not None:
        return PoolUse(running.pool, running.gpus_per_replica, deployment)
    old = _old_row(turn, name)
    return PoolUse(pool=old.pool if old else "", gpus_per_replica=old.gpus_per_replica if old else 0)


def _old_row(turn: ServiceRound, name: str) -> VariantStatus | None:
    """The row of the status about this variant; of a layout that is no longer wanted, the one of when it was."""
    rows = {row.name: row for row in turn.candidate.service.status.variants}
    running, former = turn.running.get(name), rows.get(variant_of(name))
    if name in rows or running is None or former is None:
        return rows.get(name)
    same = (former.pool, former.gpus_per_replica) == (running.pool, running.gpus_per_replica)
    return former if same else None


def routed_service(turn: ServiceRound, view: ActuatorView) -> RoutedService:
    """The sight of its router."""
    unlisted = {**dict.fromkeys(view.lacking, "the cluster does not have it"), **view.unreadable}
    return RoutedService(turn.candidate, turn.running, turn.own, gateways=view.gateways, unlisted=unlisted)


def _routing_mode(service: LLMService) -> RoutingMode:
    """The mode as the planner knows it."""
    return RoutingMode(service.spec.routing.effective_mode().value)


def variant_prompts(turn: ServiceRound) -> dict[str, str]:
    """The prompt range of each variant by the plan in force; empty where the router sees no prompts."""
    service, choice, plan = turn.candidate.service, turn.candidate.choice, turn.goal.plan
    if _routing_mode(service).blind:
        return {}
    if plan is None or choice is None or turn.goal.kind is not GoalKind.PLANNED:
        shown = {row.name: row.prompt_range or "" for row in service.status.variants}
        return {name: text for name, text in shown.items() if is_range(text)}
    lengths = [known.replica.max_model_len for known in turn.candidate.variants if known.replica is not None]
    return prompt_ranges(plan, choice.demand, longest_tokens=max(lengths, default=None))


def mix_capacities(turn: ServiceRound, served: frozenset[int]) -> dict[str, float]:
    """Rate of the load's size mix, over its `served` buckets, that one replica of each variant serves.

    A variant that is no longer one of the service, or whose simulated capacity is awaited, has that of its last plan.
    """
    choice = turn.candidate.choice
    capacity: dict[str, float] = {}
    for name in sorted({*turn.goal.replicas, *turn.running}):
        known = turn.candidate.variant(name)
        if known is not None and choice is not None and not _as_planned(turn, name):
            own = _buckets_of(turn.goal.plan, name, served)
            capacity[name] = mix_capacity_rps(choice.demand, known.variant.capacity_rps, own)
        else:
            old = _old_row(turn, name)
            capacity[name] = old.replica_rps if old is not None else 0.0
    return capacity


def _buckets_of(plan: ServicePlan | None, name: str, served: frozenset[int]) -> frozenset[int]:
    """Those of `served` of which the variant gets a share; all where the router cannot tell them apart."""
    shares = next((part.bucket_shares for part in plan.variants if part.variant == name), ()) if plan else ()
    if plan is None or plan.routing.blind or not any(shares):
        return served
    return frozenset(bucket for bucket in served if shares[bucket] > 0)


def _as_planned(turn: ServiceRound, name: str) -> bool:
    """Whether the last plan, which stays, says what the variant serves: it was made with a simulated capacity that is
    missing now (neither the weights nor the status may go by the closed form meanwhile), or for prompts of its own."""
    if turn.goal.plan is None and not _routing_mode(turn.candidate.service).blind and _old_row(turn, name) is not None:
        return True
    waits = turn.candidate.waiting
    return turn.goal.plan is None and waits is not None and name in waits.variants


def served_buckets(candidate: ServiceCandidate, plan: ServicePlan | None) -> frozenset[int]:
    """Buckets of the load that the plan serves; without a plan or a load, those that some variant can serve."""
    if candidate.choice is None:
        return frozenset()
    shares, rate_rps = candidate.choice.demand.shares, candidate.choice.demand.rate_rps
    if plan is None or rate_rps <= 0:
        able = (
            any(known.variant.capacity_rps[bucket] > 0 for known in candidate.variants) for bucket in range(len(shares))
        )
        return frozenset(bucket for bucket, served in enumerate(able) if served)
    left_out: dict[int, float] = {}
    for part in plan.unserved:
        left_out[part.bucket] = left_out.get(part.bucket, 0.0) + part.rate_rps
    return frozenset(
        bucket
        for bucket, share in enumerate(shares)
        if left_out.get(bucket, 0.0) < _SERVED_SHARE * rate_rps * share or left_out.get(bucket, 0.0) <= 0
    )


def route_weights(
    turn: ServiceRound, *, replicas: Mapping[str, int], capacity: Mapping[str, float], given: RoutedService
) -> dict[str, int] | None:
    """Weights of the variants that have or will have replicas and can be in a route; None where the service's router
    has no weights."""
    router = router_of(turn.candidate.service)
    if not router.weighs:
        return None
    current = router.weights(given)
    if turn.goal.kind is GoalKind.KEPT:
        return current
    names = sorted(
        name
        for name in capacity
        if turn.goal.replicas.get(name, 0) > 0 or (replicas.get(name, 0) > 0 and _has_service(turn, name))
    )
    staying = {name: min(turn.running[name].ready, replicas.get(name, 0)) for name in names if name in turn.running}
    new = ready_weights(
        ready=staying, desired=turn.goal.replicas, capacity_rps={name: capacity[name] for name in names}
    )
    return settle(new, current)


def _has_service(turn: ServiceRound, name: str) -> bool:
    """A variant that is to go gets no Service any more: without one it is in no route, nor will be."""
    running = turn.running.get(name)
    return running is None or any(
        key.kind == labels.CORE_SERVICE and key.name == running.object_name for key in turn.own
    )


def variant_rows(
    turn: ServiceRound,
    *,
    replicas: Mapping[str, int],
    capacity: Mapping[str, float],
    weights: Mapping[str, int],
    pods: Sequence[PodView] = (),
    prompts: Mapping[str, str],
) -> tuple[VariantRow, ...]:
    """`pods`: the service's engine pods; `prompts`: the prompt ranges of variants."""
    holding = _holding(pods)
    rows: list[VariantRow] = []
    for name in sorted({*turn.goal.replicas, *turn.running}):
        desired = turn.goal.replicas.get(name, 0)
        running = turn.running.get(name)
        ready = running.ready if running is not None else 0
        if desired == 0 and ready == 0 and replicas.get(name, 0) == 0:
            continue
        known = turn.candidate.variant(name)
        old = _old_row(turn, name)
        use = pool_use(turn, name)
        tensor_parallel = old.tensor_parallel if old is not None else use.gpus_per_replica
        if known is not None:
            if known.replica is not None:
                tensor_parallel = known.replica.layout.tensor_parallel
            cost, gpu, provenance = known.variant.cost_per_hour, known.variant.gpu, known.variant.provenance.value
            basis = (CapacityBasis.SIMULATED if _as_planned(turn, name) else known.basis).value
        else:
            cost = old.cost_per_hour_usd / old.desired if old is not None and old.desired > 0 else 0.0
            gpu, provenance = (old.gpu, old.provenance) if old is not None else ("", "estimated")
            basis = old.capacity_basis if old is not None else CapacityBasis.CLOSED_FORM.value
        rows.append(
            VariantRow(
                name=name,
                pool=use.pool,
                gpu=gpu,
                gpus_per_replica=use.gpus_per_replica,
                tensor_parallel=tensor_parallel,
                desired=desired,
                ready=ready,
                weight=weights.get(name, 0),
                cost_per_hour=desired * cost,
                running_cost_per_hour=cost * max(holding.get(_pods_of(turn, name), 0), ready),
                capacity_rps=capacity.get(name, 0.0),
                provenance=provenance,
                startup_seconds=known.variant.startup_seconds if known is not None else None,
                basis=basis,
                prompt_range=prompts.get(variant_of(name)),
            )
        )
    return tuple(rows)


def _holding(pods: Sequence[PodView]) -> dict[tuple[str, str], int]:
    """Pods that hold GPUs, by variant and layout."""
    found: dict[tuple[str, str], int] = {}
    for pod in pods:
        if pod.place and not pod.ended:
            key = pod.labels.get(labels.VARIANT, ""), pod.labels.get(labels.LAYOUT, "")
            found[key] = found.get(key, 0) + 1
    return found


def _pods_of(turn: ServiceRound, name: str) -> tuple[str, str]:
    """Variant and layout of the pods that a row is about."""
    running = turn.running.get(name)
    return variant_of(name), running.layout if running is not None else turn.candidate.layouts.get(name, "")
