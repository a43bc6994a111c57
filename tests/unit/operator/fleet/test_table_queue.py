"""Namespaces get equal time for their tables, whatever they ask for, and whenever they come."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.fleet.table_queue import TableQueue
from medley_planner.capacity import TableKey
from tests.unit.planner.capacity.tables import TARGETS, key


def tables(count: int, *, since: int = 0) -> tuple[TableKey, ...]:
    """Tables of as many distinct targets."""
    steps = range(since, since + count)
    return tuple(key(targets=replace(TARGETS, tpot_seconds=0.02 + step / 10_000)) for step in steps)


class Simulation:
    """Simulates what is next, one after the other; each table takes ten seconds."""

    def __init__(self) -> None:
        self.queue = TableQueue()
        self.done: list[TableKey] = []

    def some(self, count: int) -> list[TableKey]:
        taken: list[TableKey] = []
        for _ in range(count):
            found = self.queue.next(lambda each: each not in self.done)
            if found is None:
                break
            self.queue.took(found, seconds=10.0)
            self.done.append(found)
            taken.append(found)
        return taken


GREEDY, MODEST, LATE = tables(100), tables(3, since=200), tables(100, since=400)


def test_a_tenant_with_a_hundred_targets_does_not_go_first() -> None:
    it = Simulation()
    it.queue.want({"a": GREEDY, "b": MODEST})
    assert [each in MODEST for each in it.some(8)] == [False, True, False, True, False, True, False, False]


def test_rounds_that_ask_anew_and_tables_that_are_handed_out_change_nothing() -> None:
    it = Simulation()
    taken: list[TableKey] = []
    for _ in range(6):
        left = tuple(each for each in GREEDY if each not in it.done)
        it.queue.want({"a": left, "b": tuple(each for each in MODEST if each not in it.done)})
        taken += it.some(1)
        it.queue.drop(frozenset(taken))
    assert [each in MODEST for each in taken] == [False, True, False, True, False, True]


def test_who_comes_late_neither_waits_nor_makes_up_for_it() -> None:
    it = Simulation()
    it.queue.want({"a": GREEDY})
    it.some(20)
    it.queue.want({"a": GREEDY, "b": LATE})
    assert sum(each in LATE for each in it.some(10)) == 5
    # Nor does it help to leave and to come back.
    it.queue.want({"a": GREEDY})
    it.queue.want({"a": GREEDY, "b": LATE})
    assert sum(each in LATE for each in it.some(10)) == 5


def test_a_table_that_several_want_is_made_once_and_paid_by_all() -> None:
    it = Simulation()
    it.queue.want({"a": GREEDY, "b": (GREEDY[0], *MODEST)})
    assert it.some(3) == [GREEDY[0], GREEDY[1], MODEST[0]]
    assert it.queue.keys[0] == GREEDY[0]
    assert len(set(it.queue.keys)) == len(it.queue.keys) == 103


def test_nothing_due_is_nothing_to_do() -> None:
    queue = TableQueue()
    assert queue.next(lambda _: True) is None
    queue.want({"a": (), "b": MODEST})
    assert queue.next(lambda _: False) is None
    queue.drop(frozenset(MODEST))
    assert queue.next(lambda _: True) is None
