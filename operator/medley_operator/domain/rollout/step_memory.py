"""The memory of one service's steps between passes. Values only; losing them delays a step by some seconds.

Times are those of the operator's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.snapshot import FieldKey, TakenBack


@dataclass(frozen=True, slots=True)
class Marking:
    """Pods of a variant, by uid, that were asked to go first, and since when a step waits to see it."""

    since: float
    asked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Moving:
    """Since when replicas stand on nodes that are going, and which of them, by uid, did when the last move began."""

    since: float | None = None
    tried: frozenset[str] = frozenset()
    tried_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Surplus:
    """A variant that may shrink: the replicas that its Deployment asks for, and since when it has not shrunk."""

    replicas: int
    since: float


@dataclass(frozen=True, slots=True)
class ServiceSteps:
    """Since when the route has the weights that it has, when Ready replicas of each variant last went, which fields
    others take back, which pods were asked to go first, what is moved off nodes that are going, and what may shrink."""

    weights: Mapping[str, int] | None = None
    weights_since: float = 0.0
    shrunk_at: Mapping[str, float] = field(default_factory=dict)
    taken_back: Mapping[FieldKey, TakenBack] = field(default_factory=dict)
    ranged: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """The prompt range that a pod was given, and when, by uid."""
    marking: Mapping[str, Marking] = field(default_factory=dict)
    moving: Moving = field(default_factory=Moving)
    surplus: Mapping[str, Surplus] = field(default_factory=dict)

    def but_for(self, unasked: AbstractSet[str]) -> ServiceSteps:
        """These, where the pods of these uids were asked for nothing."""
        ranged = {uid: given for uid, given in self.ranged.items() if uid not in unasked}
        marking = {name: replace(each, asked=each.asked - unasked) for name, each in self.marking.items()}
        return replace(self, ranged=ranged, marking=marking)

    def seen(self, weights: Mapping[str, int] | None, *, at_seconds: float) -> ServiceSteps:
        """With a look at the accepted weights of the route; None where there are none or they are not accepted."""
        if weights == self.weights:
            return self
        return replace(self, weights=weights, weights_since=at_seconds)


@dataclass(frozen=True, slots=True)
class Shrink:
    """Replicas to have now by variant, and after how many seconds more may go (None: nothing waits for time).

    `notes`: what is written on pods: on those that are to go first, which a part of the step waits to see, and the
    range of prompts that each takes.
    """

    replicas: dict[str, int]
    wait_seconds: float | None
    steps: ServiceSteps
    notes: tuple[PodNote, ...] = ()

    def sooner(self, wait_seconds: float | None) -> float | None:
        """The shorter of two waits."""
        waits = [each for each in (self.wait_seconds, wait_seconds) if each is not None]
        return min(waits, default=None)
