"""CPU time of a piece of work, with that of the child processes it started and waited for."""

from __future__ import annotations

import resource


class CpuClock:
    """Runs from its making. Other machines and other load change wall time more than CPU time."""

    def __init__(self) -> None:
        self._own = _user_and_system(resource.RUSAGE_SELF)
        self._children = _user_and_system(resource.RUSAGE_CHILDREN)

    def seconds(self) -> float:
        return _user_and_system(resource.RUSAGE_SELF) - self._own + self.child_seconds()

    def child_seconds(self) -> float:
        return _user_and_system(resource.RUSAGE_CHILDREN) - self._children


def _user_and_system(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
