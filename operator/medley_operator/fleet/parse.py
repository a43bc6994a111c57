"""From what the API server returns to the values of a snapshot: our own objects through their models.

Apart: these are refused in words for their owner, which nodes and pods never are. Pure.

An object that does not parse becomes a `InvalidObject` with a message for its owner and never stops the round.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from medley_operator.domain.firewall import guarded
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.labels import DEPLOYMENT, key_of
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectFault, ObjectKey
from medley_operator.domain.values.views import Autoscaler
from medley_operator.kube.resources import BY_KIND
from medley_planner.refusal import Refusal
from medley_planner.schema_faults import faults_of

MAX_ERRORS_NAMED = 3
KEDA_LABEL = "scaledobject.keda.sh/name"
"""On the autoscalers that KEDA makes."""

Model = TypeVar("Model", bound=BaseModel)


def parse_object(model: type[Model]) -> Callable[[Manifest], Model | InvalidObject]:
    """A projection to the model; what does not parse says why."""

    def parse(item: Manifest) -> Model | InvalidObject:
        found = guarded(key_of(item), partial(_parsed, model, item))
        if isinstance(found, ObjectFault):
            # Neither valid nor refused: this program failed on it.
            return _rejected(item, found.refusal)
        return _rejected(item, found) if isinstance(found, Refusal) else found

    return parse


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


def autoscaled(item: Manifest) -> tuple[ObjectKey, Autoscaler] | None:
    """The Deployment that a HorizontalPodAutoscaler scales; None where it scales none."""
    key = _targeted(item, "scaleTargetRef")
    keda = (item["metadata"].get("labels") or {}).get(KEDA_LABEL)
    maker = f" of KEDA ScaledObject {keda}" if keda else ""
    return None if key is None else (key, Autoscaler(replicas=f"{key_of(item)}{maker}"))


def resized(item: Manifest) -> tuple[ObjectKey, Autoscaler] | None:
    """The Deployment whose pods' resources a VerticalPodAutoscaler sets; None where it only recommends them."""
    key = _targeted(item, "targetRef")
    mode = ((item.get("spec") or {}).get("updatePolicy") or {}).get("updateMode")
    return None if key is None or mode == "Off" else (key, Autoscaler(resources=str(key_of(item))))


def _targeted(item: Manifest, field: str) -> ObjectKey | None:
    """The Deployment that the field of an autoscaler's spec names."""
    target = (item.get("spec") or {}).get(field) or {}
    if target.get("kind") != DEPLOYMENT or str(target.get("apiVersion", "apps/v1")).partition("/")[0] != "apps":
        return None
    return ObjectKey(DEPLOYMENT, item["metadata"].get("namespace", ""), str(target.get("name", "")))
