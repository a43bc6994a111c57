"""The running replicas of each service, read from its own children in the view. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from medley_operator.domain.cluster.owner import Owner
from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.recall import Recall
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey


@dataclass(frozen=True, slots=True)
class RunningVariant:
    """One Deployment of a variant. `drained`: it asks for no replica and has no pod left.

    `updated`: replicas of the template that it has now, 0 while its controller has not seen that. `failure`: why it may
    not create pods, "" where it may. `stalled`: its rollout has not moved for its deadline.

    `name` is the variant's where the Deployment has the layout that the variant is to have; one of another layout is
    `<variant>@<layout>` and is to go. `object_name` is that of the Deployment and of its Service.
    """

    name: str
    layout: str
    object_name: str
    pool: str
    replicas: int
    ready: int
    gpus_per_replica: int
    drained: bool
    paused: bool = False
    """Its replicas stay as they are until a person resumes it."""
    updated: int = 0
    failure: str = ""
    stalled: bool = False


Children = Mapping[ObjectKey, Manifest]


_IN_ORDER = attrgetter("kind", "namespace", "name")
"""As keys compare, several times as fast: thousands of them are sorted in each pass."""

Owned = Mapping[str, Mapping[ObjectKey, Manifest]]
"""Children by the uid of the LLMService whose they are."""


def by_owner(view: ActuatorView) -> dict[str, dict[ObjectKey, Manifest]]:
    """Children by the uid of the LLMService that controls them or that they are orphans of, in the order of their keys.

    All others are other people's and are left out, whatever their labels say.
    """
    owners = {(owner.namespace, owner.name): owner for owner in owners_in(view)}
    by_uid = {owner.uid: owner for owner in owners.values()}
    grouped: dict[str, dict[ObjectKey, Manifest]] = {}
    for key in sorted(view.children, key=_IN_ORDER):
        manifest = view.children[key]
        owner = by_uid.get(labels.owner_uid(manifest))
        if owner is None or not owner.controls(manifest):
            owner = owners.get((key.namespace, labels.label(manifest, labels.SERVICE)))
            if owner is None or not owner.may_adopt(manifest):
                continue
        grouped.setdefault(owner.uid, {})[key] = manifest
    return grouped


def owners_in(view: ActuatorView) -> Iterable[Owner]:
    """All LLMServices, those that do not parse included: what they run goes on."""
    yield from (Owner.of(service) for service in view.services)
    for rejected in view.rejected:
        if rejected.key.kind == labels.OWNER_KIND:
            yield Owner(rejected.key.namespace, rejected.key.name, rejected.uid)


def of_kind(children: Children, kind: str) -> dict[ObjectKey, Manifest]:
    return {key: manifest for key, manifest in children.items() if key.kind == kind}


def running_variants(own: Children, layouts: Mapping[str, str] | None = None) -> dict[str, RunningVariant]:
    """Deployments among a service's `own` children, by `RunningVariant.name`.

    `layouts`: the layout that each variant is to have. Of a variant that is not in it, the Deployment with most Ready
    replicas bears the name.
    """
    wanted = layouts or {}
    read = [running_variant(manifest) for manifest in of_kind(own, labels.DEPLOYMENT).values()]
    found: dict[str, RunningVariant] = {}
    for each in sorted(read, key=lambda each: (-each.ready, -each.replicas, each.object_name)):
        if not each.name:
            continue
        bears = each.layout == wanted[each.name] if each.name in wanted else each.name not in found
        name = each.name if bears else f"{each.name}{_LAYOUT_MARK}{each.layout or 'former'}"
        found[name] = replace(each, name=name)
    return dict(sorted(found.items()))


def ready_replicas(own: Children) -> int:
    """Ready replicas of a service's `own` Deployments, whatever their layout."""
    return sum(running_variant(manifest).ready for manifest in of_kind(own, labels.DEPLOYMENT).values())


_LAYOUT_MARK = "@"


def variant_of(name: str) -> str:
    """The variant that a `RunningVariant.name` is of."""
    return name.partition(_LAYOUT_MARK)[0]


_RUNNING: Recall[RunningVariant] = Recall()


def running_variant(deployment: Manifest) -> RunningVariant:
    """The Deployment is one as it was observed, which nobody changes."""
    key = deployment["metadata"].get("namespace"), deployment["metadata"]["name"]
    return _RUNNING.get(key, lambda: _running_variant(deployment), observed=deployment)


def _running_variant(deployment: Manifest) -> RunningVariant:
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    # One that is absent or no number is the API's default.
    replicas = whole_count(spec.get("replicas"))
    replicas = 1 if replicas is None else replicas
    seen = _count(status, "observedGeneration") >= _count(deployment["metadata"], "generation")
    # A label can be taken off; what selects the pods stays.
    identity = {**(deployment["metadata"].get("labels") or {}), **labels.selected(deployment)}
    conditions = {each.get("type", ""): each for each in status.get("conditions") or []}
    pods = _count(status, "replicas") + _count(status, "terminatingReplicas")
    return RunningVariant(
        name=str(identity.get(labels.VARIANT, "")),
        layout=str(identity.get(labels.LAYOUT, "")),
        object_name=str(deployment["metadata"]["name"]),
        pool=labels.label(deployment, labels.POOL),
        replicas=replicas,
        ready=_count(status, "readyReplicas"),
        gpus_per_replica=_gpus(deployment),
        drained=replicas == 0 and seen and pods == 0,
        paused=spec.get("paused") is True,
        updated=_count(status, "updatedReplicas") if seen else 0,
        failure=conditions["ReplicaFailure"].get("message", "") if _is_true(conditions, "ReplicaFailure") else "",
        stalled=conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded",
    )


def _is_true(conditions: Mapping[str, Manifest], type_: str) -> bool:
    return conditions.get(type_, {}).get("status") == "True"


def _count(fields: Manifest, name: str) -> int:
    return whole_count(fields.get(name)) or 0


def _gpus(deployment: Manifest) -> int:
    """GPUs of one pod: the extended resource (a name with a domain) in the limits of its containers. One that is not a
    whole count is passed over."""
    containers: Iterable[Manifest] = (
        deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    )
    return sum(
        whole_count(value) or 0
        for container in containers
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items()
        if "/" in name
    )
