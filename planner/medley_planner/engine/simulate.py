"""Runs a trace through a fleet: the router in front, the replicas behind, the latencies of every request. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace

import numpy as np

from medley_planner.engine.log import Log
from medley_planner.engine.outcome import ReplicaUsage, SimulationResult
from medley_planner.engine.replica import COMMIT, Replica, replica
from medley_planner.engine.routing import Balance, Routing, SimulatedFleet, pool_of_request, pools, replica_of_request
from medley_planner.engine.step_table import StepTable
from medley_planner.engine.trace import FittedSizes, Ints, Trace

_TOLD_EVERY = 1000


def simulate(
    trace: Trace,
    fleet: SimulatedFleet,
    routing: Routing,
    *,
    seed: int,
    tables: Sequence[StepTable] | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimulationResult:
    """Serves all of `trace` to its end. `seed` draws what the routing leaves to chance. Prompts and generations that
    exceed a group's max_model_len are cut to it.

    `tables`: one step table per group, for callers that simulate the same engines often; made here if not given.
    `progress` gets now and then the number of further requests that were handed to replicas. Raises ValueError where
    routing and fleet do not fit together.
    """
    if tables is None:
        tables = tables_of(fleet)
    fitted = [FittedSizes.of(trace, group.spec) for group in fleet.groups]
    log = Log.empty(trace.arrival_seconds.tolist(), replicas=fleet.replicas)
    group_of_replica = fleet.group_of_replica()
    engines = [
        replica(number, fleet.groups[group].spec, tables[group], fitted[group], log)
        for number, group in enumerate(group_of_replica)
    ]
    replica_of = np.empty(len(trace), dtype=np.int64)
    rng = np.random.default_rng(seed)
    candidates = pools(fleet, routing)
    pool_of = pool_of_request(trace, routing, rng)
    for index, members in enumerate(candidates):
        requests = np.flatnonzero(pool_of == index)
        if not requests.size:
            continue
        if routing.balance is Balance.LEAST_LOADED and len(members) > 1:
            chosen = _serve_least_loaded(_told(requests.tolist(), progress), log, members, engines)
            replica_of[requests] = chosen
            continue
        member_of = replica_of_request(len(members), requests.size, routing.balance, rng)
        replica_of[requests] = np.asarray(members)[member_of]
        for member, number in enumerate(members):
            _serve(_told(requests[member_of == member].tolist(), progress), log.arrivals, engines[number])
    for engine in engines:
        engine.close()
    return _outcome(trace, fleet, log, fitted, replica_of)


def tables_of(fleet: SimulatedFleet) -> list[StepTable]:
    """The step tables of the fleet's groups, equal ones shared."""
    made: dict[tuple[int, int, int], StepTable] = {}
    for group in fleet.groups:
        spec = group.spec
        key = (id(spec.step), spec.token_budget, spec.max_sequences)
        if key not in made:
            made[key] = StepTable.of(spec.step, token_budget=spec.token_budget, max_sequences=spec.max_sequences)
    return [made[id(g.spec.step), g.spec.token_budget, g.spec.max_sequences] for g in fleet.groups]


def _told(requests: list[int], progress: Callable[[int], None] | None) -> Iterable[int]:
    return requests if progress is None else _counted(requests, progress)


def _counted(requests: list[int], progress: Callable[[int], None]) -> Iterator[int]:
    for start in range(0, len(requests), _TOLD_EVERY):
        part = requests[start : start + _TOLD_EVERY]
        yield from part
        progress(len(part))


def _serve(requests: Iterable[int], arrivals: list[float], engine: Replica) -> None:
    """One replica whose requests are known beforehand."""
    send = engine.send
    end = next(engine)
    for request in requests:
        arrival = arrivals[request]
        while end < arrival:
            end = send(COMMIT)
        end = send(request)
    while end < math.inf:
        end = send(COMMIT)


def _serve_least_loaded(
    requests: Iterable[int], log: Log, members: tuple[int, ...], engines: Sequence[Replica]
) -> list[int]:
    """Several replicas side by side; returns the replica of each request."""
    arrivals = log.arrivals
    sends: list[Callable[[int], float]] = [engines[number].send for number in members]
    ends = [next(engines[number]) for number in members]
    # Ends of what replicas do, with stale entries where an arrival cut a run short.
    calendar: list[tuple[float, int]] = []
    unfinished = log.unfinished
    # Replicas take off their own finished requests, under their numbers; members of a pool are numbered in a row.
    start, stop = members[0], members[-1] + 1
    turn = 0
    chosen = []

    def commit_before(time: float) -> None:
        while calendar and calendar[0][0] < time:
            end, member = calendar[0]
            if ends[member] != end:
                heappop(calendar)
                continue
            ends[member] = end = sends[member](COMMIT)
            if end < math.inf:
                heapreplace(calendar, (end, member))
            else:
                heappop(calendar)

    for request in requests:
        commit_before(arrivals[request])
        load = unfinished[start:stop]
        fewest = min(load)
        try:
            member = load.index(fewest, turn)
        except ValueError:
            member = load.index(fewest)
        turn = member + 1
        unfinished[start + member] += 1
        chosen.append(start + member)
        end = sends[member](request)
        if end != ends[member]:
            ends[member] = end
            heappush(calendar, (end, member))
    commit_before(math.inf)
    return chosen


def _outcome(
    trace: Trace, fleet: SimulatedFleet, log: Log, fitted: Sequence[FittedSizes], replica_of: Ints
) -> SimulationResult:
    group_of = np.asarray(fleet.group_of_replica(), dtype=np.int64)
    group = group_of[replica_of]
    first, last = np.asarray(log.first_token), np.asarray(log.last_token)
    generations = np.empty(len(trace), dtype=np.int64)
    for index, sizes in enumerate(fitted):
        mine = group == index
        generations[mine] = np.asarray(sizes.generation, dtype=np.int64)[mine]
    tpot = np.full(len(trace), math.nan)
    several = generations > 1
    tpot[several] = (last - first)[several] / (generations - 1)[several]
    requests = np.bincount(replica_of, minlength=fleet.replicas).tolist()
    return SimulationResult(
        trace=trace,
        ttft_seconds=first - trace.arrival_seconds,
        tpot_seconds=tpot,
        e2e_seconds=last - trace.arrival_seconds,
        replica=replica_of,
        group=group,
        usage=tuple(
            ReplicaUsage(
                group=int(group_of[number]),
                requests=requests[number],
                busy_seconds=log.busy_seconds[number],
                steps=log.steps[number],
                preemptions=log.preemptions[number],
            )
            for number in range(fleet.replicas)
        ),
    )
