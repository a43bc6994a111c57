"""Changes that others make to our objects: put back, left after a while, or only shown.

A field that we set and that is otherwise is set again. Where another client changes it back each time (an admission
policy, an autoscaler, a person), setting it again is a write each round and helps nobody: after `MOST_TAKES` times
within `WINDOW_SECONDS` it is left and shown, and tried once in that time. Fields that we do not set are others' to set;
those that change how pods run are shown. Pure: the memory is a value.

What is counted are differences seen since the last write, so writes that were not made must not be counted: a service
whose last writes failed says so in its status, and `Drift.counts` is False for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.rollout.diff import Difference, Path, known_differences, manager_of, shown
from medley_operator.domain.values import labels
from medley_operator.domain.values.conditions import APPLY_FAILED
from medley_operator.domain.values.snapshot import ActuatorView, FieldKey, Manifest, ObjectKey, TakenBack

MOST_TAKES = 5
WINDOW_SECONDS = 600.0
SETTLE_SECONDS = 2.0
"""A field that others change back is set again no sooner than this after our last write."""
_REPLICAS = "spec.replicas"
_POD: Path = ("f:spec", "f:template", "f:spec")
_NEUTRAL: tuple[object, ...] = (None, False, "", [], {})
_POD_FIELDS: Mapping[str, object] = {
    "hostIPC": False,
    "hostNetwork": False,
    "hostPID": False,
    "nodeName": "",
    "priorityClassName": "",
    "runtimeClassName": "",
    "schedulerName": "default-scheduler",
    "serviceAccountName": "",
}
"""Fields of a pod that change where or how it runs, with the API server's default."""
_CONTAINER_LISTS = ("initContainers", "containers")


@dataclass(frozen=True, slots=True)
class ForeignChange:
    """A field of an object of ours that another client sets. `manager` as the API server names it, "" where unknown."""

    object: str
    path: str
    manager: str


@dataclass(frozen=True, slots=True)
class Drift:
    """The memory of a service's drift, and what this look has seen.

    `counts`: whether the last writes were made. `autoscalers`: what scales a Deployment beside us, by Deployment.
    """

    taken_back: Mapping[FieldKey, TakenBack] = field(default_factory=dict)
    at_seconds: float = 0.0
    counts: bool = True
    autoscalers: Mapping[ObjectKey, str] = field(default_factory=dict)


def drift_of(service: LLMService, view: ActuatorView, taken_back: Mapping[FieldKey, TakenBack]) -> Drift:
    """The drift of one service as this look sees it."""
    return Drift(
        taken_back=taken_back,
        at_seconds=view.at_seconds,
        counts=not any(condition.reason == APPLY_FAILED for condition in service.status.conditions),
        autoscalers=view.autoscalers,
    )


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The changes of others to a service's children: fields that are left to them, fields that they added, and what
    scales a Deployment, by Deployment. `taken_back` is to be remembered."""

    taken_back: Mapping[FieldKey, TakenBack] = field(default_factory=dict)
    left: tuple[ForeignChange, ...] = ()
    added: tuple[ForeignChange, ...] = ()
    autoscaled: Mapping[ObjectKey, str] = field(default_factory=dict)
    wait_seconds: float | None = None
    """When a field may be set again that others changed back just now."""

    @classmethod
    def of(cls, repairs: Iterable[Repair], *, autoscaled: Mapping[ObjectKey, str]) -> DriftReport:
        """The report on all children of one service."""
        made = list(repairs)
        return cls(
            taken_back={path: taken for each in made for path, taken in each.taken_back.items()},
            left=tuple(change for each in made for change in each.left),
            added=tuple(change for each in made for change in each.added),
            autoscaled=autoscaled,
            wait_seconds=SETTLE_SECONDS if any(each.waits for each in made) else None,
        )


@dataclass(frozen=True, slots=True)
class Repair:
    """The mending of one object: `manifest` to apply, None where it is well or left; the rest to remember and show."""

    manifest: Manifest | None
    taken_back: Mapping[FieldKey, TakenBack]
    left: tuple[ForeignChange, ...]
    added: tuple[ForeignChange, ...]
    waits: bool = False
    """A field was changed back so soon after our write that it is not set again yet."""


def repair(desired: Manifest, observed: Manifest, drift: Drift) -> Repair:
    """Asked of an object that is there. The replicas of one that something else scales are the other's."""
    key = labels.key_of(desired)
    if key in drift.autoscalers:
        desired = with_replicas_of(desired, observed)
    before = {path: taken for (of, path), taken in drift.taken_back.items() if of == key}
    after = {path: taken for path, taken in before.items() if _is_recent(taken, drift.at_seconds)}
    write, waits = False, False
    kept: set[str] = set()
    left: list[ForeignChange] = []
    for found in known_differences(desired, observed):
        taken, again = _take(before.get(found.path), found, drift)
        after[found.path] = taken
        write = write or again
        waits = waits or not (again or taken.left)
        if taken.left:
            left.append(ForeignChange(object=str(key), path=found.path, manager=found.manager))
            kept |= set() if again else {found.path}
    # Whatever else is put back, replicas that are left stay the other's.
    manifest = with_replicas_of(desired, observed) if _REPLICAS in kept else desired
    return Repair(
        manifest=manifest if write else None,
        taken_back={(key, path): taken for path, taken in after.items()},
        left=tuple(left),
        added=tuple(added(desired, observed)),
        waits=waits,
    )


def _take(before: TakenBack | None, found: Difference, drift: Drift) -> tuple[TakenBack, bool]:
    """The memory of a field that is not as we want it, and whether to set it again."""
    now = drift.at_seconds
    if before is None or before.wanted != found.wanted:
        return TakenBack(wanted=found.wanted, at_seconds=(now,)), True
    recent = tuple(at for at in before.at_seconds if now - at < WINDOW_SECONDS)
    if before.left:
        return (before, False) if recent else (replace(before, at_seconds=(now,)), True)
    if not drift.counts:
        return before, True
    if now - before.at_seconds[-1] < SETTLE_SECONDS:
        return before, False
    if len(recent) >= MOST_TAKES:
        return replace(before, left=True), False
    return replace(before, at_seconds=(*recent, now)), True


def _is_recent(taken: TakenBack, now: float) -> bool:
    return now - taken.at_seconds[-1] < WINDOW_SECONDS


def with_replicas_of(desired: Manifest, observed: Manifest) -> Manifest:
    """The manifest with as many replicas as the object has now."""
    replicas = observed.get("spec", {}).get("replicas", desired["spec"]["replicas"])
    return {**desired, "spec": {**desired["spec"], "replicas": replicas}}


def added(desired: Manifest, observed: Manifest) -> Iterable[ForeignChange]:
    """Fields of a Deployment's pods that we leave to others and that change how the pods run."""
    if desired.get("kind") != labels.DEPLOYMENT:
        return
    mine, theirs = (each.get("spec", {}).get("template", {}).get("spec", {}) for each in (desired, observed))
    paths: list[Path] = [
        (*_POD, f"f:{name}")
        for name, default in _POD_FIELDS.items()
        if name not in mine and theirs.get(name) not in (*_NEUTRAL, default)
    ]
    paths += [(*_POD, "f:affinity", *path) for path in _affinity_terms(theirs) - _affinity_terms(mine)]
    for kind in _CONTAINER_LISTS:
        known = {container["name"] for container in mine.get(kind) or []}
        paths += [
            (*_POD, f"f:{kind}", f'k:{{"name":"{container["name"]}"}}')
            for container in theirs.get(kind) or []
            if container["name"] not in known
        ]
    for path in sorted(paths):
        yield ForeignChange(object=str(labels.key_of(desired)), path=shown(path), manager=manager_of(observed, path))


def _affinity_terms(pod: Manifest) -> set[tuple[str, str]]:
    """Where a pod has terms of affinity: we set some of them ourselves."""
    return {
        (f"f:{part}", f"f:{strength}")
        for part, terms in (pod.get("affinity") or {}).items()
        for strength, found in (terms or {}).items()
        if found
    }
