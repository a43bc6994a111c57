"""Which MedleyPolicies are for which namespace, and what follows for its LLMServices. Pure.

What cannot be known opens nothing: while a policy does not parse, or the labels of a namespace cannot be read that a
policy asks for, nobody can say what the namespace may have. Its services then stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from medley_operator.api.v1alpha1 import LLMService, MedleyPolicy, MedleyPolicyStatus
from medley_operator.domain.firewall import Firewall
from medley_operator.domain.values.bounds import Listed, NamespaceBounds, bounds_of
from medley_operator.domain.values.conditions import ACCEPTED, ConditionStatus, Draft, PlanReason, merge
from medley_operator.domain.values.decision import StatusWrite
from medley_operator.domain.values.labels import POLICY
from medley_operator.domain.values.snapshot import InvalidObject, ObjectFault, ObjectKey
from medley_operator.domain.values.views import selects
from medley_planner.refusal import Refusal

NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server sets it on each namespace."""

Labels = Mapping[str, Mapping[str, str]]
"""Labels of namespaces, by their names."""


@dataclass(frozen=True, slots=True)
class Policies:
    """All that decides what namespaces may ask for. `rejected`: objects of ours that do not parse."""

    policies: Sequence[MedleyPolicy]
    namespaces: Labels
    rejected: Sequence[InvalidObject]


def bounds_by_namespace(
    services: Iterable[LLMService], given: Policies, wall: Firewall | None = None
) -> dict[str, NamespaceBounds]:
    """The bounds of each namespace that holds an LLMService. Of one that this program fails on, nobody knows what it
    may have; `wall` takes note of it."""
    wall = wall if wall is not None else Firewall()
    inside: dict[str, list[LLMService]] = {}
    for service in services:
        inside.setdefault(service.metadata.namespace, []).append(service)
    bounds: dict[str, NamespaceBounds] = {}
    for namespace, own in sorted(inside.items()):
        found = wall.guard(ObjectKey("Namespace", "", namespace), partial(_bounds, namespace, own, given))
        if isinstance(found, ObjectFault):
            found = NamespaceBounds(namespace=namespace, unknown=found.refusal)
        bounds[namespace] = found
    return bounds


def _bounds(namespace: str, services: Sequence[LLMService], given: Policies) -> NamespaceBounds:
    unreadable = next((item for item in given.rejected if item.key.kind == POLICY), None)
    if unreadable is not None:
        message = (
            f'MedleyPolicy "{unreadable.key.name}" cannot be read, so that nobody can say what namespace {namespace} '
            f"may have; what runs stays. {unreadable.refusal.message}"
        )
        return NamespaceBounds(namespace=namespace, unknown=Refusal(PlanReason.POLICY_DENIED, message))
    found = []
    for policy in sorted(given.policies, key=lambda each: each.metadata.name):
        matches = _is_for(policy, namespace, given.namespaces)
        if matches is None:
            return NamespaceBounds(namespace=namespace, unknown=_labels_unknown(policy, namespace))
        if matches:
            found.append(Listed(policy.metadata.name, policy.spec.limits))
    bounds = bounds_of(namespace, tuple(found))
    return replace(bounds, surplus=_newest(services, beyond=bounds.max_services.value))


def _is_for(policy: MedleyPolicy, namespace: str, known: Labels) -> bool | None:
    """None where the labels that it asks for are not known."""
    wanted = policy.spec.namespace_selector.match_labels
    labels = {**known.get(namespace, {}), NAME_LABEL: namespace}
    if namespace not in known and wanted.keys() - {NAME_LABEL}:
        return None if wanted.get(NAME_LABEL, namespace) == namespace else False
    return selects(wanted, labels)


def _labels_unknown(policy: MedleyPolicy, namespace: str) -> Refusal:
    asked = ", ".join(sorted(policy.spec.namespace_selector.match_labels))
    return Refusal(
        PlanReason.POLICY_DENIED,
        f'MedleyPolicy "{policy.metadata.name}" spec.namespaceSelector asks for labels ({asked}) of namespace '
        f"{namespace}, which cannot be read; what runs stays. Grant the operator's ServiceAccount list and watch on "
        "namespaces (Helm: rbac.create=true); without a cluster, give the Namespace with -f too",
    )


def _newest(services: Sequence[LLMService], *, beyond: int) -> frozenset[str]:
    """The services after the first so many, in the order in which they were made, and then of their names."""
    staying = [each.metadata for each in services if each.metadata.deletion_timestamp is None]
    staying.sort(key=lambda metadata: (metadata.creation_timestamp, metadata.name))
    return frozenset(metadata.name for metadata in staying[beyond:])


def policy_status(
    policy: MedleyPolicy, services: Sequence[LLMService], namespaces: Labels, *, now: str
) -> StatusWrite | None:
    """The status of a policy that parses, or None where it reads so already."""
    generation = policy.metadata.generation
    homes = {service.metadata.namespace for service in services}
    matches = {namespace: _is_for(policy, namespace, namespaces) for namespace in homes}
    bound = [service for service in services if matches[service.metadata.namespace]]
    unknown = sorted(namespace for namespace, answer in matches.items() if answer is None)
    draft = Draft(ConditionStatus.TRUE, "Accepted", "the policy is applied")
    if unknown:
        draft = Draft(ConditionStatus.UNKNOWN, "NamespacesUnreadable", _labels_unknown(policy, unknown[0]).message)
    status = MedleyPolicyStatus(
        observed_generation=generation,
        namespaces=len({service.metadata.namespace for service in bound}),
        services=len(bound),
        conditions=merge(policy.status.conditions, {ACCEPTED: draft}, generation=generation, now=now),
    )
    if status == policy.status:
        return None
    key = ObjectKey(kind=POLICY, namespace="", name=policy.metadata.name)
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return StatusWrite(key=key, uid=policy.metadata.uid, status=written)
