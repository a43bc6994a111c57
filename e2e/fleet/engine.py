"""The queue of one engine: continuous batching with chunked prefill, step by step in virtual time.

Follows vLLM's scheduler: every running sequence decodes one token a step; what is left of the token budget prefills
prompts in chunks, those under way first, then the waiting ones first come first served, as long as sequences and
KV cache last; where the cache runs full the youngest sequence is preempted and computed anew later. A step costs
O(log batch), since sequences that decode differ only in the step at which they end. Steps that end in the future are
not applied before, so that results do not depend on how often time is advanced.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Protocol

from e2e.fleet.meter import EngineMeter
from e2e.fleet.requests import Failure, Request

JITTER = 0.03
"""Standard deviation of a step's duration, relative: steps of real engines scatter by some percent."""
MIN_JITTER_FACTOR = 0.85


class StepSeconds(Protocol):
    """Duration of one engine step in seconds."""

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float: ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How one pod's engine runs. `truth_factor` is hidden from the planner: real duration over estimated duration."""

    model_name: str
    max_model_len: int
    max_batched_tokens: int
    max_sequences: int
    kv_tokens: int
    gpu_memory_utilization: float
    step: StepSeconds
    truth_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Integrals over time since the engine started, in seconds: divide a difference by its span for a mean."""

    at: float
    busy: float
    running: float
    kv_usage: float


@dataclass(slots=True, eq=False)
class _Slot:
    """A request in the batch: `prefill` tokens to compute at once, then one token a step until step `ends_at`."""

    number: int
    request: Request
    prefill: int
    prefilled: int = 0
    decoding: bool = False
    ends_at: int = 0


@dataclass(slots=True)
class _Step:
    end: float
    seconds: float
    decoded: int
    chunks: list[tuple[_Slot, int]]


class Engine:
    """One pod's engine from `start` (Unix seconds). Arrivals must be given in order of time."""

    def __init__(self, spec: EngineSpec, *, random: Random, start: float) -> None:
        self.spec = spec
        self.meter = EngineMeter(max_model_len=spec.max_model_len, created=start)
        self._random = random
        self._now = start
        self._accounted = start
        self._busy = self._running_integral = self._kv_integral = 0.0
        self._waiting: deque[Request] = deque()
        self._slots: dict[int, _Slot] = {}
        self._prefilling: list[_Slot] = []
        self._ending: list[tuple[int, int, _Slot]] = []
        self._admissions = 0
        self._steps = 0
        self._decoding = 0
        self._decode_context = 0
        self._kv_used = 0
        self._step: _Step | None = None

    @property
    def running(self) -> int:
        return len(self._slots)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        return not self._slots and not self._waiting

    @property
    def kv_usage(self) -> float:
        return self._kv_used / self.spec.kv_tokens

    @property
    def usage(self) -> Usage:
        return Usage(at=self._accounted, busy=self._busy, running=self._running_integral, kv_usage=self._kv_integral)

    def submit(self, request: Request) -> None:
        """Queues a request at its arrival. Prompt and generation are cut to the model's length, as clients must."""
        self.advance(request.arrival)
        request.prompt_tokens = max(1, min(request.prompt_tokens, self.spec.max_model_len - 1))
        room = self.spec.max_model_len - request.prompt_tokens
        if request.generation_tokens > room:
            request.generation_tokens, request.truncated = room, True
        self._waiting.append(request)

    def advance(self, until: float) -> None:
        """Lets the engine run to `until`."""
        while True:
            if self._step is None and not self._start_step():
                self._now = max(self._now, until)
                break
            if self._step is None or self._step.end > until:
                break
            self._finish_step(self._step)
        self._account(max(until, self._accounted))

    def abort_all(self, now: float) -> None:
        """The pod is gone: everything unfinished fails."""
        for request in [*self._waiting, *(slot.request for slot in self._slots.values())]:
            request.fail(Failure.ABORTED, now)
            self.meter.finished["abort"] += 1
        self._account(now)
        self._waiting.clear()
        self._slots.clear()
        self._prefilling.clear()
        self._ending.clear()
        self._decoding = self._decode_context = self._kv_used = 0
        self._step = None

    def _account(self, until: float) -> None:
        span = until - self._accounted
        if span <= 0:
            return
        self._running_integral += span * len(self._slots)
        self._kv_integral += span * self.kv_usage
        if self._slots:
            self._busy += span
        self._accounted = until

    def _start_step(self) -> bool:
        self._account(self._now)
        preempted = self._make_room()
        budget = self.spec.max_batched_tokens - self._decoding
        chunks: list[tuple[_Slot, int]] = []
        for slot in self._prefilling:
            if budget <= 0:
                break
            chunk = min(budget, slot.prefill - slot.prefilled)
            chunks.append((slot, chunk))
            budget -= chunk
        while self._waiting and not preempted and budget > 0 and len(self._slots) < self.spec.max_sequences:
            request = self._waiting[0]
            prefill = request.prompt_tokens + request.generated
            if self._kv_used + self._decoding + prefill > self.spec.kv_tokens:
                break
            slot = self._admit(self._waiting.popleft(), prefill)
            chunk = min(budget, prefill)
            chunks.append((slot, chunk))
            budget -= chunk
        if not chunks and not self._decoding:
            return False
        seconds = self._duration(chunks)
        self._step = _Step(end=self._now + seconds, seconds=seconds, decoded=self._decoding, chunks=chunks)
        return True

    def _admit(self, request: Request, prefill: int) -> _Slot:
        self._admissions += 1
        slot = _Slot(number=self._admissions, request=request, prefill=prefill)
        self._slots[slot.number] = slot
        self._prefilling.append(slot)
        self._kv_used += prefill
        if request.scheduled_at is None:
            request.scheduled_at = self._now
        return slot

    def _make_room(self) -> bool:
        """Preempts the youngest until each decoding sequence has room for its next token."""
        preempted = False
        while self._decoding and self._kv_used + self._decoding > self.spec.kv_tokens:
            slot = next(reversed(self._slots.values()))
            del self._slots[slot.number]
            request = slot.request
            if slot.decoding:
                left = slot.ends_at - self._steps
                request.generated = request.generation_tokens - left
                request.last_token_at = self._now
                context = request.prompt_tokens + request.generated - 1
                self._decoding -= 1
                self._decode_context -= context
                self._kv_used -= context
                self._ending = [entry for entry in self._ending if entry[2] is not slot]
                heapq.heapify(self._ending)
            else:
                self._prefilling.remove(slot)
                self._kv_used -= slot.prefill
            request.preemptions += 1
            self.meter.preemptions += 1
            self._waiting.appendleft(request)
            preempted = True
        return preempted

    def _duration(self, chunks: list[tuple[_Slot, int]]) -> float:
        tokens = attended = 0.0
        for slot, chunk in chunks:
            tokens += chunk
            attended += chunk * slot.prefilled + chunk * (chunk + 1) / 2
        estimate = self.spec.step.seconds(
            prefill_tokens=tokens,
            prefill_attended=attended,
            decode_sequences=self._decoding,
            kv_tokens=self._decode_context,
        )
        jitter = max(MIN_JITTER_FACTOR, self._random.gauss(1.0, JITTER))
        return estimate * self.spec.truth_factor * jitter

    def _finish_step(self, step: _Step) -> None:
        self._account(step.end)
        self._now = step.end
        self._step = None
        self._steps += 1
        self._kv_used += step.decoded
        self._decode_context += step.decoded
        self.meter.step(
            tokens=step.decoded + sum(chunk for _, chunk in step.chunks), decoded=step.decoded, seconds=step.seconds
        )
        while self._ending and self._ending[0][0] <= self._steps:
            _, _, slot = heapq.heappop(self._ending)
            self._decoding -= 1
            self._decode_context -= _full_context(slot.request)
            self._leave(slot)
        for slot, chunk in step.chunks:
            slot.prefilled += chunk
        done = [slot for slot, _ in step.chunks if slot.prefilled == slot.prefill]
        if done:
            self._prefilling = [slot for slot in self._prefilling if slot.prefilled < slot.prefill]
        for slot in done:
            self._begin_decoding(slot)

    def _begin_decoding(self, slot: _Slot) -> None:
        """The step that ends a prefill gives one token."""
        request = slot.request
        self.meter.generation_tokens += 1
        if request.first_token_at is None:
            request.first_token_at = self._now
            self.meter.first_token(request)
        elif request.last_token_at is not None:
            self.meter.inter_token_seconds.observe(self._now - request.last_token_at)
        left = request.generation_tokens - request.generated - 1
        if left == 0:
            self._leave(slot)
            return
        slot.decoding = True
        slot.ends_at = self._steps + left
        self._decoding += 1
        self._decode_context += slot.prefill
        heapq.heappush(self._ending, (slot.ends_at, slot.number, slot))

    def _leave(self, slot: _Slot) -> None:
        request = slot.request
        del self._slots[slot.number]
        self._kv_used -= _full_context(request)
        request.generated = request.generation_tokens
        request.finished_at = self._now
        self.meter.finish(request)


def _full_context(request: Request) -> int:
    """Tokens in the KV cache at the end: the last token is never read again."""
    return request.prompt_tokens + request.generation_tokens - 1
