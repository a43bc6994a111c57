"""Which object may be written now: what failed waits, what hangs does not hold up the rest, and a round has an end.

An admission webhook that does not answer takes 10 to 20 s of each write. Without bounds, a round of hundreds of such
writes takes an hour, and no status says why. No I/O; the clock is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.fleet.backoff import delay_seconds
from medley_operator.fleet.report_write_failures import WriteFailure
from medley_operator.kube.errors import KubeError, Throttled, Unavailable

PHASE_SECONDS = 60.0
"""Children have this long in a round, and then statuses and Events; what is not begun by then is the next round's."""
MOST_UNANSWERED = 3
"""So many writes of one kind in one namespace without an answer, and the others of it wait for the next round."""

OWED_SHARE = 0.5
"""Statuses have this part of the time that children took, whatever happens meanwhile."""


@dataclass(slots=True)
class _Trouble:
    failure: WriteFailure
    failures: int
    due_at: float


@dataclass(slots=True)
class WriteBackoff:
    """Kept from round to round; `clock` is monotonic. Losing it costs one more try of each failing child."""

    clock: Callable[[], float]
    cuts: int = field(default=0, init=False)
    """Rounds in a row that were cut short because something had to be written before the rest."""
    _troubles: dict[ObjectKey, _Trouble] = field(default_factory=dict, init=False)
    _unanswered: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)
    _began_at: float = field(default=0.0, init=False)
    _owed_until: float = field(default=0.0, init=False)
    _ends_at: float = field(default=0.0, init=False)

    def begin_round(self, wanted: Iterable[ObjectKey]) -> None:
        """A round begins that may write these; what nobody wants any more is forgotten."""
        keys = set(wanted)
        self._troubles = {key: trouble for key, trouble in self._troubles.items() if key in keys}
        self._unanswered.clear()
        self._began_at = self.clock()
        self.begin_phase()

    def begin_phase(self) -> None:
        """Children, or statuses and Events, have their time from now on."""
        now = self.clock()
        self._owed_until = now + OWED_SHARE * (now - self._began_at)
        self._began_at, self._ends_at = now, now + PHASE_SECONDS

    @property
    def owed(self) -> bool:
        """Whether the phase has not had its part of the time yet: writes that hang make events themselves, and no pass
        would have time for statuses."""
        return self.clock() < self._owed_until

    @property
    def over(self) -> bool:
        """Whether the time of the phase is up."""
        return self.clock() >= self._ends_at

    def failures(self, key: ObjectKey) -> int:
        """How often in a row it could not be written. What never failed goes first: what hangs round after round
        then takes its time from itself alone."""
        trouble = self._troubles.get(key)
        return 0 if trouble is None else trouble.failures

    def may_write(self, key: ObjectKey) -> bool:
        if self.over or self._unanswered[key.kind, key.namespace] >= MOST_UNANSWERED:
            return False
        trouble = self._troubles.get(key)
        return trouble is None or self.clock() >= trouble.due_at

    def last_failure(self, key: ObjectKey) -> WriteFailure | None:
        """Why it could not be written the last time, which stays true while it waits."""
        trouble = self._troubles.get(key)
        return None if trouble is None else trouble.failure

    def failed(self, failure: WriteFailure, error: KubeError) -> None:
        key = failure.key
        failures = self.failures(key) + 1
        self._troubles[key] = _Trouble(failure, failures, self.clock() + delay_seconds(failures))
        if isinstance(error, Unavailable | Throttled):
            self._unanswered[key.kind, key.namespace] += 1

    def succeeded(self, key: ObjectKey) -> None:
        self._troubles.pop(key, None)
