"""Projections of nodes, pods, namespaces and children: from what the API server returns to what decisions read.

Pure. Ten thousand pods are kept at once, so that what many of them share is one object in memory. A field that cannot
be read counts as absent: nodes and pods are anybody's, and none of them may stop a look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

from medley_operator.api.v1alpha1.power import CapMode
from medley_operator.domain.engine.startup_protection import is_protected
from medley_operator.domain.values.labels import DELETION_COST, PICKER_CONFIG, managed
from medley_operator.domain.values.leadtime import start_of, unix_seconds
from medley_operator.domain.values.power import GpuHeld, NodeCaps
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import NamespaceView, NodeView, PodTrouble, PodView, Taint
from medley_planner.capacity.watts import clock_under_cap

STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons for which a container waits without anything being wrong."""
OOM_KILLED = "OOMKilled"
MAX_MESSAGE = 400
SHARED = 4096

MOST_PARTS = 65_536
"""Parts of manifests that are looked for; when there are more, those to come are shared among themselves."""

Value = TypeVar("Value", int, str)


class _Parts:
    """Equal parts of manifests, which nobody changes, each as one object. A part is known by the parts that it is made
    of, so that it is found without comparing what is inside them."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Any] = {}

    def one(self, value: Any) -> Any:
        """The part that is equal to `value`, of JSON."""
        if isinstance(value, dict):
            return self._shared({intern(name): self.one(each) for name, each in value.items()})
        if isinstance(value, list):
            return self._shared([self.one(each) for each in value])
        return intern(value) if isinstance(value, str) else value

    def _shared(self, part: dict[str, Any] | list[Any]) -> Any:
        if len(self._known) >= MOST_PARTS:
            self._known.clear()
        inside = (id(each) for each in (part.values() if isinstance(part, dict) else part))
        # A part that is known holds those inside it, so that their ids are nobody else's.
        return self._known.setdefault((type(part), *(part if isinstance(part, dict) else ()), *inside), part)


_PARTS = _Parts()


def plain(manifest: Manifest) -> Manifest:
    """The manifest without what changes though nothing does.

    Of `managedFields` it keeps who set what beside the status: what we set before and do not set now is seen by them.
    Thousands of children have most of their parts in common, and what is equal is one object in memory.
    """
    metadata = {
        name: value for name, value in manifest["metadata"].items() if name not in ("managedFields", "resourceVersion")
    }
    set_by = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in manifest["metadata"].get("managedFields") or []
        if entry.get("subresource") != "status"
    ]
    kept = manifest | {"metadata": {**metadata, **({"managedFields": set_by} if set_by else {})}}
    return {name: _PARTS.one(value) for name, value in kept.items()}


def picker_configuration(manifest: Manifest) -> Manifest | None:
    """None for a ConfigMap of another name, such as the operator's memory, which it writes too."""
    return plain(manifest) if manifest["metadata"]["name"] == PICKER_CONFIG else None


def namespace_view(manifest: Manifest) -> NamespaceView:
    metadata = manifest["metadata"]
    return NamespaceView(_strings(metadata.get("labels")), ending="deletionTimestamp" in metadata)


def node_view(node: Manifest) -> NodeView:
    metadata, spec = node["metadata"], node.get("spec") or {}
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return NodeView(
        name=metadata["name"],
        labels=_strings(metadata.get("labels")),
        allocatable=_shared(_extended(allocatable)),
        created_at=unix_seconds(metadata.get("creationTimestamp")),
        ready=_conditions(node).get("Ready", {}).get("status") == "True",
        cordoned=bool(spec.get("unschedulable")),
        leaving="deletionTimestamp" in metadata,
        taints=tuple(
            Taint(intern(each["key"]), each.get("value") or "", intern(each["effect"]))
            for each in spec.get("taints") or []
        ),
    )


def node_caps(cap: Manifest) -> NodeCaps:
    """The GPUs of a node as its agent reports them, and until when the controller answers for them."""
    spec, status = cap.get("spec") or {}, cap.get("status") or {}
    if spec.get("mode", CapMode.ENFORCE) != CapMode.ENFORCE:
        return NodeCaps()
    lease = spec.get("lease") or {}
    renewed = unix_seconds(lease.get("renewTime"))
    gpus = tuple(
        GpuHeld(
            _clock_percent(gpu), tuple(str(pod) for pod in gpu.get("pods") or ()), unix_seconds(gpu.get("appliedAt"))
        )
        for gpu in status.get("gpus") or ()
    )
    until = None if renewed is None else renewed + float(lease.get("durationSeconds") or 0)
    return NodeCaps(gpus, tuple(str(name) for name in spec.get("domains") or ()), until)


def _clock_percent(gpu: Mapping[str, Any]) -> int:
    clock, highest = gpu.get("enforcedClockMhz"), gpu.get("maxClockMhz")
    watts, most = gpu.get("enforcedWatts"), gpu.get("defaultCapWatts") or gpu.get("maxCapWatts")
    locked = clock / highest if clock and highest else 1.0
    capped = clock_under_cap(watts / most) if watts and most else 1.0
    return max(min(round(100.0 * min(locked, capped)), 100), 1)


def pod_view(pod: Manifest) -> PodView | None:
    """None for a pod that holds no GPU, now or any more, and is not ours."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    ours = managed(metadata.get("labels"))
    ended = status.get("phase") in ("Succeeded", "Failed")
    gpus = _requested(spec)
    if not ours and (ended or not gpus):
        return None
    conditions = _conditions(pod)
    scheduled = conditions.get("PodScheduled", {})
    return PodView(
        namespace=intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        gpus=_shared(gpus),
        node=intern(spec.get("nodeName") or ""),
        nominated=intern(status.get("nominatedNodeName") or ""),
        controller=_controller(metadata),
        labels=_strings(metadata.get("labels")) if ours else _shared({}),
        created_at=unix_seconds(metadata.get("creationTimestamp")),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in metadata,
        ended=ended,
        gated=scheduled.get("status") == "False" and scheduled.get("reason") == "SchedulingGated",
        protected=ours and is_protected(metadata.get("annotations") or {}),
        deletion_cost=_deletion_cost(metadata.get("annotations") or {}) if ours else 0,
        trouble=_trouble(status, conditions),
        start=start_of(pod) if ours else None,
        creating_since=_creating_since(status, conditions.get("PodScheduled", {})) if ours else None,
    )


def _deletion_cost(annotations: Mapping[str, Any]) -> int:
    """As the controller reads it: 0 for what is not a 32-bit number."""
    try:
        cost = int(annotations.get(DELETION_COST, 0))
    except (TypeError, ValueError):
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def _extended(resources: Mapping[str, Any]) -> dict[str, int]:
    """Whole counts of extended resources, which have a domain in their names; what is not a quantity is not counted."""
    return {name: count for name, text in resources.items() if "/" in name and (count := whole_count(text)) is not None}


def _requested(spec: Mapping[str, Any]) -> dict[str, int]:
    """Extended resources that the scheduler keeps for a pod: what its containers and sidecars take together, or what
    one init container takes beside the sidecars that started before it (Kubernetes: "Init containers", resource
    sharing)."""
    sidecars: dict[str, int] = {}
    most: dict[str, int] = {}
    for container in spec.get("initContainers") or []:
        own = _of_container(container)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, own))
        else:
            most = _most(most, _sum((sidecars, own)))
    running = _sum((sidecars, *(_of_container(container) for container in spec.get("containers") or [])))
    return {name: count for name, count in _most(most, running).items() if count > 0}


def _of_container(container: Mapping[str, Any]) -> dict[str, int]:
    """Requests and limits of an extended resource are equal; where one is given, the other follows."""
    resources = container.get("resources") or {}
    return _most(_extended(resources.get("requests") or {}), _extended(resources.get("limits") or {}))


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def _trouble(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> PodTrouble | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return _told("Unschedulable", scheduled.get("message"), scheduled.get("lastTransitionTime"))
    if status.get("phase") == "Failed":
        # The kubelet refused or evicted it (UnexpectedAdmissionError, OutOfnvidia.com/gpu, Evicted), or it ran out.
        return _told(status.get("reason") or "Failed", status.get("message"), status.get("startTime"))
    bound_at = scheduled.get("lastTransitionTime")
    return next((trouble for each in _containers(status) if (trouble := _stuck(each, bound_at)) is not None), None)


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _stuck(container: Mapping[str, Any], bound_at: object) -> PodTrouble | None:
    """The trouble that keeps a container from running, or ended it before it was Ready."""
    state = container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    before = (container.get("lastState") or {}).get("terminated") or {}
    name = container.get("name", "")
    killed = next((each for each in (ended, before) if each.get("reason") == OOM_KILLED), None)
    if killed is not None and not container.get("ready"):
        text = f"container {name} took more memory than its limit and was killed; restarts: {_restarts(container)}"
        return _told(OOM_KILLED, text, killed.get("finishedAt"))
    if waiting.get("reason") and waiting["reason"] not in STARTING:
        return _told(waiting["reason"], waiting.get("message"), before.get("finishedAt") or bound_at)
    if ended.get("exitCode"):
        text = ended.get("message") or f"container {name} ended with exit code {ended['exitCode']}"
        return _told(ended.get("reason") or "Error", text, ended.get("finishedAt"))
    return None


def _creating_since(status: Mapping[str, Any], scheduled: Mapping[str, Any]) -> float | None:
    states = [state for each in _containers(status) for state in (each.get("state") or {})]
    if scheduled.get("status") != "True" or any(state != "waiting" for state in states):
        return None
    return unix_seconds(scheduled.get("lastTransitionTime"))


def _restarts(container: Mapping[str, Any]) -> int:
    return whole_count(container.get("restartCount")) or 0


def _told(reason: str, message: object, since: object) -> PodTrouble:
    return PodTrouble(intern(str(reason)), str(message or "")[:MAX_MESSAGE], unix_seconds(since))


def _controller(metadata: Mapping[str, Any]) -> tuple[str, str]:
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            return intern(owner["kind"]), intern(owner["uid"])
    return "", ""


def _conditions(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    return {each.get("type", ""): each for each in (manifest.get("status") or {}).get("conditions") or []}


def _strings(values: Mapping[str, str] | None) -> Mapping[str, str]:
    return _shared({intern(key): intern(value) for key, value in (values or {}).items()})


def _shared(values: Mapping[str, Value]) -> Mapping[str, Value]:
    """Equal mappings are one object: the pods of a ReplicaSet differ in neither labels nor GPUs."""
    return _one(tuple(values.items()))


@lru_cache(maxsize=SHARED)
def _one(items: tuple[tuple[str, Value], ...]) -> Mapping[str, Value]:
    return dict(items)
