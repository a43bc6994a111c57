"""Replicas that come and go while one trace is served, moved on in time step by step. Pure.

The engines are those of `simulate`, which serves a trace on a fleet that is known beforehand. A replay of days does not
know its fleet: what is decided depends on what was served. So the caller hands over requests in order of arrival, and
moves time on in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush, heapreplace

from medley_planner.engine.log import EngineState, Log
from medley_planner.engine.replica import COMMIT, NOTE, Replica, replica
from medley_planner.engine.spec import EngineSpec
from medley_planner.engine.step_table import StepTable
from medley_planner.engine.trace import FittedSizes, Trace

_MOST_PARTS = 1000
"""As many parts of a trace are joined at once."""


class LiveFleet:
    """Replicas by number, in the order in which they started; numbers are not used again.

    Requests are indices into the trace, which may grow. Each call hands over requests that arrive no earlier than those
    before it and than the time that `advance` reached.
    """

    def __init__(self, trace: Trace) -> None:
        self._traces = [trace]
        self._log = Log.empty(trace.arrival_seconds.tolist(), replicas=0)
        self._sizes: dict[tuple[float, ...], tuple[EngineSpec, FittedSizes]] = {}
        self._engines: list[Replica] = []
        self._ends: list[float] = []
        self._kv_blocks: list[int] = []
        self._live: dict[int, None] = {}
        self._turn = 0

    def extend(self, more: Trace) -> None:
        """Adds requests to the trace, which arrive no earlier than those in it."""
        self._traces.append(more)
        if len(self._traces) > _MOST_PARTS:
            self._traces = [Trace.joined(self._traces)]
        self._log.extend(more.arrival_seconds.tolist())
        for spec, sizes in self._sizes.values():
            sizes.extend(more, spec)

    @property
    def scheduled(self) -> list[float]:
        """Seconds at which each request was taken into the batch, with what was in front of the engine; NaN where it
        waits. Not to be changed."""
        return self._log.scheduled

    @property
    def preempted(self) -> list[int]:
        """How often each request was preempted. Not to be changed."""
        return self._log.preempted

    @property
    def first_token(self) -> list[float]:
        """Seconds at which each request got its first token; NaN where it has none yet. Not to be changed."""
        return self._log.first_token

    @property
    def last_token(self) -> list[float]:
        """Seconds at which each request got its last token; NaN where it has not. Not to be changed."""
        return self._log.last_token

    @property
    def live(self) -> tuple[int, ...]:
        """Replicas that were started and not stopped."""
        return tuple(self._live)

    def unfinished(self, number: int) -> int:
        """Requests that wait or run on that replica, as far as time was moved on."""
        return self._log.unfinished[number]

    def state(self, number: int, *, at_seconds: float) -> EngineState:
        """The engine of a replica at the end of its last step before that time, which `advance` must have reached."""
        self._log.asked_at = at_seconds
        self._engines[number].send(NOTE)
        return self._log.states[number]

    def start(self, spec: EngineSpec, table: StepTable) -> int:
        """Starts a replica, idle and ready; its number."""
        number = len(self._engines)
        key = spec.max_model_len, spec.prefix_hit_rate, spec.api_seconds, spec.prompt_token_seconds
        if key not in self._sizes:
            self._traces = [Trace.joined(self._traces)]
            self._sizes[key] = spec, FittedSizes.of(self._traces[0], spec)
        log = self._log
        log.unfinished.append(0)
        log.batched.append(0)
        log.blocks.append(0)
        log.busy_seconds.append(0.0)
        log.steps.append(0)
        log.preemptions.append(0)
        log.states.append(EngineState())
        engine = replica(number, spec, table, self._sizes[key][1], log)
        self._engines.append(engine)
        self._ends.append(next(engine))
        self._kv_blocks.append(spec.kv_blocks)
        self._live[number] = None
        return number

    def stop(self, number: int) -> None:
        """Ends a replica at once; its unfinished requests never get their last token."""
        self._engines[number].close()
        self._ends[number] = math.inf
        del self._live[number]

    def serve(self, number: int, requests: Iterable[int]) -> None:
        """Hands requests to one replica, in order of arrival."""
        arrivals, unfinished = self._log.arrivals, self._log.unfinished
        send, end = self._engines[number].send, self._ends[number]
        for request in requests:
            arrival = arrivals[request]
            while end < arrival:
                end = send(COMMIT)
            unfinished[number] += 1
            end = send(request)
        self._ends[number] = end

    def serve_picked(self, numbers: Sequence[int], requests: Iterable[int]) -> list[int]:
        """Hands each request, in order of arrival, to the replica that scores best; equal ones take turns. Returns the
        replica of each.

        The score is that of llm-d's endpoint picker with its queue scorer and its KV cache utilisation scorer at equal
        weights: 1 for the shortest queue down to 0 for the longest, and the share of the KV cache that is free. So a
        small engine gets no more than it has room for, which the count of its requests alone does not see.
        """
        if len(numbers) == 1:
            handed = list(requests)
            self.serve(numbers[0], handed)
            return [numbers[0]] * len(handed)
        arrivals, unfinished, ends = self._log.arrivals, self._log.unfinished, self._ends
        sends: dict[int, Callable[[int], float]] = {number: self._engines[number].send for number in numbers}
        calendar = [(ends[number], number) for number in numbers if ends[number] < math.inf]
        heapify(calendar)
        turn, chosen = self._turn % len(numbers), []
        for request in requests:
            _commit_before(arrivals[request], calendar, ends, sends)
            scores = self._scores(numbers)
            best = max(scores)
            try:
                place = scores.index(best, turn)
            except ValueError:
                place = scores.index(best)
            turn = place + 1
            number = numbers[place]
            unfinished[number] += 1
            chosen.append(number)
            end = sends[number](request)
            if end != ends[number]:
                ends[number] = end
                heappush(calendar, (end, number))
        self._turn = turn
        return chosen

    def _scores(self, numbers: Sequence[int]) -> list[float]:
        unfinished, batched, taken, blocks = self._log.unfinished, self._log.batched, self._log.blocks, self._kv_blocks
        queues = [unfinished[number] - batched[number] for number in numbers]
        shortest, longest = min(queues), max(queues)
        between = (longest - shortest) or 1
        return [
            (longest - queue) / between - taken[number] / blocks[number]
            for number, queue in zip(numbers, queues, strict=True)
        ]

    def advance(self, until_seconds: float) -> None:
        """Moves all replicas on: what ends before that time has ended after it."""
        for number in self._live:
            end = self._ends[number]
            if end < until_seconds:
                send = self._engines[number].send
                while end < until_seconds:
                    end = send(COMMIT)
                self._ends[number] = end


def _commit_before(
    time: float, calendar: list[tuple[float, int]], ends: list[float], sends: dict[int, Callable[[int], float]]
) -> None:
    """Moves replicas on to that time. The calendar may hold ends that an arrival has cut short since."""
    while calendar and calendar[0][0] < time:
        end, number = calendar[0]
        if ends[number] != end:
            heappop(calendar)
            continue
        ends[number] = end = sends[number](COMMIT)
        if end < math.inf:
            heapreplace(calendar, (end, number))
        else:
            heappop(calendar)
