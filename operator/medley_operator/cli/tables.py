"""Simulated capacities for commands: those of the cache directory, and on demand those that it lacks.

Shares the directory with the operator and with `medley estimate`. Reads and writes it, starts processes where something
is to be simulated, and says on standard error how far that is.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from medley_planner.cli.arguments import directory_argument

if TYPE_CHECKING:
    from medley_operator.domain.values.candidates import Prepared
    from medley_operator.domain.values.snapshot import Snapshot
    from medley_planner.capacity import GridRatios, TableGroup, TableKey
    from medley_planner.capacity.cache import TableCache

    Outcome = tuple[TableKey, GridRatios | str]
    """A table, or why there is none."""
    Simulate = Callable[[Sequence[TableKey]], Iterable[Outcome]]


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """The parsed arguments carry `simulate` and `cache_dir`."""
    parser.add_argument(
        "--simulate",
        action="store_true",
        help="simulate missing capacity tables first (about 10 s each, once); without it, they come from the closed "
        "form",
    )
    parser.add_argument(
        "--cache-dir",
        type=directory_argument,
        metavar="DIR",
        help="directory for simulated capacity tables; default: the user's cache directory, which the operator uses "
        "too",
    )


def with_tables(
    snapshot: Snapshot, *, directory: Path | None, simulate: bool, make: Simulate | None = None
) -> Snapshot:
    """The snapshot with the tables that its services need: those that are stored and, with `simulate`, those that it
    makes.

    `directory` None: the default one. If it cannot be written, a message says so, and the tables are used all the same.
    """
    from medley_operator.domain.prepare import prepare
    from medley_operator.domain.values.memories import FleetMemory
    from medley_planner.capacity.cache import TableCache, default_directory

    if directory is not None and not simulate and not directory.is_dir():
        _say(
            f"{directory} is not a directory, so there are no simulated capacities; give another --cache-dir, or "
            "--simulate"
        )
    cache = TableCache(directory or default_directory(os.environ))
    wanted = prepare(snapshot, FleetMemory(), fleet_mode=None).missing_tables
    found = {key: table for key in wanted if (table := cache.get(key)) is not None}
    missing = [key for key in wanted if key not in found]
    if simulate and missing:
        found |= _made(missing, cache, make or simulate_all)
    known: dict[TableGroup, tuple[GridRatios, ...]] = {}
    for key in wanted:
        if key in found:
            known[key.group] = (*known.get(key.group, ()), found[key])
    return replace(snapshot, capacity_tables=known)


def _made(missing: Sequence[TableKey], cache: TableCache, make: Simulate) -> dict[TableKey, GridRatios]:
    made: dict[TableKey, GridRatios] = {}
    kept = True
    _say(f"simulating {len(missing)} tables of capacities")
    for number, (key, outcome) in enumerate(make(missing), start=1):
        what = f"simulated {number}/{len(missing)}: {key.words}, {key.token_budget} tokens a step"
        if isinstance(outcome, str):
            _say(f"{what}: failed ({outcome}); the closed form is used")
            continue
        _say(what)
        made[key] = outcome
        try:
            cache.put(outcome)
        except OSError as error:
            if kept:
                _say(f"cannot store tables ({error}); give another --cache-dir")
            kept = False
    return made


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def simulate_all(keys: Sequence[TableKey]) -> Iterator[Outcome]:
    """In processes, as many as there are cores, in the order in which they end."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from medley_planner.capacity.simulated import simulate_table

    workers = min(os.cpu_count() or 1, len(keys))
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn"))
    try:
        asked = {pool.submit(simulate_table, key): key for key in keys}
        for done in as_completed(asked):
            error = done.exception()
            if error is not None and not isinstance(error, ValueError):
                raise error
            yield asked[done], done.result() if error is None else str(error)
    finally:
        pool.shutdown(cancel_futures=True)


def basis_notes(prepared: Prepared) -> list[str]:
    """For each planned service, which of its variants' capacities are simulated and which are not."""
    from medley_planner.capacity import CapacityBasis

    notes: list[str] = []
    for candidate in prepared.services:
        names = {
            basis: [known.variant.name for known in candidate.variants if known.basis is basis]
            for basis in CapacityBasis
        }
        told = [f"{basis.value} {', '.join(found)}" for basis, found in names.items() if found]
        if told:
            notes.append(f"{candidate.key.problem_name}: capacities {'; '.join(told)}")
    return notes
