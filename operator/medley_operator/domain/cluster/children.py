"""The running replicas of each service, read from its own children in the view. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from medley_operator.domain.cluster.owner import Owner
from medley_operator.domain.engine.workloads import WORKLOADS, observed
from medley_operator.domain.values import labels
from medley_operator.domain.values.running import LAYOUT_MARK
from medley_operator.domain.values.running import RunningVariant as RunningVariant
from medley_operator.domain.values.running import variant_of as variant_of
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey

Children = Mapping[ObjectKey, Manifest]


Owned = Mapping[str, Mapping[ObjectKey, Manifest]]
"""Children by the uid of the LLMService whose they are."""


def by_owner(view: ActuatorView) -> dict[str, dict[ObjectKey, Manifest]]:
    """Children by the uid of the LLMService that controls them or that they are orphans of, in the order of their keys.

    All others are other people's and are left out, whatever their labels say.
    """
    owners = {(owner.namespace, owner.name): owner for owner in owners_in(view)}
    by_uid = {owner.uid: owner for owner in owners.values()}
    grouped: dict[str, dict[ObjectKey, Manifest]] = {}
    for key in sorted(view.children):
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


def workloads_in(children: Children) -> dict[ObjectKey, Manifest]:
    """Those that run replicas, of whatever kind."""
    return {key: manifest for key, manifest in children.items() if key.kind in WORKLOADS}


def running_variants(own: Children, layouts: Mapping[str, str] | None = None) -> dict[str, RunningVariant]:
    """Workloads among a service's `own` children, by `RunningVariant.name`.

    `layouts`: the layout that each variant is to have. Of a variant that is not in it, the workload with most Ready
    replicas bears the name.
    """
    wanted = layouts or {}
    read = [observed(manifest) for manifest in workloads_in(own).values()]
    found: dict[str, RunningVariant] = {}
    for each in sorted(read, key=lambda each: (-each.ready, -each.replicas, each.object_name)):
        if not each.name:
            continue
        bears = each.layout == wanted[each.name] if each.name in wanted else each.name not in found
        name = each.name if bears else f"{each.name}{LAYOUT_MARK}{each.layout or 'former'}"
        found[name] = replace(each, name=name)
    return dict(sorted(found.items()))


def ready_replicas(own: Children) -> int:
    """Ready replicas of a service's `own` workloads, whatever their layout."""
    return sum(observed(manifest).ready for manifest in workloads_in(own).values())
