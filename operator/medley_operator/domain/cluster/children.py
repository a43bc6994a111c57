"""The running replicas of each service, read from its own children in the view. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import attrgetter

from medley_operator.domain.cluster.owner import Owner
from medley_operator.domain.engine.workloads import WORKLOADS, observed
from medley_operator.domain.values import labels
from medley_operator.domain.values.running import LAYOUT_MARK
from medley_operator.domain.values.running import RunningVariant as RunningVariant
from medley_operator.domain.values.running import variant_of as variant_of
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey

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


def workloads_in(children: Children) -> dict[ObjectKey, Manifest]:
    """Those that run replicas, of whatever kind."""
    return {key: manifest for key, manifest in children.items() if key.kind in WORKLOADS}


def running_variants(own: Children, layouts: Mapping[str, str] | None = None) -> dict[str, RunningVariant]:
    """Workloads among a service's `own` children, by `RunningVariant.name`.

    `layouts`: the layout that each variant is to have. Of a variant that is not in it, the workload with most Ready
    replicas bears the name. Of two with one layout, as where a tenant copies one with its owner, the one that has the
    name that Medley gives goes first; the other is to go, under a name of its own.
    """
    wanted = layouts or {}
    workloads = workloads_in(own).values()
    copies = {each["metadata"]["name"] for each in workloads if not _is_named_as_ours(each)}
    found: dict[str, RunningVariant] = {}
    for each in sorted(
        map(observed, workloads),
        key=lambda each: (each.object_name in copies, -each.ready, -each.replicas, each.object_name),
    ):
        if not each.name:
            continue
        bears = each.name not in found and each.layout == wanted.get(each.name, each.layout)
        name = each.name if bears else f"{each.name}{LAYOUT_MARK}{each.layout or 'former'}"
        if name in found:
            name = f"{each.name}{LAYOUT_MARK}{each.object_name}"
        found[name] = replace(each, name=name)
    return dict(sorted(found.items()))


def _is_named_as_ours(workload: Manifest) -> bool:
    selected = labels.selected(workload)
    service, variant, layout = (str(selected.get(key, "")) for key in (labels.SERVICE, labels.VARIANT, labels.LAYOUT))
    named = labels.variant_object_name(service=service, variant=variant, layout=layout)
    return bool(workload["metadata"]["name"] == named)


def ready_replicas(own: Children) -> int:
    """Ready replicas of a service's `own` workloads, whatever their layout."""
    return sum(observed(manifest).ready for manifest in workloads_in(own).values())
