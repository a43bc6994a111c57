"""Input that cannot be replayed, by any policy or by one.

Apart: policies and the command raise it, and neither imports the other for it.
"""

from __future__ import annotations

from medley_planner.bad_input import BadInput


class BadReplay(BadInput):
    """Objects, loads or settings that make no world; `where` is the object."""


class LeftOut(Exception):
    """One policy cannot be replayed on this input; the others can. `why` says what it lacks."""

    def __init__(self, policy: str, why: str) -> None:
        super().__init__(f"{policy}: {why}")
        self.policy = policy
        self.why = why
