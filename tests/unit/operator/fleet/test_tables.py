"""What rounds miss is filled in: from disk at once, else one by one, and handed out by whole groups."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from medley_operator.fleet import tables as module
from medley_operator.fleet.tables import CapacityTables, NoTable, simulate_apart
from medley_planner.capacity import GridRatios, TableKey
from medley_planner.capacity.cache import TableCache
from medley_planner.capacity.simulated import simulate_table
from tests.unit.planner.capacity.tables import TARGETS, key

FAST, OTHER = key(), key("L40S")
STRICT = key(targets=replace(TARGETS, tpot_seconds=0.04))


def made(of: TableKey) -> GridRatios:
    return GridRatios(of, (1.0,) * 60, (2.0,) * 60)


@dataclass
class Simulator:
    """Gives a table on request, or says why not."""

    asked: list[TableKey] = field(default_factory=list)
    refuse: set[TableKey] = field(default_factory=set)

    async def __call__(self, wanted: TableKey) -> GridRatios:
        self.asked.append(wanted)
        await asyncio.sleep(0)
        if wanted in self.refuse:
            raise NoTable("sliding windows")
        return made(wanted)


@dataclass
class Filler:
    tables: CapacityTables
    simulator: Simulator
    changes: list[int]
    clock: list[float]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5.0):
            while not holds():  # noqa: ASYNC110 - no event shows what is waited for
                await asyncio.sleep(0.001)

    async def want(self, missing: tuple[TableKey, ...], *, used: tuple[TableKey, ...] = ()) -> bool:
        return await self.tables.want({"demo": missing}, {each.group for each in used})

    def keys(self) -> set[TableKey]:
        return {table.key for group in self.tables.known.values() for table in group}


def filler(directory: Path, *, refuse: set[TableKey] | None = None) -> Filler:
    simulator, changes, clock = Simulator(refuse=refuse or set()), [], [0.0]
    tables = CapacityTables(
        TableCache(directory), changed=lambda: changes.append(1), simulate=simulator, clock=lambda: clock[0]
    )
    return Filler(tables, simulator, changes, clock)


async def test_a_group_is_handed_out_whole_with_one_change(tmp_path: Path) -> None:
    it = filler(tmp_path)
    assert not await it.want((FAST, STRICT, OTHER))
    assert it.tables.known == {}
    it.tables.start()
    await it.until(lambda: len(it.changes) == 2)
    await it.tables.close()
    assert it.simulator.asked == [FAST, STRICT, OTHER]
    assert [len(group) for group in it.tables.known.values()] == [1, 2]
    assert it.keys() == {FAST, OTHER, STRICT}


async def test_what_is_on_disk_is_known_in_the_same_round(tmp_path: Path) -> None:
    for wanted in (FAST, OTHER):
        TableCache(tmp_path).put(made(wanted))
    it = filler(tmp_path)
    assert await it.want((FAST, OTHER))
    assert it.keys() == {FAST, OTHER}
    assert (it.simulator.asked, it.changes) == ([], [])
    assert not await it.want(())


async def test_what_was_simulated_is_on_disk_for_the_next_operator(tmp_path: Path) -> None:
    it = filler(tmp_path)
    await it.want((FAST,))
    it.tables.start()
    await it.until(lambda: bool(it.changes))
    await it.tables.close()
    assert await filler(tmp_path).want((FAST,))


async def test_what_cannot_be_simulated_holds_nothing_up_and_is_not_tried_again(tmp_path: Path) -> None:
    it = filler(tmp_path, refuse={FAST})
    await it.want((FAST, OTHER))
    it.tables.start()
    await it.until(lambda: bool(it.changes))
    assert it.keys() == {OTHER}
    for _ in range(3):
        assert not await it.want((FAST,))
        await asyncio.sleep(0.01)
    await it.tables.close()
    assert it.simulator.asked == [FAST, OTHER]


async def test_a_variant_that_comes_later_joins_its_group(tmp_path: Path) -> None:
    it = filler(tmp_path)
    it.tables.start()
    await it.want((FAST,))
    await it.until(lambda: it.keys() == {FAST})
    await it.want((OTHER,))
    await it.until(lambda: it.keys() == {FAST, OTHER})
    await it.tables.close()


async def test_what_came_in_during_a_round_is_not_simulated_again(tmp_path: Path) -> None:
    it = filler(tmp_path)
    it.tables.start()
    await it.want((FAST,))
    await it.until(lambda: it.keys() == {FAST})
    await it.want((FAST,))  # of a round that began before
    await asyncio.sleep(0.01)
    await it.tables.close()
    assert it.simulator.asked == [FAST]
    assert len(it.changes) == 1


async def test_what_is_no_longer_wanted_is_dropped(tmp_path: Path) -> None:
    it = filler(tmp_path)
    await it.want((FAST, OTHER))
    await it.want((STRICT,))
    it.tables.start()
    await it.until(lambda: bool(it.changes))
    await it.tables.close()
    assert it.simulator.asked == [STRICT]


async def test_a_directory_that_cannot_be_written_only_costs_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    it = filler(tmp_path / "file")
    await it.want((FAST, OTHER))
    it.tables.start()
    await it.until(lambda: bool(it.changes))
    await it.tables.close()
    assert it.keys() == {FAST, OTHER}


async def test_of_one_way_to_run_only_the_last_tables_are_kept(tmp_path: Path) -> None:
    it = filler(tmp_path)
    drifting = [replace(FAST, kv_tokens=FAST.kv_tokens - 16 * step) for step in range(module.MOST_PER_FAMILY + 3)]
    for wanted in (OTHER, *drifting):
        TableCache(tmp_path).put(made(wanted))
        assert await it.want((wanted,))
    assert it.keys() == {OTHER, *drifting[3:]}


async def test_a_group_that_nobody_used_for_an_hour_is_forgotten_and_read_again_from_disk(tmp_path: Path) -> None:
    for wanted in (FAST, STRICT):
        TableCache(tmp_path).put(made(wanted))
    it = filler(tmp_path)
    assert await it.want((FAST, STRICT))
    for _ in range(3):
        it.clock[0] += module.UNUSED_SECONDS / 2
        assert not await it.want((), used=(FAST,))
    assert it.keys() == {FAST}
    assert await it.want((STRICT,), used=(FAST,))
    assert it.keys() == {FAST, STRICT}
    assert it.simulator.asked == []


async def test_the_tables_of_a_tenant_with_many_targets_let_those_of_another_pass(tmp_path: Path) -> None:
    many = tuple(key(targets=replace(TARGETS, tpot_seconds=0.02 + step / 1000)) for step in range(12))
    it = filler(tmp_path)
    await it.tables.want({"a-greedy": many, "z-modest": (OTHER,)})
    it.tables.start()
    await it.until(lambda: OTHER in it.simulator.asked)
    await it.tables.close()
    assert it.simulator.asked.index(OTHER) == 1


async def test_the_real_process_answers_at_the_lowest_priority_and_refuses_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So short a model leaves one cell. A token budget below the sequences is what no engine starts with."""
    tiny = replace(FAST, group=replace(FAST.group, max_model_len=64))
    found = await simulate_apart(tiny)
    here = simulate_table(tiny)
    assert (found.simulated_rps, found.closed_form_rps) == (here.simulated_rps, here.closed_form_rps)
    assert sum(rate > 0 for rate in found.simulated_rps) == 1

    small = replace(FAST, token_budget=128)
    with pytest.raises(NoTable, match="at least as many tokens per step as sequences"):
        await simulate_apart(small)

    running = asyncio.create_task(simulate_apart(FAST))
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")

    def niceness() -> list[int]:
        found = children.read_text().split()
        return [os.getpriority(os.PRIO_PROCESS, int(pid)) for pid in found]

    async with asyncio.timeout(30.0):
        while 19 not in niceness():  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    assert 19 not in niceness(), "the child outlived its task"
