"""The writes that a decision asks for, as values: children, statuses, Events, and what reports them.

`domain.act` and `domain.conclude` make them, `fleet.publish` carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from medley_operator.domain.values.gauges import GaugeSample
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectFault, ObjectKey


class EventType(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class EventNote:
    """An Event to publish about one of our objects."""

    regarding: ObjectKey
    uid: str
    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StatusWrite:
    """The whole status of one of our objects, to be applied on the status subresource."""

    key: ObjectKey
    uid: str
    status: Manifest


@dataclass(frozen=True, slots=True)
class Apply:
    """A child object to server-side apply. `service` is the LLMService that it belongs to. `calm`: it changes nothing
    that runs or serves, such as a note of what made the template."""

    service: ServiceKey
    manifest: Manifest
    calm: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """A child object to delete, if it still has this uid."""

    service: ServiceKey
    key: ObjectKey
    uid: str


@dataclass(frozen=True, slots=True)
class PodNote:
    """Annotations and labels to set on a pod, if it still has this uid; those that are None are taken away. `why`: for
    the log."""

    key: ObjectKey
    uid: str
    annotations: Mapping[str, str | None]
    why: str
    labels: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """All that is done to the world at once. Where all but `gauges` and `wait_seconds` is empty, nothing is written.

    `wait_seconds`: when to look again though nothing changes, because a step waits for time to pass; None: no need.
    """

    applies: tuple[Apply, ...] = ()
    deletes: tuple[Delete, ...] = ()
    statuses: tuple[StatusWrite, ...] = ()
    events: tuple[EventNote, ...] = ()
    gauges: tuple[GaugeSample, ...] = ()
    wait_seconds: float | None = None
    pod_notes: tuple[PodNote, ...] = ()
    faults: tuple[ObjectFault, ...] = ()
    """Services that this program failed on: nothing of theirs is written but a status that says so."""
