"""From what the API server returns to the values of a snapshot: our own objects through their models, nodes by hand.

Pure. An object that does not parse becomes a `InvalidObject` with a message for its owner and never stops the round.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.domain.values.views import NodeView, Taint
from medley_operator.kube.resources import BY_KIND
from medley_planner.refusal import Refusal
from medley_planner.schema_faults import faults_of

MAX_ERRORS_NAMED = 3

Model = TypeVar("Model", bound=BaseModel)


def parse_objects(model: type[Model], items: Iterable[Manifest]) -> tuple[list[Model], list[InvalidObject]]:
    """The objects that parse, and for each of the others why it does not."""
    parsed: list[Model] = []
    rejected: list[InvalidObject] = []
    for item in items:
        try:
            parsed.append(model.model_validate(item))
        except ValidationError as error:
            rejected.append(_rejected(item, error))
    return parsed, rejected


def _rejected(item: Manifest, error: ValidationError) -> InvalidObject:
    key = key_of(item)
    return InvalidObject(
        key=key,
        uid=item["metadata"].get("uid", ""),
        generation=item["metadata"].get("generation", 0),
        refusal=Refusal(PlanReason.INVALID_SPEC, rejection_message(key, error)),
        status=item.get("status") or {},
    )


def rejection_message(key: ObjectKey, error: ValidationError) -> str:
    """Names object, fields, values and the way out."""
    faults = faults_of(error)
    named = "; ".join(fault.fault for fault in faults[:MAX_ERRORS_NAMED])
    more = f" and {len(faults) - MAX_ERRORS_NAMED} more" if len(faults) > MAX_ERRORS_NAMED else ""
    where = f" -n {key.namespace}" if key.namespace else ""
    return (
        f'{key} is not valid: {named}{more}. Correct it with "kubectl edit {BY_KIND[key.kind].plural}{where} '
        f'{key.name}", or update the CRDs together with the operator'
    )


def node_views(items: Iterable[Manifest]) -> tuple[NodeView, ...]:
    """All nodes, also those that take no pod now."""
    return tuple(_node(item) for item in items)


def _node(node: Manifest) -> NodeView:
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    conditions = status.get("conditions") or []
    return NodeView(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        # Extended resources have a domain in their name and are whole numbers.
        allocatable={
            name: int(count)
            for name, count in (status.get("allocatable") or {}).items()
            if "/" in name and str(count).isdigit()
        },
        created_at=unix_seconds(metadata.get("creationTimestamp")),
        ready=any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions),
        cordoned=bool(spec.get("unschedulable")),
        leaving=bool(metadata.get("deletionTimestamp")),
        taints=tuple(
            Taint(each.get("key", ""), each.get("value") or "", each.get("effect", ""))
            for each in spec.get("taints") or []
        ),
    )
