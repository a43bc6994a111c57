"""From a goal to writes: which children of one service to apply and to delete, and what stands in the way.

Pure. Desired manifests are compared with the snapshot, so that a plan equal to the cluster asks for no write. Only
objects whose controller is this very LLMService, and its orphans, are changed; one of another owner is a conflict and
is left alone, and no route names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.domain.cluster.children import RunningVariant, of_kind, workloads_in
from medley_operator.domain.cluster.owner import adopted
from medley_operator.domain.engine.deployment import DeploymentInput
from medley_operator.domain.engine.template import kept_template
from medley_operator.domain.engine.workloads import WORKLOADS, rendered
from medley_operator.domain.rollout.disruption_budget import render_disruption_budget
from medley_operator.domain.rollout.drift import Drift, DriftReport, Repair, repair
from medley_operator.domain.rollout.template_rolls import Canaries, rolled
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.routing.routers import kinds_of_others, router_of
from medley_operator.domain.routing.service import render_common_service, render_variant_service
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.decision import Apply, Delete
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey


@dataclass(frozen=True, slots=True)
class ReplicaTargets:
    """The targets of this round: replicas now (`replicas`) and in the end (`desired`), route weights, room to surge.

    `weights` is None where the service has no route.
    """

    replicas: Mapping[str, int]
    desired: Mapping[str, int]
    weights: Mapping[str, int] | None
    surge: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class OwnerConflict:
    """An object that we would write but that belongs to something else."""

    key: ObjectKey
    holder: str


@dataclass(slots=True)
class Claims:
    """Names taken in this round, so that two services that ask for the same name do not overwrite each other."""

    taken: dict[ObjectKey, ServiceKey] = field(default_factory=dict)

    def claim(self, key: ObjectKey, service: ServiceKey) -> ServiceKey:
        """The service that holds the name; `service` itself if it was free."""
        return self.taken.setdefault(key, service)


@dataclass(frozen=True, slots=True)
class ChildWrites:
    applies: tuple[Apply, ...] = ()
    deletes: tuple[Delete, ...] = ()
    conflicts: tuple[OwnerConflict, ...] = ()
    drift: DriftReport = field(default_factory=DriftReport)
    waiting_templates: tuple[str, ...] = ()
    """Variants whose new pod template waits for others."""
    waits: bool = False
    """Whether a write is due whose precondition does not hold yet."""


def child_writes(
    given: RoutedService,
    targets: ReplicaTargets,
    *,
    children: Mapping[ObjectKey, Manifest],
    claims: Claims,
    drift: Drift,
    canaries: Canaries,
    budgets: bool = True,
) -> ChildWrites:
    """Applies (Services first, what routes to them last) and deletes of one service.

    `budgets` False: PodDisruptionBudgets are not known, and left as they are.
    """
    candidate, running, own = given.candidate, given.running, given.own
    router = router_of(candidate.service)
    if not budgets:
        own = {key: manifest for key, manifest in own.items() if key.kind != labels.DISRUPTION_BUDGET}
    gone = _gone(candidate, targets, running)
    wanted = (*_desired(candidate, targets, gone=gone), *_outgoing(candidate, targets, running, gone=gone, own=own))
    if budgets and wanted:
        wanted = (*wanted, render_disruption_budget(candidate.service))
    holders = {
        key: _holder(candidate, key, own=own, children=children, claims=claims) for key in map(labels.key_of, wanted)
    }
    if wanted:
        usable = {key.name for key in of_kind(own, labels.CORE_SERVICE)}
        usable |= {key.name for key, holder in holders.items() if holder is None and key.kind == labels.CORE_SERVICE}
        routing = router.wanted(given, targets.weights, usable)
        for key in map(labels.key_of, routing):
            holders[key] = _holder(candidate, key, own=own, children=children, claims=claims)
        wanted = (*wanted, *routing)
    free = [
        kept_template(own.get(key), manifest) for manifest in wanted if holders[key := labels.key_of(manifest)] is None
    ]
    turns = rolled(free, own, running.values(), canaries)
    free = list(turns.manifests)
    seen = [(manifest, own.get(labels.key_of(manifest))) for manifest in free]
    repairs = {labels.key_of(each): repair(each, found, drift) for each, found in seen if found is not None}
    return ChildWrites(
        applies=_applies(candidate, free, repairs, own=own),
        deletes=_deletes(candidate, {labels.key_of(manifest) for manifest in wanted}, running, gone=gone, own=own),
        drift=DriftReport.of(
            repairs.values(), autoscaled={key: name for key, name in drift.autoscalers.items() if key in repairs}
        ),
        waiting_templates=turns.waiting,
        conflicts=tuple(
            OwnerConflict(key=key, holder=holder)
            for key, holder in holders.items()
            if holder is not None and key.kind not in router.shared
        ),
    )


def _applies(
    candidate: ServiceCandidate,
    wanted: Iterable[Manifest],
    repairs: Mapping[ObjectKey, Repair],
    *,
    own: Mapping[ObjectKey, Manifest],
) -> tuple[Apply, ...]:
    """Those that are missing, and those that are to be put back."""
    uid = candidate.service.metadata.uid
    applies: list[Apply] = []
    for manifest in wanted:
        key = labels.key_of(manifest)
        if key not in repairs:
            applies.append(Apply(candidate.key, manifest))
        elif (mended := repairs[key].manifest) is not None:
            applies.append(Apply(candidate.key, adopted(mended, own[key], uid=uid), calm=repairs[key].calm))
    return tuple(applies)


def _gone(
    candidate: ServiceCandidate, targets: ReplicaTargets, running: Mapping[str, RunningVariant]
) -> frozenset[str]:
    """Variants whose Deployment is to be deleted now.

    A variant that is known is first scaled to zero and deleted when its pods are gone. One that is not a variant any
    more (its pool was deleted, the spec dropped it, or it has another layout now) cannot be rendered; deleting it
    drains its pods in the same way.
    """
    return frozenset(
        name
        for name, variant in running.items()
        if targets.desired.get(name, 0) == 0
        and targets.replicas.get(name, 0) == 0
        and (variant.drained or candidate.variant(name) is None)
    )


def _desired(candidate: ServiceCandidate, targets: ReplicaTargets, *, gone: frozenset[str]) -> tuple[Manifest, ...]:
    """The Services and Deployments of the variants."""
    if candidate.profile is None:
        return ()
    service = candidate.service
    manifests = [render_common_service(service)]
    names = [name for name in sorted(targets.replicas) if name not in gone and candidate.variant(name) is not None]
    layouts = candidate.layouts
    manifests += [render_variant_service(service, variant=name, layout=layouts[name]) for name in names]
    for name in names:
        variant = candidate.variant(name)
        if variant is None:
            continue
        given = DeploymentInput(
            service=service,
            profile=candidate.profile,
            pool=variant.pool,
            variant=name,
            layout=variant.layout,
            gpus_per_replica=variant.variant.gpus_per_replica,
            engine_flags=variant.engine_flags,
            replicas=targets.replicas[name],
            surge=targets.surge.get(name, True),
            replica=variant.replica,
        )
        manifests.append(rendered(given))
    return tuple(manifests)


def _outgoing(
    candidate: ServiceCandidate,
    targets: ReplicaTargets,
    running: Mapping[str, RunningVariant],
    *,
    gone: frozenset[str],
    own: Mapping[ObjectKey, Manifest],
) -> tuple[Manifest, ...]:
    """Deployments that no variant has any more, where fewer of their replicas are to stay."""
    return tuple(
        WORKLOADS[variant.kind].rescaled(
            own[ObjectKey(variant.kind, candidate.key.namespace, variant.object_name)], replicas
        )
        for name, variant in running.items()
        if candidate.variant(name) is None
        and name not in gone
        and (replicas := targets.replicas.get(name, variant.replicas)) < variant.replicas
    )


def _holder(
    candidate: ServiceCandidate,
    key: ObjectKey,
    *,
    own: Mapping[ObjectKey, Manifest],
    children: Mapping[ObjectKey, Manifest],
    claims: Claims,
) -> str | None:
    """Who holds this name, if it is not this service."""
    observed = children.get(key)
    if observed is not None and key not in own:
        owner = labels.label(observed, labels.SERVICE)
        return f'LLMService "{owner}"' if owner and owner != candidate.key.name else "another object"
    holder = claims.claim(key, candidate.key)
    return None if holder == candidate.key else f'LLMService "{holder[1]}"'


def _deletes(
    candidate: ServiceCandidate,
    wanted: set[ObjectKey],
    running: Mapping[str, RunningVariant],
    *,
    gone: frozenset[str],
    own: Mapping[ObjectKey, Manifest],
) -> tuple[Delete, ...]:
    leaving_names = {variant.object_name for name, variant in running.items() if name in gone}
    staying_names = {variant.object_name for variant in running.values()} - leaving_names
    leaving: list[tuple[ObjectKey, Manifest]] = []
    others = kinds_of_others(router_of(candidate.service))
    leaving += [item for item in own.items() if item[0].kind in others]
    leaving += [item for item in workloads_in(own).items() if item[0].name in leaving_names]
    leaving += [
        (key, manifest)
        for key, manifest in of_kind(own, labels.CORE_SERVICE).items()
        if labels.label(manifest, labels.VARIANT) and key.name not in staying_names and key not in wanted
    ]
    if wanted:
        leaving += [item for item in of_kind(own, labels.DISRUPTION_BUDGET).items() if item[0] not in wanted]
    return tuple(
        Delete(service=candidate.key, key=key, uid=str(manifest["metadata"].get("uid", "")))
        for key, manifest in leaving
        if not manifest["metadata"].get("deletionTimestamp")
    )
