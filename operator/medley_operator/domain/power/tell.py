"""Which statuses are written, and what is worth an Event and a hook. Pure.

A status that was asked for counts at once: the watch brings it later, and nothing is said twice meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from medley_operator.api.v1alpha1.power import EventPhase, PowerDomain, PowerDomainStatus, PowerEventStatus
from medley_operator.domain.firewall import guarded
from medley_operator.domain.power.events import JudgedEvent, event_status
from medley_operator.domain.power.report import (
    DomainReading,
    NoticeKind,
    domain_status,
    notices_of,
    rejected_status,
)
from medley_operator.domain.power.view import PowerView
from medley_operator.domain.values.decision import StatusWrite
from medley_operator.domain.values.snapshot import Manifest, ObjectFault, ObjectKey
from medley_planner.power import DomainTree

DOMAIN, EVENT = "PowerDomain", "PowerEvent"


_STATUSES: Mapping[str, type[PowerDomainStatus] | type[PowerEventStatus]] = {
    DOMAIN: PowerDomainStatus,
    EVENT: PowerEventStatus,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people and hooks should know. `facts`: plain values for hooks."""

    kind: NoticeKind
    about: ObjectKey
    uid: str
    message: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """Statuses to write, and what happened."""

    statuses: tuple[StatusWrite, ...]
    notices: tuple[Notice, ...]


_Told = tuple[StatusWrite | None, list[Notice]]


class Teller:
    """Remembers what it asked to be written."""

    def __init__(self) -> None:
        self._statuses: dict[str, Any] = {}
        """Keys are uids."""
        self._pod_limits: Mapping[str, tuple[str, str]] = {}

    def tell(
        self,
        view: PowerView,
        judged: Iterable[JudgedEvent],
        trees: Sequence[DomainTree],
        shown: Mapping[str, DomainReading],
        *,
        now: float,
    ) -> Told:
        """For all domains and events of the view. `trees`: of an event, the first that has its domain counts."""
        told = [*self._domains(view, shown, now), *self._rejected(view, now), *self._events(judged, trees, shown, now)]
        there = {domain.metadata.uid for domain in view.domains} | {event.metadata.uid for event in view.events}
        there |= {item.uid for item in view.rejected}
        self._statuses = {uid: status for uid, status in self._statuses.items() if uid in there}
        return Told(
            tuple(status for status, _ in told if status is not None),
            tuple(notice for _, notices in told for notice in notices),
        )

    def pod_limits(self, view: PowerView, refused: Mapping[str, tuple[str, str]]) -> list[Notice]:
        """Annotations that cannot be read: (domain, message) by pod. Each is reported once, about its domain."""
        uids = {domain.metadata.name: domain.metadata.uid for domain in view.domains}
        before, self._pod_limits = self._pod_limits, refused
        return [
            Notice(NoticeKind.LIMIT_REFUSED, ObjectKey(DOMAIN, "", domain), uids[domain], message, {"domain": domain})
            for pod, (domain, message) in refused.items()
            if before.get(pod) != (domain, message) and domain in uids
        ]

    def _domains(self, view: PowerView, shown: Mapping[str, DomainReading], now: float) -> list[_Told]:
        return [self._domain(domain, shown[domain.metadata.name], now) for domain in view.domains]

    def _domain(self, domain: PowerDomain, reading: DomainReading, now: float) -> _Told:
        """A status that cannot be made is that domain's alone: neither caps nor other domains wait for it."""
        name, uid = domain.metadata.name, domain.metadata.uid
        key = ObjectKey(DOMAIN, "", name)
        before = self._statuses.get(uid, domain.status)
        current = domain.model_copy(update={"status": before})
        after = guarded(key, partial(domain_status, current, reading, now=now))
        if isinstance(after, ObjectFault):
            told = rejected_status(before, after.refusal, generation=domain.metadata.generation, now=now)
            return self._write(key, uid, domain.status, told), []
        ladder = reading.capped.ladder
        brake = None if ladder.brake is None else ladder.deepest + 1
        notices = [
            Notice(kind, key, uid, _sentence(kind, name, after), _facts(name, after))
            for kind in notices_of(before, after, brake)
        ]
        return self._write(key, uid, domain.status, after), notices

    def _rejected(self, view: PowerView, now: float) -> list[_Told]:
        found: list[_Told] = []
        for item in view.rejected:
            model = _STATUSES.get(item.key.kind)
            if model is None:
                continue
            before: Any = model.model_validate(item.status)
            after = rejected_status(before, item.refusal, generation=item.generation, now=now)
            found.append((self._write(item.key, item.uid, before, after), []))
        return found

    def _events(
        self, judged: Iterable[JudgedEvent], trees: Sequence[DomainTree], shown: Mapping[str, DomainReading], now: float
    ) -> list[_Told]:
        found: list[_Told] = []
        for each in judged:
            metadata = each.event.metadata
            key = ObjectKey(EVENT, "", metadata.name)
            before = self._statuses.get(metadata.uid, each.event.status)
            current = replace(each, event=each.event.model_copy(update={"status": before}))
            reading = shown.get(each.curtailment.domain)
            tree = next((tree for tree in trees if each.curtailment.domain in tree.domains), None)
            watts = None
            if reading is not None and reading.meter is not None and not math.isnan(reading.meter.watts):
                watts = reading.meter.watts
            after = event_status(current, tree, watts, now=now)
            kinds = _event_notices(before.phase, each.phase, met=before.met_at is None and after.met_at is not None)
            facts = {"domain": each.curtailment.domain, "source": each.event.spec.source} | after.model_dump(
                by_alias=True, exclude_none=True, include={"phase", "target_watts", "drawn_watts", "shortfall_watts"}
            )
            text = f"power event {metadata.name} of domain {each.curtailment.domain}"
            message = text if each.refusal is None else each.refusal.message
            notices = [Notice(kind, key, metadata.uid, f"{message}: {kind.value}", facts) for kind in kinds]
            found.append((self._write(key, metadata.uid, each.event.status, after), notices))
        return found

    def _write(self, key: ObjectKey, uid: str, seen: Any, after: Any) -> StatusWrite | None:
        self._statuses[uid] = after
        if after == seen:
            return None
        status: Manifest = after.model_dump(mode="json", by_alias=True, exclude_none=True)
        return StatusWrite(key, uid, status)


def _event_notices(before: str, phase: EventPhase, *, met: bool) -> list[NoticeKind]:
    found = []
    if before != phase:
        by_phase = {
            EventPhase.REFUSED: NoticeKind.EVENT_REFUSED,
            EventPhase.ACTIVE: NoticeKind.EVENT_BEGUN,
            EventPhase.ENDED: NoticeKind.EVENT_ENDED,
        }
        found = [by_phase[phase]] if phase in by_phase else []
    return [*found, NoticeKind.EVENT_MET] if met else found


def _sentence(kind: NoticeKind, name: str, status: PowerDomainStatus) -> str:
    drawn = "unknown" if status.watts is None else f"{status.watts} W"
    return (
        f"power domain {name}: {kind.value}; level {status.level or 0} ({status.reason}), draws {drawn} of "
        f"{status.budget_watts} W, {status.capped_gpus} of {status.gpus} GPUs are capped"
    )


def _facts(name: str, status: PowerDomainStatus) -> dict[str, Any]:
    shown = {"level", "reason", "safe", "watts", "budget_watts", "headroom_watts", "gpus", "capped_gpus"}
    return {"domain": name} | status.model_dump(by_alias=True, exclude_none=True, include=shown)
