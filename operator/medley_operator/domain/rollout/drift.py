"""Changes that others make to our objects: put back, left after a while, or only shown.

A field that we set and that is otherwise is set again. Where another client changes it back each time (an admission
policy, an autoscaler, a person), setting it again is a write each round and helps nobody: after `MOST_TAKES` times
within `WINDOW_SECONDS` it is left and shown, and tried once in that time. Where our value stayed for a while in
between, a client changes it now and then, and may stop any moment: it is tried sooner. Fields that we do not set are
others' to set; those that change how pods run are shown. Pure: the memory is a value.

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
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import ActuatorView, FieldKey, Manifest, ObjectKey, TakenBack
from medley_operator.domain.values.views import Autoscaler

MOST_TAKES = 5
WINDOW_SECONDS = 600.0
SETTLE_SECONDS = 2.0
"""A field that others change back is set again no sooner than this after our last write, and has stayed if it is
well then."""
RETRY_SECONDS = 30.0
"""Until a field that was left is set again, where our value stayed for a while before it was changed back."""
SURPLUS_SECONDS = 10.0
"""The same for more replicas than are planned: they take GPUs that others need."""
_REPLICAS = "spec.replicas"
_CALM = ("metadata.annotations", "spec.strategy", "spec.progressDeadlineSeconds", "spec.revisionHistoryLimit")
"""Fields by which nothing changes that runs or serves, or how it is found."""
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

    `counts`: whether the last writes were made. `autoscalers`: those of others, by the Deployment that they are on.
    """

    taken_back: Mapping[FieldKey, TakenBack] = field(default_factory=dict)
    at_seconds: float = 0.0
    counts: bool = True
    autoscalers: Mapping[ObjectKey, Autoscaler] = field(default_factory=dict)


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
    """The changes of others to a service's children: fields that are left to them, fields that they added, and their
    autoscalers, by Deployment. `taken_back` is to be remembered."""

    taken_back: Mapping[FieldKey, TakenBack] = field(default_factory=dict)
    left: tuple[ForeignChange, ...] = ()
    added: tuple[ForeignChange, ...] = ()
    autoscaled: Mapping[ObjectKey, Autoscaler] = field(default_factory=dict)
    wait_seconds: float | None = None
    """When a field may be set again that others changed back just now."""

    @property
    def is_settled(self) -> bool:
        """Whether a later look finds nothing new of fields that were set: all stay as they are, and none is left to
        others. In time they are forgotten, and a field that is changed then is set as one that is remembered."""
        return not self.left and all(taken.stayed and not taken.left for taken in self.taken_back.values())

    @classmethod
    def of(cls, repairs: Iterable[Repair], *, autoscaled: Mapping[ObjectKey, Autoscaler]) -> DriftReport:
        """The report on all children of one service."""
        made = list(repairs)
        return cls(
            taken_back={path: taken for each in made for path, taken in each.taken_back.items()},
            left=tuple(change for each in made for change in each.left),
            added=tuple(change for each in made for change in each.added),
            autoscaled=autoscaled,
            wait_seconds=min((each.wait_seconds for each in made if each.wait_seconds is not None), default=None),
        )


@dataclass(frozen=True, slots=True)
class Repair:
    """The mending of one object: `manifest` to apply, None where it is well or left; the rest to remember and show."""

    manifest: Manifest | None
    taken_back: Mapping[FieldKey, TakenBack]
    left: tuple[ForeignChange, ...]
    added: tuple[ForeignChange, ...]
    wait_seconds: float | None = None
    """Until the next look at a field that others changed; None where nothing waits for time."""
    calm: bool = False
    """Whether the write may wait for others."""


def repair(desired: Manifest, observed: Manifest, drift: Drift) -> Repair:
    """Asked of an object that is there. The replicas of one that something else scales are the other's.

    A VerticalPodAutoscaler sets no replicas: it changes pods as they are made, and never the Deployment.
    """
    key = labels.key_of(desired)
    if drift.autoscalers.get(key, Autoscaler()).replicas:
        desired = with_replicas_of(desired, observed)
    before = {path: taken for (of, path), taken in drift.taken_back.items() if of == key}
    # What is found as we set it; the others follow.
    after = {
        path: _well(taken, drift.at_seconds) for path, taken in before.items() if _is_recent(taken, drift.at_seconds)
    }
    written, waits = list[str](), list[float]()
    kept: set[str] = set()
    left: list[ForeignChange] = []
    for found in known_differences(desired, observed):
        retry_seconds = SURPLUS_SECONDS if found.path == _REPLICAS and _surplus(desired, observed) else RETRY_SECONDS
        taken, wait_seconds = _take(before.get(found.path), found, drift, retry_seconds=retry_seconds)
        again = wait_seconds == 0
        after[found.path] = taken
        written += [found.path] if again else []
        # Whoever set it again looks whether it stays.
        waits.append(SETTLE_SECONDS if again else wait_seconds)
        if taken.left:
            left.append(ForeignChange(object=str(key), path=found.path, manager=found.manager))
            kept |= set() if again else {found.path}
    # Whatever else is put back, replicas that are left stay the other's.
    manifest = with_replicas_of(desired, observed) if _REPLICAS in kept else desired
    return Repair(
        manifest=manifest if written else None,
        taken_back={(key, path): taken for path, taken in after.items()},
        left=tuple(left),
        added=tuple(added(desired, observed)),
        wait_seconds=min(waits, default=None),
        calm=all(path.startswith(_CALM) for path in written),
    )


def _take(
    before: TakenBack | None, found: Difference, drift: Drift, *, retry_seconds: float
) -> tuple[TakenBack, float]:
    """The memory of a field that is not as we want it, and in how many seconds to set it again."""
    now = drift.at_seconds
    if before is None or before.wanted != found.wanted:
        return TakenBack(wanted=found.wanted, at_seconds=(now,)), 0.0
    recent = tuple(at for at in before.at_seconds if now - at < WINDOW_SECONDS)
    since_seconds = now - before.at_seconds[-1]
    if not (before.left or drift.counts):
        return before, 0.0
    if not before.left and since_seconds < SETTLE_SECONDS:
        return before, SETTLE_SECONDS - since_seconds
    if not before.left and len(recent) < MOST_TAKES:
        return replace(before, at_seconds=(*recent, now), stayed=False), 0.0
    wait_seconds = (retry_seconds if before.stayed else WINDOW_SECONDS) - since_seconds
    if wait_seconds > 0:
        return replace(before, left=True), wait_seconds
    return TakenBack(wanted=found.wanted, at_seconds=(now,), left=True), 0.0


def _well(taken: TakenBack, now: float) -> TakenBack:
    return replace(taken, stayed=True) if now - taken.at_seconds[-1] >= SETTLE_SECONDS else taken


def _surplus(desired: Manifest, observed: Manifest) -> bool:
    found = whole_count(observed.get("spec", {}).get("replicas"))
    return found is not None and found > desired["spec"]["replicas"]


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
