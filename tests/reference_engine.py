"""The engine and the router done plainly, one step at a time: what `engine/replica.py` and `simulate.py` must equal.

Shares with them the values (specification, trace, the chance decisions of routing), not the scheduling. Each step looks
at every sequence, asks for the step time itself, and counts blocks by division. Slow: an oracle for tests, and the
baseline of `make bench-engine`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from medley_planner.engine.routing import Balance, Routing, SimulatedFleet, pool_of_request, pools, replica_of_request
from medley_planner.engine.spec import EngineSpec
from medley_planner.engine.trace import FittedSizes, Trace


@dataclass(slots=True, eq=False)
class Request:
    """One request on its way. Times in seconds, with what is in front of the engine."""

    arrival: float
    prompt: int = 0
    generation: int = 0
    hit: int = 0
    replica: int = -1
    generated: int = 0
    first_token: float = math.nan
    last_token: float = math.nan
    front: float = 0.0
    lag: float = 0.0


@dataclass(slots=True, eq=False)
class _Sequence:
    """A request in the batch: `target` tokens to compute before it decodes, `computed` are in the KV cache."""

    request: Request
    target: int
    computed: int

    @property
    def decodes(self) -> bool:
        return self.computed >= self.target


@dataclass(slots=True, eq=False)
class ReferenceEngine:
    """One replica. Requests must be given in order of arrival, after `run_before` their arrival."""

    spec: EngineSpec
    now: float = 0.0
    preemptions: int = 0
    steps: int = 0
    waiting: deque[Request] = field(default_factory=deque)
    running: list[_Sequence] = field(default_factory=list)

    @property
    def unfinished(self) -> int:
        return len(self.waiting) + len(self.running)

    def run_before(self, time: float) -> None:
        """All steps that start before `time`. A step that starts at `time` sees what arrives then."""
        while self.unfinished and self._start() < time:
            self._step()

    def unfinished_at(self, time: float) -> int:
        """Requests that have no last token before `time`; the step under way may have given some later ones theirs."""
        gone = [request for request in self.finished_in_last_step if request.last_token - request.lag >= time]
        return self.unfinished + len(gone)

    finished_in_last_step: list[Request] = field(default_factory=list)

    def _start(self) -> float:
        if self.running:
            return self.now
        return max(self.now, min(request.arrival for request in self.waiting))

    def _blocks(self, tokens: int) -> int:
        return math.ceil(tokens / self.spec.block_tokens) + self.spec.sequence_blocks

    def _blocks_needed(self) -> int:
        """With room for the next token of each decoding sequence; a prompt's blocks are all taken at its admission."""
        return sum(self._blocks(s.computed + 1 if s.decodes else s.target) for s in self.running)

    def _step(self) -> None:
        self.now = self._start()
        preempted = False
        while self._blocks_needed() > self.spec.kv_blocks:
            self.waiting.appendleft(self.running.pop().request)
            self.preemptions += 1
            preempted = True

        decoding = [sequence for sequence in self.running if sequence.decodes]
        left = self.spec.token_budget - len(decoding)
        chunks: list[tuple[_Sequence, int]] = []
        for sequence in self.running:
            if not sequence.decodes and left > 0:
                chunks.append((sequence, min(left, sequence.target - sequence.computed)))
                left -= chunks[-1][1]
        while self.waiting and not preempted and left > 0 and len(self.running) < self.spec.max_sequences:
            request = self.waiting[0]
            target = request.prompt + request.generated
            if request.arrival > self.now or self._blocks_needed() + self._blocks(target) > self.spec.kv_blocks:
                break
            if not request.generated:
                request.lag = request.front + self._planned(decoding)
            self.running.append(_Sequence(self.waiting.popleft(), target, request.hit))
            chunks.append((self.running[-1], min(left, target - request.hit)))
            left -= chunks[-1][1]

        self.now += self._seconds(decoding, chunks)
        self.steps += 1
        for sequence in decoding:
            sequence.computed += 1
            self._token(sequence.request)
        for sequence, chunk in chunks:
            sequence.computed += chunk
            if sequence.decodes:
                self._token(sequence.request)
        over = [s.request for s in self.running if s.request.generated == s.request.generation]
        self.running = [s for s in self.running if s.request.generated < s.request.generation]
        self.finished_in_last_step = over

    def _planned(self, decoding: list[_Sequence]) -> float:
        """The step that was planned before the request came."""
        return self._seconds(decoding, []) if decoding else 0.0

    def _seconds(self, decoding: list[_Sequence], chunks: list[tuple[_Sequence, int]]) -> float:
        cost = self.spec.step.window_cost
        attended = [n for s, chunk in chunks for n in range(s.computed + 1, s.computed + chunk + 1)]
        cached = [sequence.computed for sequence in decoding]
        seconds = self.spec.step.seconds(
            prefill_tokens=float(len(attended)),
            prefill_attended=float(sum(attended)),
            decode_sequences=float(len(decoding)),
            kv_tokens=float(sum(cached)),
        )
        # The step time knows sums alone and cuts these; here each sequence is cut.
        seconds -= cost.kv_token * min(sum(cached), cost.window * len(cached))
        seconds -= cost.attended * min(sum(attended), cost.window * len(attended))
        seconds += cost.kv_token * sum(min(n, cost.window) for n in cached)
        return seconds + cost.attended * sum(min(n, cost.window) for n in attended)

    def _token(self, request: Request) -> None:
        request.generated += 1
        if math.isnan(request.first_token):
            request.first_token = self.now + request.lag
        if request.generated == request.generation:
            request.last_token = self.now + request.lag


def simulate_stepwise(trace: Trace, fleet: SimulatedFleet, routing: Routing, *, seed: int) -> tuple[list[Request], int]:
    """The requests in the trace's order with their times and replicas, and how many preemptions there were."""
    group_of_replica = fleet.group_of_replica()
    engines = [ReferenceEngine(fleet.groups[group].spec) for group in group_of_replica]
    sizes = [FittedSizes.of(trace, group.spec) for group in fleet.groups]
    requests = [Request(arrival) for arrival in trace.arrival_seconds.tolist()]
    rng = np.random.default_rng(seed)
    candidates = pools(fleet, routing)
    pool_of = pool_of_request(trace, routing, rng)
    for pool, members in enumerate(candidates):
        mine = np.flatnonzero(pool_of == pool).tolist()
        if not mine:
            continue
        least_loaded = routing.balance is Balance.LEAST_LOADED
        fixed = [] if least_loaded else replica_of_request(len(members), len(mine), routing.balance, rng).tolist()
        turn = 0
        for order, index in enumerate(mine):
            request = requests[index]
            for member in members:
                engines[member].run_before(request.arrival)
            if least_loaded:
                load = [engines[member].unfinished_at(request.arrival) for member in members]
                best = min(range(len(members)), key=lambda m: (load[m], (m - turn) % len(members)))
                turn = (best + 1) % len(members)
            else:
                best = fixed[order]
            request.replica = members[best]
            fitted = sizes[group_of_replica[request.replica]]
            request.prompt, request.generation = fitted.prompt[index], fitted.generation[index]
            request.hit, request.front = fitted.hit[index], fitted.front_seconds[index]
            engines[request.replica].waiting.append(request)
    for engine in engines:
        engine.run_before(math.inf)
    return requests, sum(engine.preemptions for engine in engines)
