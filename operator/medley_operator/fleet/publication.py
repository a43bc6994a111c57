"""The state of one publication: what was written so far, and which writes are left to the next pass.

A pass may have hundreds of writes, and the API server is spared: at 20 a second they take half a minute. Where others
change a child meanwhile, no more are begun but the first few, so that all are made in the end. The pass that answers
comes within a second then, and what others changed goes out first in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum, auto

from medley_operator.domain.cluster.owner import Owner
from medley_operator.domain.values.decision import Apply
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, ObjectKey
from medley_operator.fleet.report_write_failures import WriteFailure

FEWEST = 4
"""Writes of a phase that are begun though others changed a child meanwhile."""
MOST_BRIEF = 1
"""Publications in a row that end with the phase in which they are cut short; the next one has a few of each phase."""
FEWEST_STATUSES = 10
"""Statuses that are written though something else happens meanwhile."""


class Phase(Enum):
    """Parts of a publication, one after another."""

    LOOK = auto()
    APPLY = auto()
    DELETE = auto()
    NOTE = auto()
    STATUS = auto()


def _nothing(*_: ObjectKey) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Events beside a publication. `hurries`: whether something happened since the look that a further pass is to
    answer. `disturbed`: whether others changed a child since then. `first`: children that others had changed before.
    `began` is called with each child that is about to be written."""

    hurries: Callable[[], bool] = _nothing
    disturbed: Callable[[], bool] = _nothing
    first: AbstractSet[ObjectKey] = frozenset()
    began: Callable[[ObjectKey], object] = _nothing


CALM = Meanwhile()
"""Nothing that counts."""


@dataclass(frozen=True, slots=True)
class Published:
    """The end of a publication: writes to try again, services of which a child was not written, and pods, by uid, of
    which a note was left to the next pass."""

    troubles: int = 0
    unwritten: frozenset[ServiceKey] = frozenset()
    unasked: frozenset[str] = frozenset()


@dataclass(slots=True)
class Round:
    """The state of one publication so far."""

    view: ActuatorView
    owners: dict[ServiceKey, Owner]
    meanwhile: Meanwhile
    gone: set[ServiceKey] = field(default_factory=set)
    unseen: set[ServiceKey] = field(default_factory=set)
    """Those that get a new object, and whether they are gone is left to the next pass to see."""
    failures: dict[ServiceKey, list[WriteFailure]] = field(default_factory=dict)
    unwritten: set[ServiceKey] = field(default_factory=set)
    """Those of which a child was not written, whatever the reason."""
    unasked: set[str] = field(default_factory=set)
    """Uids of pods of which a note was left to the next pass."""
    unreported: set[str] = field(default_factory=set)
    """Uids of objects whose status was not written."""
    troubles: int = 0
    """Writes to try again, those without a condition included."""
    brief: bool = True
    """Whether phases after one that is cut short are left out."""
    cut: bool = False
    """Whether a phase was cut short."""
    begun: Counter[Phase] = field(default_factory=Counter)

    def begins(self, phase: Phase, key: ObjectKey | None = None) -> bool:
        """Whether one more write of the phase is begun now, and counts it then."""
        if key not in self.meanwhile.first:
            few = self.begun[phase] < FEWEST and not (self.cut and self.brief)
            if not few and self.meanwhile.disturbed():
                self.cut |= phase is not Phase.LOOK
                return False
        self.begun[phase] += 1
        if key is not None:
            self.meanwhile.began(key)
        return True

    def urgency(self, apply: Apply) -> tuple[bool, bool]:
        """Sorts what others changed before the rest, and what changes nothing that runs behind it."""
        return key_of(apply.manifest) not in self.meanwhile.first, apply.calm

    def owner(self, service: ServiceKey) -> Owner:
        """The service as the look saw it; one that it did not see owns nothing."""
        return self.owners.get(service) or Owner(service.namespace, service.name, uid="")
