"""Which of the writes that a service needs may be made now: each kind of step has a precondition on what was observed.

There is no order of kinds: a step whose precondition does not hold yet is made after the look that shows it, which the
write before it brings about. So a refused or lost write holds back what rests on it and nothing else. Those of routing
objects stand with their kind, and hold whatever the service's mode is now: an old route may still be there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from medley_operator.domain.cluster.children import Children
from medley_operator.domain.engine.workloads import WORKLOADS
from medley_operator.domain.rollout.writes import ChildWrites
from medley_operator.domain.routing.router import ApplyCondition, DeleteCondition
from medley_operator.domain.routing.routers import ROUTERS
from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import Apply, Delete
from medley_operator.domain.values.snapshot import FieldKey, ObjectKey, TakenBack


def _service_is_there(apply: Apply, own: Children) -> bool:
    """Pods that become Ready must find their Service: a workload is made after it."""
    key = labels.key_of(apply.manifest)
    return key in own or ObjectKey(labels.CORE_SERVICE, key.namespace, key.name) in own


def _its_workload_is_gone(delete: Delete, own: Children) -> bool:
    """The Service of a workload that is there stays."""
    return not any(ObjectKey(kind, delete.key.namespace, delete.key.name) in own for kind in WORKLOADS)


def permitted(
    writes: ChildWrites, own: Children, taken_back: Mapping[FieldKey, TakenBack] = MappingProxyType({})
) -> ChildWrites:
    """The writes whose preconditions hold now. `taken_back`: what was remembered of drift before; a field that is not
    set now was not taken back by anybody when it is set later."""
    applies = tuple(each for each in writes.applies if all(holds(each, own) for holds in _of_apply(each)))
    waiting = {labels.key_of(each.manifest) for each in writes.applies} - {labels.key_of(e.manifest) for e in applies}
    after = {field: taken for field, taken in writes.drift.taken_back.items() if field[0] not in waiting}
    before = {field: taken for field, taken in taken_back.items() if field[0] in waiting}
    deletes = tuple(each for each in writes.deletes if all(holds(each, own) for holds in _of_delete(each)))
    return replace(
        writes,
        applies=applies,
        deletes=deletes,
        waits=len(applies) < len(writes.applies) or len(deletes) < len(writes.deletes),
        drift=replace(writes.drift, taken_back={**after, **before}),
    )


def _of_apply(apply: Apply) -> Iterator[ApplyCondition]:
    kind = apply.manifest["kind"]
    if kind in WORKLOADS:
        yield _service_is_there
    yield from (router.apply_conditions[kind] for router in ROUTERS.values() if kind in router.apply_conditions)


def _of_delete(delete: Delete) -> Iterator[DeleteCondition]:
    kind = delete.key.kind
    if kind == labels.CORE_SERVICE:
        yield _its_workload_is_gone
    yield from (router.delete_conditions[kind] for router in ROUTERS.values() if kind in router.delete_conditions)
