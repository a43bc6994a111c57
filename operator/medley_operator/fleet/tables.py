"""Simulated capacities beside the fleet loop: knows those that exist, and fills in what rounds miss, one at a time.

A round never waits for a simulation. What it misses is read from the cache directory at once, else simulated in a child
process of lowest priority. The tables of services that compare the same variants are handed out together: a plan that
knew some of its variants by simulation and others by formula would move with each table that comes, and this way it
moves once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import cast

from medley_operator.fleet.table_queue import TableQueue, Wishes
from medley_operator.fleet.worker_process import HEADER
from medley_planner.capacity import GridRatios, TableGroup, TableKey
from medley_planner.capacity.cache import TableCache

SECONDS_PER_TABLE = 900.0
"""A hundred times what one takes: beyond it the process hangs, or gets next to no processor time."""
UNUSED_SECONDS = 3600.0
"""A group of tables that no service was planned with for so long is forgotten; the directory keeps it."""
MOST_PER_FAMILY = 8
"""Most tables of one layout that are kept, for speeds that calibration found one after the other."""

log = logging.getLogger(__name__)


class NoTable(Exception):
    """No table came of it; the message says why."""


Simulate = Callable[[TableKey], Awaitable[GridRatios]]


class CapacityTables:
    """Call `start`, then `want` once each round, then `close`. `changed` is called when tables came in between
    rounds."""

    def __init__(
        self,
        cache: TableCache,
        *,
        changed: Callable[[], None],
        simulate: Simulate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._changed = changed
        self._simulate = simulate or simulate_apart
        self._known: Mapping[TableGroup, tuple[GridRatios, ...]] = MappingProxyType({})
        self._have: frozenset[TableKey] = frozenset()
        self._used_at: dict[TableGroup, float] = {}
        self._queue = TableQueue()
        # States of wanted tables: looked for on disk, there but not handed out yet, failed.
        self._looked: set[TableKey] = set()
        self._ready: dict[TableKey, GridRatios] = {}
        self._failed: set[TableKey] = set()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._can_write = True

    @property
    def known(self) -> Mapping[TableGroup, tuple[GridRatios, ...]]:
        return self._known

    async def want(self, missing: Wishes, used: Collection[TableGroup] = ()) -> bool:
        """Takes note of what a round missed; what was noted before and is not in it is dropped. True where some of it
        is known now. `used` are the groups that services of the round are planned with."""
        # What came in while the round was being prepared is not missing any more.
        self._queue.want(
            {namespace: tuple(key for key in keys if key not in self._have) for namespace, keys in missing.items()}
        )
        wanted = set(self._queue.keys)
        self._looked &= wanted
        self._failed &= wanted
        self._ready = {key: table for key, table in self._ready.items() if key in wanted}
        self._forget({*used, *(key.group for key in wanted)})
        unseen = [key for key in self._queue.keys if key not in self._looked]
        if unseen:
            for table in await asyncio.to_thread(self._read, unseen):
                self._ready[table.key] = table
            self._looked.update(unseen)
        came = self._hand_out()
        self._work.set()
        return came

    def _forget(self, used: Collection[TableGroup]) -> None:
        """Drops the groups that no service was planned with for long; they are read from disk again when one is."""
        now = self._clock()
        self._used_at |= dict.fromkeys(used, now)
        old = frozenset(group for group in self._known if now - self._used_at.setdefault(group, now) > UNUSED_SECONDS)
        self._used_at = {
            group: at for group, at in self._used_at.items() if group not in old and now - at <= UNUSED_SECONDS
        }
        if old:
            self._now_known({group: tables for group, tables in self._known.items() if group not in old})

    def _now_known(self, known: Mapping[TableGroup, tuple[GridRatios, ...]]) -> None:
        self._known = MappingProxyType(dict(known))
        self._have = frozenset(table.key for tables in known.values() for table in tables)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._fill(), name="capacity tables")

    async def close(self) -> None:
        """Ends the child process if there is one."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _read(self, keys: Iterable[TableKey]) -> list[GridRatios]:
        return [table for key in keys if (table := self._cache.get(key)) is not None]

    async def _fill(self) -> None:
        while True:
            key = self._queue.next(self._is_due)
            if key is None:
                self._work.clear()
                await self._work.wait()
                continue
            started = time.monotonic()
            await self._fill_one(key)
            self._queue.took(key, seconds=time.monotonic() - started)
            if self._hand_out():
                self._changed()

    def _is_due(self, key: TableKey) -> bool:
        """Not on disk, as far as that was looked at."""
        return key in self._looked and key not in self._ready and key not in self._failed

    async def _fill_one(self, key: TableKey) -> None:
        facts = {
            "model": key.group.shape.name,
            **key.layout.facts,
            "token_budget": key.token_budget,
        }
        started = time.monotonic()
        try:
            table = await self._simulate(key)
        except NoTable as error:
            self._failed.add(key)
            log.warning(
                "capacity not simulated; plans keep using the closed form", extra={**facts, "error": str(error)}
            )
            return
        self._ready[key] = table
        await self._keep(table)
        log.info("capacity simulated", extra={**facts, "seconds": round(time.monotonic() - started, 1)})

    async def _keep(self, table: GridRatios) -> None:
        try:
            await asyncio.to_thread(self._cache.put, table)
            self._can_write = True
        except OSError as error:
            if self._can_write:
                said = f"{error}; set --capacity-cache-dir to a directory that can be written"
                log.warning("capacity tables are not kept across restarts", extra={"error": said})
            self._can_write = False

    def _hand_out(self) -> bool:
        """Make known the tables of each group of which nothing more is to come."""
        by_group: dict[TableGroup, list[TableKey]] = {}
        for key in self._queue.keys:
            by_group.setdefault(key.group, []).append(key)
        known = dict(self._known)
        handed: set[TableKey] = set()
        for group, keys in by_group.items():
            ready = [key for key in keys if key in self._ready]
            if ready and all(key in self._ready or key in self._failed for key in keys):
                tables = [*known.get(group, ()), *(self._ready.pop(key) for key in ready)]
                known[group] = _latest(tables)
                handed.update(ready)
        if handed:
            self._now_known(known)
            self._queue.drop(frozenset(handed))
        return bool(handed)


def _latest(tables: list[GridRatios]) -> tuple[GridRatios, ...]:
    """Drops those of a layout that has more than it may; the oldest go."""
    seen: dict[TableKey, int] = {}
    kept: list[GridRatios] = []
    for table in reversed(tables):
        family = table.key.family
        seen[family] = seen.get(family, 0) + 1
        if seen[family] <= MOST_PER_FAMILY:
            kept.append(table)
    return tuple(reversed(kept))


async def simulate_apart(key: TableKey) -> GridRatios:
    """The table, simulated in a separate process. Raises `NoTable`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "medley_operator.fleet.table_process", str(os.getpid()), stdin=PIPE, stdout=PIPE
    )
    message = pickle.dumps((key,))
    try:
        async with asyncio.timeout(SECONDS_PER_TABLE):
            answer, _ = await process.communicate(HEADER.pack(len(message)) + message)
            status = process.returncode
    except TimeoutError:
        raise NoTable(f"the simulation returned no table within {SECONDS_PER_TABLE:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # Shielded, so that an operator that stops leaves no zombie.
            await asyncio.shield(process.wait())
    if len(answer) < HEADER.size:
        raise NoTable(f"the simulation ended with exit status {status}; the operator's log has its last output")
    outcome: object = pickle.loads(answer[HEADER.size :])  # noqa: S301 - from our own child
    if isinstance(outcome, str):
        raise NoTable(outcome)
    simulated, closed = cast(tuple[tuple[float, ...], tuple[float, ...]], outcome)
    return GridRatios(key=key, simulated_rps=simulated, closed_form_rps=closed)
