"""The values of a pass of the actuator: what becomes of each service, and what it remembers.

Apart: `domain.act` decides with them, and they are its memory from one pass to the next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from medley_operator.domain.rollout.step_memory import ServiceSteps, Shrink
from medley_operator.domain.rollout.turns import ServiceTurn
from medley_operator.domain.rollout.unchanged import Part
from medley_operator.domain.rollout.writes import ChildWrites
from medley_operator.domain.values.decision import EventNote, StatusWrite
from medley_operator.domain.values.gauges import GaugeSample
from medley_operator.domain.values.service_key import ServiceKey


@dataclass(frozen=True, slots=True)
class Done:
    """One service's part of the pass. `status` None: it says so already."""

    writes: ChildWrites
    status: StatusWrite | None
    events: tuple[EventNote, ...]
    gauges: tuple[GaugeSample, ...]
    step: Shrink | None

    @property
    def quiet(self) -> bool:
        """Whether no child is written, and nothing waits for a time or for another service. What is reported counts
        for nothing: while it is not written, the next pass reports the same."""
        writes = self.writes
        written = bool(writes.applies or writes.deletes)
        # A name or a turn that another service has; a write that another's object may still keep from its name; a field
        # of which a later look says whether others leave it alone.
        held = bool(writes.conflicts or writes.waiting_templates or writes.waits or not writes.drift.is_settled)
        step = self.step
        # Labels of pods are asked for again where they do not show after a time.
        waits = step is not None and (step.wait_seconds is not None or bool(step.notes or step.steps.ranged))
        return not (written or held or waits)


@dataclass(frozen=True, slots=True)
class Steps:
    """The memory between passes, by service. Losing it costs some seconds of delay."""

    services: Mapping[ServiceKey, ServiceSteps] = field(default_factory=dict)
    released: Mapping[str, float] = field(default_factory=dict)
    """When a pod was asked to give its start-up protection up, by uid."""
    parts: Mapping[ServiceKey, Part[ServiceTurn, Done]] = field(default_factory=dict)
    """Those of the last pass; losing them costs time alone."""

    def but_for(
        self, unwritten: Collection[ServiceKey], before: Steps, unasked: AbstractSet[str] = frozenset()
    ) -> Steps:
        """These, but for services of which a write was not made: what was not written was neither taken back by others
        nor a step. How long a surplus has been one counts all the same. `unasked`: pods, by uid, that were not asked
        for what a note on them was to ask."""
        kept = {
            key: replace(
                before.services.get(key, ServiceSteps()), surplus=self.services.get(key, ServiceSteps()).surplus
            )
            for key in unwritten
        }
        services = {**self.services, **kept}
        if unasked:
            released = {uid: at for uid, at in self.released.items() if uid not in unasked}
            services = {key: each.but_for(unasked) for key, each in services.items()}
            return replace(self, services=services, released=released)
        return replace(self, services=services) if kept else self
