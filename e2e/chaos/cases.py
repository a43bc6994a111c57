"""All faults, as a table."""

from __future__ import annotations

from e2e.chaos.faults import Effect, Fault
from e2e.chaos.run import Case

CASES = (
    Case("nothing"),
    Case("kill after write 2 of grow", faults=lambda: [Fault(Effect.KILL_AFTER, writes=True, nth=2)]),
)
