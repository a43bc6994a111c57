"""From a goal to writes: which children of one service to apply and to delete, and what stands in the way.

Pure. Desired manifests are compared with the snapshot, so that a plan equal to the cluster asks for no write. Only
objects whose controller is this very LLMService are changed; one of another owner is a conflict and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import ServiceRoutingMode
from medley_operator.domain.cluster.children import RunningVariant, of_kind
from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.engine.template import kept_template
from medley_operator.domain.rollout.diff import first_difference
from medley_operator.domain.rollout.disruption_budget import render_disruption_budget
from medley_operator.domain.rollout.httproute import render_http_route
from medley_operator.domain.rollout.service import render_common_service, render_variant_service
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Apply, Delete, Manifest, ObjectKey


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


def child_writes(
    candidate: ServiceCandidate,
    targets: ReplicaTargets,
    *,
    running: Mapping[str, RunningVariant],
    own: Mapping[ObjectKey, Manifest],
    children: Mapping[ObjectKey, Manifest],
    claims: Claims,
    gateway_api: bool,
) -> ChildWrites:
    """Applies (Services first, the route last) and deletes of one service; `own` are the children that it controls."""
    gone = _gone(candidate, targets, running)
    wanted = _desired(candidate, targets, gone=gone, gateway_api=gateway_api)
    applies: list[Apply] = []
    conflicts: list[OwnerConflict] = []
    for manifest in wanted:
        key = labels.key_of(manifest)
        holder = _holder(candidate, key, children=children, claims=claims)
        if holder is not None:
            conflicts.append(OwnerConflict(key=key, holder=holder))
            continue
        observed = children.get(key)
        kept = kept_template(observed, manifest)
        if observed is None or first_difference(kept, observed) is not None:
            applies.append(Apply(service=candidate.key, manifest=kept))
    deletes = _deletes(candidate, {labels.key_of(manifest) for manifest in wanted}, gone=gone, own=own)
    return ChildWrites(applies=tuple(applies), deletes=deletes, conflicts=tuple(conflicts))


def _gone(
    candidate: ServiceCandidate, targets: ReplicaTargets, running: Mapping[str, RunningVariant]
) -> frozenset[str]:
    """Variants whose Deployment is to be deleted now.

    A variant that is known is first scaled to zero and deleted when its pods are gone. One that is not a variant any
    more (its pool was deleted or the spec dropped it) cannot be rendered; deleting it drains its pods in the same way.
    """
    return frozenset(
        name
        for name, variant in running.items()
        if targets.desired.get(name, 0) == 0
        and targets.replicas.get(name, 0) == 0
        and (variant.drained or candidate.variant(name) is None)
    )


def _desired(
    candidate: ServiceCandidate, targets: ReplicaTargets, *, gone: frozenset[str], gateway_api: bool
) -> tuple[Manifest, ...]:
    if candidate.profile is None:
        return ()
    service = candidate.service
    manifests = [render_common_service(service), render_disruption_budget(service)]
    names = [name for name in sorted(targets.replicas) if name not in gone and candidate.variant(name) is not None]
    manifests += [render_variant_service(service, variant=name) for name in names]
    for name in names:
        variant = candidate.variant(name)
        if variant is None:
            continue
        given = DeploymentInput(
            service=service,
            profile=candidate.profile,
            pool=variant.pool,
            variant=name,
            gpus_per_replica=variant.variant.gpus_per_replica,
            engine_flags=variant.engine_flags,
            replicas=targets.replicas[name],
            surge=targets.surge.get(name, True),
            replica=variant.replica,
        )
        manifests.append(render_deployment(given))
    routing = service.spec.routing
    if gateway_api and targets.weights is not None and routing.gateway_ref is not None:
        manifests.append(render_http_route(service, gateway=routing.gateway_ref.name, weights=targets.weights))
    return tuple(manifests)


def _holder(
    candidate: ServiceCandidate, key: ObjectKey, *, children: Mapping[ObjectKey, Manifest], claims: Claims
) -> str | None:
    """Who holds this name, if it is not this service."""
    observed = children.get(key)
    uid = candidate.service.metadata.uid
    if observed is not None and labels.owner_uid(observed) != uid:
        owner = labels.label(observed, labels.SERVICE)
        return f'LLMService "{owner}"' if owner and owner != candidate.key.name else "another object"
    holder = claims.claim(key, candidate.key)
    return None if holder == candidate.key else f'LLMService "{holder[1]}"'


def _deletes(
    candidate: ServiceCandidate,
    wanted: set[ObjectKey],
    *,
    gone: frozenset[str],
    own: Mapping[ObjectKey, Manifest],
) -> tuple[Delete, ...]:
    deployments = of_kind(own, labels.DEPLOYMENT)
    staying = {
        labels.label(manifest, labels.VARIANT)
        for manifest in deployments.values()
        if labels.label(manifest, labels.VARIANT) not in gone
    }
    leaving: list[tuple[ObjectKey, Manifest]] = []
    if candidate.service.spec.routing.effective_mode() is ServiceRoutingMode.SERVICE:
        leaving += of_kind(own, labels.HTTP_ROUTE).items()
    leaving += [item for item in deployments.items() if labels.label(item[1], labels.VARIANT) in gone]
    for key, manifest in of_kind(own, labels.CORE_SERVICE).items():
        variant = labels.label(manifest, labels.VARIANT)
        if variant and variant not in staying and key not in wanted:
            leaving.append((key, manifest))
    if wanted:
        leaving += [item for item in of_kind(own, labels.DISRUPTION_BUDGET).items() if item[0] not in wanted]
    return tuple(
        Delete(service=candidate.key, key=key, uid=str(manifest["metadata"].get("uid", "")))
        for key, manifest in leaving
        if not manifest["metadata"].get("deletionTimestamp")
    )
