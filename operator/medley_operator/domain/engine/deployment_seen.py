"""The running replicas of a variant, read from its Deployment as the API server has it. Anybody may edit one, so that
nothing in it is taken to be there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from medley_operator.domain.engine.workload import Footprint
from medley_operator.domain.values import labels
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.recall import Recall
from medley_operator.domain.values.running import RunningVariant
from medley_operator.domain.values.snapshot import Manifest


def footprint_of(deployment: Manifest) -> Footprint:
    """A replica is one pod on one node. Its GPUs are the extended resource (a name with a domain) in the limits of its
    containers; one that is not a whole count is passed over."""
    return Footprint(nodes=1, gpus_per_node=_gpus(deployment))


_KNOWN: Recall[RunningVariant] = Recall()


def running_variant(deployment: Manifest) -> RunningVariant:
    """The Deployment is one as it was observed, which nobody changes."""
    key = deployment["metadata"].get("namespace"), deployment["metadata"]["name"]
    return _KNOWN.get(key, lambda: _running_variant(deployment), observed=deployment)


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
        gpus_per_replica=footprint_of(deployment).gpus,
        drained=replicas == 0 and seen and pods == 0,
        paused=spec.get("paused") is True,
        updated=_count(status, "updatedReplicas") if seen else 0,
        failure=conditions["ReplicaFailure"].get("message", "") if _is_true(conditions, "ReplicaFailure") else "",
        made=_count(status, "replicas"),
        stalled=conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded",
    )


def _is_true(conditions: Mapping[str, Manifest], type_: str) -> bool:
    return conditions.get(type_, {}).get("status") == "True"


def _count(fields: Manifest, name: str) -> int:
    return whole_count(fields.get(name)) or 0


def _gpus(deployment: Manifest) -> int:
    containers: Iterable[Manifest] = (
        deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    )
    return sum(
        whole_count(value) or 0
        for container in containers
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items()
        if "/" in name
    )
