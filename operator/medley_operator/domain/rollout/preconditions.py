"""Which of the writes that a service needs may be made now: each kind of step has a precondition on what was observed.

There is no order of kinds: a step whose precondition does not hold yet is made after the look that shows it, which the
write before it brings about. So a refused or lost write holds back what rests on it and nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from medley_operator.domain.rollout.httproute import backend_services
from medley_operator.domain.rollout.writes import ChildWrites
from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import Apply, Delete
from medley_operator.domain.values.snapshot import Manifest, ObjectKey

Own = Mapping[ObjectKey, Manifest]
"""The children that a service controls, as they were observed."""


def _service_is_there(apply: Apply, own: Own) -> bool:
    """Pods that become Ready must find their Service: a Deployment is made after it."""
    key = labels.key_of(apply.manifest)
    return key in own or ObjectKey(labels.CORE_SERVICE, key.namespace, key.name) in own


def _backends_are_there(apply: Apply, own: Own) -> bool:
    """Requests to a backend that does not exist, or is not ours, are lost or go astray."""
    namespace = labels.key_of(apply.manifest).namespace
    return all(ObjectKey(labels.CORE_SERVICE, namespace, name) in own for name in backend_services(apply.manifest))


def _no_route_sends_there(delete: Delete, own: Own) -> bool:
    """A Service, or the Deployment behind it, goes after the route has left it."""
    return all(
        backend_services(manifest).get(delete.key.name, 0) == 0
        for key, manifest in own.items()
        if key.kind == labels.HTTP_ROUTE
    )


def _not_named(delete: Delete, own: Own) -> bool:
    """A Service that a route still names, if only with weight 0, stays; so does that of a Deployment that is there."""
    routes = [manifest for key, manifest in own.items() if key.kind == labels.HTTP_ROUTE]
    named = any(delete.key.name in backend_services(manifest) for manifest in routes)
    return not named and ObjectKey(labels.DEPLOYMENT, delete.key.namespace, delete.key.name) not in own


APPLY_PRECONDITIONS: Mapping[str, Callable[[Apply, Own], bool]] = {
    labels.DEPLOYMENT: _service_is_there,
    labels.HTTP_ROUTE: _backends_are_there,
}
DELETE_PRECONDITIONS: Mapping[str, Callable[[Delete, Own], bool]] = {
    labels.DEPLOYMENT: _no_route_sends_there,
    labels.CORE_SERVICE: _not_named,
}


def permitted(writes: ChildWrites, own: Own) -> ChildWrites:
    """The writes whose preconditions hold now."""
    return replace(
        writes,
        applies=tuple(each for each in writes.applies if _may_apply(each, own)),
        deletes=tuple(each for each in writes.deletes if _may_delete(each, own)),
    )


def _may_apply(apply: Apply, own: Own) -> bool:
    precondition = APPLY_PRECONDITIONS.get(apply.manifest["kind"])
    return precondition is None or precondition(apply, own)


def _may_delete(delete: Delete, own: Own) -> bool:
    precondition = DELETE_PRECONDITIONS.get(delete.key.kind)
    return precondition is None or precondition(delete, own)
