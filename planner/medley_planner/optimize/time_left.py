"""The time that a step may take of the one deadline: all that is left, less what the steps after it need.

No step has a part of the time. How far each goes is limited by its work (nodes of a program, passes, judged fleets), so
that equal input is planned alike on a busy machine. What is kept back for the steps after it is in seconds, and binds
only where hardly more than that is left. Apart: every step asks it.
"""

from __future__ import annotations

from collections.abc import Callable

SecondsLeft = Callable[[], float]


def keeping(seconds_left: SecondsLeft, seconds: float) -> SecondsLeft:
    """The time that is left, less `seconds` for what follows; half of it where there is less than twice as much."""
    kept = min(seconds, seconds_left() / 2)
    return lambda: seconds_left() - kept
