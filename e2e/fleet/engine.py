"""One pod's engine as its /metrics and its users see it: a replica of the planner's simulator, followed in real time.

How an engine runs is written once, in `medley_planner.engine`, for plans, replays and this fleet alike. What is done
here is to read it: requests get the times of their tokens, and counters rise by what happened since the last look. A
step ends for the outside when its time has come, so that results do not depend on how often time is advanced.
"""

from __future__ import annotations

from dataclasses import dataclass

from e2e.fleet.meter import EngineMeter
from e2e.fleet.requests import Failure, Request
from medley_planner.engine import EngineSpec, EngineState, LiveFleet, StepTable, Trace


@dataclass(frozen=True, slots=True)
class ServedEngine:
    """How one pod's engine runs, and what it says of itself beside its figures."""

    model_name: str
    gpu_memory_utilization: float
    spec: EngineSpec
    table: StepTable


@dataclass(frozen=True, slots=True)
class Usage:
    """Integrals over time since the engine started, in seconds: divide a difference by its span for a mean."""

    at: float
    busy: float
    running: float
    kv_usage: float


class Engine:
    """One pod's engine from `start` (Unix seconds), a replica of `live`; without one it is its only replica.

    Figures are those of the last `look`.
    """

    def __init__(self, served: ServedEngine, live: LiveFleet | None = None, *, start: float) -> None:
        self.served = served
        self.meter = EngineMeter(max_model_len=served.spec.max_model_len, created=start)
        self._live = LiveFleet(Trace.of([], [], [])) if live is None else live
        self.number = self._live.start(served.spec, served.table)
        self._requests: dict[int, Request] = {}
        self._told: dict[int, tuple[int, float]] = {}
        """Tokens of a request that the counters have, and the time of the last of them."""
        self._step_tokens = 0
        """Tokens of steps that the counters do not have yet."""
        self._state = EngineState()
        self._usage = Usage(start, 0.0, 0.0, 0.0)
        self._ended = False

    @property
    def running(self) -> int:
        return len(self._requests) - self._state.waiting

    @property
    def waiting(self) -> int:
        return self._state.waiting

    @property
    def idle(self) -> bool:
        return not self._requests

    @property
    def kv_usage(self) -> float:
        return self._state.blocks / self.served.spec.kv_blocks

    @property
    def usage(self) -> Usage:
        return self._usage

    def submit(self, request: Request) -> None:
        """Hands a request to this engine at its arrival, where no route does. Arrivals come in order of time."""
        index = len(self._live.first_token)
        trace = Trace.of([request.arrival], [request.prompt_tokens], [request.generation_tokens])
        self._live.extend(trace)
        self._live.serve(self.number, [index])
        self.take(index, request)

    def take(self, index: int, request: Request) -> None:
        """A request of the trace that was handed to this replica. Prompt and generation are cut to the model's length,
        as clients must."""
        longest = self.served.spec.max_model_len
        request.prompt_tokens = min(request.prompt_tokens, longest - 1)
        room = longest - request.prompt_tokens
        if request.generation_tokens > room:
            request.generation_tokens, request.truncated = room, True
        self._requests[index] = request

    def advance(self, until: float) -> None:
        """Lets the engine, and those beside it, run to `until`."""
        self._live.advance(until)
        self.look(until)

    def look(self, now: float) -> None:
        """Brings requests and counters up to `now`, which the replicas have reached."""
        if self._ended:
            return
        self._add_usage(now)
        before, self._state = self._state, self._live.state(self.number, at_seconds=now)
        for index, request in list(self._requests.items()):
            self._follow(index, request, now)
        for index, generated in self._state.running:
            self._tell(index, generated, self._state.seconds)
        steps = self._state.steps - before.steps
        if steps:
            self.meter.step_tokens.observe(self._step_tokens / steps, steps)
            self._step_tokens = 0
        self.meter.preemptions = self._state.preemptions

    def abort_all(self, now: float) -> None:
        """The pod is gone: everything unfinished fails."""
        self.look(now)
        for request in self._requests.values():
            request.fail(Failure.ABORTED, now)
            self.meter.finished["abort"] += 1
        self._requests.clear()
        self._state = EngineState()
        if not self._ended:
            self._live.stop(self.number)
            self._ended = True

    def _add_usage(self, now: float) -> None:
        last, running = self._usage, len(self._state.running)
        span = now - last.at
        self._usage = Usage(
            at=now,
            busy=last.busy + (span if running else 0.0),
            running=last.running + span * running,
            kv_usage=last.kv_usage + span * self.kv_usage,
        )

    def _follow(self, index: int, request: Request, now: float) -> None:
        """Notes the first token and the end of a request where they have come."""
        live = self._live
        first, last = live.first_token[index], live.last_token[index]
        if request.first_token_at is None and first <= now:
            request.scheduled_at, request.first_token_at = live.scheduled[index], first
            self.meter.first_token(request)
            self._step_tokens += request.prompt_tokens
            self._told[index] = 1, first
        if last <= now:
            self._tell(index, request.generation_tokens, last)
            request.finished_at, request.preemptions = last, live.preempted[index]
            self.meter.finish(request)
            del self._requests[index], self._told[index]

    def _tell(self, index: int, generated: int, at: float) -> None:
        """Adds the tokens after the first that a request has got since it was last looked at."""
        told, since = self._told.get(index, (generated, at))
        tokens = generated - told
        if tokens > 0 and at >= since:
            self.meter.tokens(tokens, seconds=at - since)
            self._step_tokens += tokens
            self._told[index] = generated, at
