"""Watches the registers of all boards, so that what was in force between two looks of a case is known too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise

from e2e.repeated import repeated

SAMPLE_SECONDS = 0.1
ONE_CHANGE_SECONDS = 1.0
"""The limit and the clock of a GPU are two writes of one change."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a board is held to: its limit in watts, and its clock in MHz (the highest where it is not locked)."""

    watts: int
    mhz: int

    def within(self, other: Held) -> bool:
        return self.watts <= other.watts and self.mhz <= other.mhz


@dataclass
class RegisterWatch:
    """`look` gives what each GPU is held to now, by UUID."""

    look: Callable[[], Mapping[str, Held]]
    changes: dict[str, list[tuple[float, Held]]] = field(default_factory=dict)
    """(Unix time, what it is held to since then), by UUID."""

    def running(self) -> AbstractContextManager[None]:
        return repeated(lambda: self.see(self.look(), time.time()), every_seconds=SAMPLE_SECONDS)

    def see(self, held: Mapping[str, Held], at: float) -> None:
        for uuid, now in held.items():
            known = self.changes.setdefault(uuid, [])
            if not known or known[-1][1] != now:
                known.append((at, now))

    def raised(self, since: float) -> list[str]:
        """Each time that a GPU was let draw more since then."""
        return [
            f"{uuid}: {before} to {after} at {at:.1f}"
            for uuid, changes in self.changes.items()
            for (_, before), (at, after) in pairwise(changes)
            if at >= since and not after.within(before)
        ]

    def hasty(self, apart_seconds: float) -> list[str]:
        """Two changes of one GPU that are nearer than that."""
        found = []
        for uuid, changes in self.changes.items():
            times = [at for at, _ in changes[1:]]
            begun = [at for i, at in enumerate(times) if i == 0 or at - times[i - 1] > ONE_CHANGE_SECONDS]
            found += [
                f"{uuid}: changed at {one:.1f} and {two:.1f}"
                for one, two in pairwise(begun)
                if two - one < apart_seconds - ONE_CHANGE_SECONDS
            ]
        return found
