"""From what the API server returns to the values of a snapshot: our own objects through their models, nodes by hand.

Pure. An object that does not parse becomes a `InvalidObject` with a message for its owner and never stops the round.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from medley_operator.domain.firewall import guarded
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectFault, ObjectKey
from medley_operator.domain.values.views import NodeView
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
        found = guarded(key_of(item), partial(_parsed, model, item))
        if isinstance(found, ObjectFault):
            # Neither valid nor refused: this program failed on it.
            rejected.append(_rejected(item, found.refusal))
        elif isinstance(found, Refusal):
            rejected.append(_rejected(item, found))
        else:
            parsed.append(found)
    return parsed, rejected


def _parsed(model: type[Model], item: Manifest) -> Model | Refusal:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        return Refusal(PlanReason.INVALID_SPEC, rejection_message(key_of(item), error))


def _rejected(item: Manifest, refusal: Refusal) -> InvalidObject:
    return InvalidObject(
        key=key_of(item),
        uid=item["metadata"].get("uid", ""),
        generation=item["metadata"].get("generation", 0),
        refusal=refusal,
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


def ready_nodes(items: Iterable[Manifest]) -> tuple[NodeView, ...]:
    """The nodes that pods can go to: Ready, not cordoned, not leaving."""
    return tuple(_node(item) for item in items if _usable(item))


def _usable(node: Manifest) -> bool:
    if node.get("spec", {}).get("unschedulable") or node["metadata"].get("deletionTimestamp"):
        return False
    conditions = node.get("status", {}).get("conditions") or []
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _node(node: Manifest) -> NodeView:
    allocatable = node.get("status", {}).get("allocatable") or {}
    return NodeView(
        name=node["metadata"]["name"],
        labels=node["metadata"].get("labels") or {},
        # Extended resources have a domain in their name and are whole numbers, which the API server may write as "1k".
        allocatable={
            name: count
            for name, text in allocatable.items()
            if "/" in name and (count := whole_count(text)) is not None
        },
        created_at=unix_seconds(node["metadata"].get("creationTimestamp")),
    )
