"""Whose capacity table is simulated next: that of the namespace that has had the least time so far.

A table takes some ten seconds of one core, and each distinct target or config.json asks for tables of its own: in one
queue, the tenant that comes first by name and asks for most would have all others wait. Pure; the seconds are given.

Apart: what is fair is tested without a process, a directory or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from medley_planner.capacity import TableKey

Wishes = Mapping[str, tuple[TableKey, ...]]
"""Missing tables by the namespace whose services miss them, each namespace's in its order."""


class TableQueue:
    """`spent` are seconds by namespace. One that comes anew starts with the least that another has had, so that it
    neither waits for its turn nor makes up for the time that it did not ask."""

    def __init__(self) -> None:
        self._wishes: Wishes = MappingProxyType({})
        self._spent: dict[str, float] = {}

    def want(self, wishes: Wishes) -> None:
        """Earlier wishes that are not in `wishes` are dropped."""
        active = {namespace: keys for namespace, keys in wishes.items() if keys}
        staying = [self._spent[namespace] for namespace in active if namespace in self._spent]
        least = min(staying, default=0.0)
        self._spent = {namespace: max(self._spent.get(namespace, least), least) for namespace in active}
        self._wishes = active

    @property
    def keys(self) -> tuple[TableKey, ...]:
        """All that is wanted, each once."""
        return tuple(dict.fromkeys(key for keys in self._wishes.values() for key in keys))

    def next(self, is_due: Callable[[TableKey], bool]) -> TableKey | None:
        """The first that is due of the namespace with the least time; None where nothing is due."""
        for namespace in sorted(self._wishes, key=lambda namespace: (self._spent[namespace], namespace)):
            found = next((key for key in self._wishes[namespace] if is_due(key)), None)
            if found is not None:
                return found
        return None

    def took(self, key: TableKey, *, seconds: float) -> None:
        """The time is charged to all who want the table, in equal parts."""
        sharing = [namespace for namespace, keys in self._wishes.items() if key in keys]
        for namespace in sharing:
            self._spent[namespace] += seconds / len(sharing)

    def drop(self, keys: frozenset[TableKey]) -> None:
        """They are wanted no longer, because they were handed out."""
        self._wishes = {
            namespace: tuple(key for key in wanted if key not in keys) for namespace, wanted in self._wishes.items()
        }
