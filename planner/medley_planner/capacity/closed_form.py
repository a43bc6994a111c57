"""The largest rate that one replica serves within its latency targets, for requests of one size, in closed form. Pure.

Requests arrive as a Poisson process and are batched continuously with chunked prefill: each step takes one token of
every decoding sequence, then prompt tokens up to the token budget. Everything is a function of x, the mean number of
requests that start per step: B = x * (generation - 1) sequences decode, the prompts of a step are Poisson, and the rate
is x divided by the mean step time. The largest x that keeps the targets is found by bisection. Against a discrete-event
simulation of the same engine this method was found within 7 % (median) where a step that prefills a whole prompt is
shorter than the TPOT target, and up to 40 % optimistic where it takes two to three times the target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from medley_planner.capacity.memory import WHOLE, MemoryFit, SequenceCost
from medley_planner.capacity.step_time import StepTime

API_SECONDS = 0.006
PROMPT_TOKEN_SECONDS = 1e-6
"""Time to first token that the API server adds, and more of it for each token of the prompt: HTTP, tokenizing."""

MAX_PREFILL_LOAD = 0.97
MAX_AMPLIFICATION = 4.0
FEWEST_AVERAGED_STEPS = 16.0
"""The jitter of a shorter generation, of which each step counts much, is taken as if it averaged over this many."""
MOST_CHUNKS = 32.0
TAIL = 1e-6
# x is searched on one fixed logarithmic grid, so that equal cells of different rows get equal answers.
STEPS_PER_OCTAVE = 512
LOWEST_OCTAVE = -22


@dataclass(frozen=True, slots=True)
class Cell:
    """One size and its limits."""

    prompt: float
    generation: float
    ttft: float
    tpot: float
    percentile: float
    z: float
    budget: float
    max_sequences: float
    kv_tokens: float
    prefill_share: float = 1.0
    """Computed tokens of the prompt: the rest comes from a prefix cache, but is attended to and held like all."""
    cost: SequenceCost = WHOLE
    """The share that a sequence takes of `kv_tokens`."""

    @property
    def computed(self) -> float:
        return self.prompt * self.prefill_share

    @property
    def decode_steps(self) -> float:
        return max(self.generation - 1.0, 0.0)

    @property
    def mean_context(self) -> float:
        return self.prompt + self.generation / 2.0

    @property
    def held_context(self) -> float:
        """The tokens that a sequence takes of the cache in the mean."""
        return self.cost.tokens(self.mean_context)

    @property
    def held_prompt(self) -> float:
        return self.cost.tokens(self.prompt)


def max_rate_rps(
    step: StepTime,
    fit: MemoryFit,
    *,
    prompt_tokens: float,
    generation_tokens: float,
    ttft_seconds: float,
    tpot_seconds: float,
    percentile: float,
    token_budget: int,
    max_sequences: int,
    prefill_share: float = 1.0,
) -> float:
    """Requests per second at which `percentile` percent of requests still meet both targets; 0 if none does.

    Never rises with longer prompts or tighter targets. May rise somewhat with a longer generation, over which jitter
    averages out; `capacity_rows` takes that off. Not derated. 0 also where the model does not fit, or prompt plus
    generation exceed the longest sequence.
    `token_budget` is the engine's max-num-batched-tokens, `max_sequences` its max-num-seqs. `prefill_share`, above 0:
    of each prompt, what no prefix cache saves computing.
    """
    if not fit.fits or prompt_tokens + generation_tokens > fit.max_model_len:
        return 0.0
    cell = Cell(
        prompt=prompt_tokens,
        generation=generation_tokens,
        ttft=ttft_seconds - front_seconds(prompt_tokens),
        tpot=tpot_seconds,
        percentile=percentile / 100.0,
        z=normal_quantile(percentile),
        budget=token_budget,
        max_sequences=max_sequences,
        kv_tokens=fit.kv_tokens,
        prefill_share=prefill_share,
        cost=fit.cost,
    )
    low = LOWEST_OCTAVE * STEPS_PER_OCTAVE
    best = _rate_if_within(step, cell, _starts(low))
    if best is None:
        return 0.0
    high = math.ceil(STEPS_PER_OCTAVE * math.log2(cell.budget / max(cell.computed, cell.decode_steps, 1.0))) + 1
    while high - low > 1:
        middle = (low + high) // 2
        rate = _rate_if_within(step, cell, _starts(middle))
        if rate is None:
            high = middle
        else:
            low, best = middle, max(best, rate)
    return best


def front_seconds(prompt_tokens: float) -> float:
    """Seconds in front of the engine, a part of each time to first token."""
    return API_SECONDS + PROMPT_TOKEN_SECONDS * prompt_tokens


def _starts(index: int) -> float:
    return float(2.0 ** (index / STEPS_PER_OCTAVE))


@lru_cache(maxsize=128)
def normal_quantile(percentile: float) -> float:
    """Standard deviations above the mean of `percentile` percent of a normal distribution."""
    return NormalDist().inv_cdf(percentile / 100.0)


def _rate_if_within(step: StepTime, cell: Cell, starts: float) -> float | None:
    """Rate at `starts` requests per step, or None where a limit or a target is broken."""
    decoding = starts * cell.decode_steps
    crowd = decoding + cell.z * math.sqrt(decoding)
    if crowd > cell.max_sequences or crowd * cell.held_context + cell.held_prompt > cell.kv_tokens:
        return None
    free_budget = cell.budget - decoding
    if free_budget < 1.0 or starts * cell.computed / free_budget > MAX_PREFILL_LOAD:
        return None

    point = SteadyState(step, cell, starts, decoding, free_budget)
    mean, square = point.moments()
    if cell.decode_steps > 0.0 and point.tpot_seconds(mean, square) > cell.tpot:
        return None
    if point.ttft_seconds(mean) > cell.ttft:
        return None
    return starts / mean


class SteadyState:
    """The engine in steady state at `starts` requests per step, of which `decoding` sequences decode."""

    __slots__ = ("_cell", "_chunk", "_chunks", "_decoding", "_free", "_full", "_idle", "_rate", "_starts", "_step")

    def __init__(self, step: StepTime, cell: Cell, starts: float, decoding: float, free_budget: float) -> None:
        self._step, self._cell, self._starts = step, cell, starts
        self._decoding, self._free = decoding, free_budget
        self._chunk = min(cell.computed, free_budget)
        self._chunks = cell.computed / self._chunk
        self._rate = starts * self._chunks
        self._idle, self._full = self._seconds(0.0), self._seconds(free_budget)

    def moments(self) -> tuple[float, float]:
        """Mean and mean square of the step time; the chunks that are ready per step are Poisson.

        What exceeds the budget waits for later steps: the probability of full steps is raised until prefill keeps up
        with arrivals, which also covers prompts longer than the budget.
        """
        # Many small chunks are counted by the handful: at a mean of 32 their spread hardly matters any more.
        handful = max(1.0, self._rate / MOST_CHUNKS)
        rate, chunk = self._rate / handful, self._chunk * handful
        probability = math.exp(-rate)
        tail = 1.0 - probability
        mean, square, tokens = probability * self._idle, probability * self._idle**2, 0.0
        count = 0
        while tail > TAIL:
            count += 1
            size = count * chunk
            if size >= self._free:
                break
            probability *= rate / count
            tail -= probability
            time = self._seconds(size)
            mean += probability * time
            square += probability * time * time
            tokens += probability * size
        tail = max(tail, 0.0)
        mean += tail * self._full
        square += tail * self._full**2
        tokens += tail * self._free
        arriving = self._starts * self._cell.computed
        overflow = min(max((arriving - tokens) / (self._free - tokens), 0.0), 1.0)
        return mean + overflow * (self._full - mean), square + overflow * (self._full**2 - square)

    def tpot_seconds(self, mean: float, square: float) -> float:
        """The percentile of a request's mean time per output token.

        It varies with the prefills met on the way and, slowly, with the batch; both feed back, since slower steps
        gather more requests.
        """
        cell = self._cell
        one_more_idle = self._seconds(0.0, more=1.0) - self._idle
        with_chunk = self._seconds(self._chunk)
        one_more_chunk = self._seconds(self._chunk, more=1.0) - with_chunk
        prefilling = 1.0 - math.exp(-self._rate)
        one_more = one_more_idle + prefilling * (one_more_chunk - one_more_idle)

        slowdown = (self._decoding * one_more + self._rate * (with_chunk - self._idle)) / mean
        amplification = 1.0 / max(1.0 - slowdown, 1.0 / MAX_AMPLIFICATION)
        steps = max(cell.decode_steps, FEWEST_AVERAGED_STEPS)
        variance = max(square - mean * mean, 0.0) * self._chunks / steps + one_more**2 * self._decoding
        # The request itself is one sequence more than the mean batch that it finds.
        return mean + one_more + cell.z * math.sqrt(variance) * amplification

    def ttft_seconds(self, mean: float) -> float:
        """The percentile of the time to first token: the step under way and the one that is planned already, the queue
        (as in M/D/1), the own prefill."""
        cell = self._cell
        own = self._planned() + self._chunks * self._seconds(min(self._chunk * (1.0 + self._rate), self._free))
        load = self._starts * cell.computed / self._free
        miss = 1.0 - cell.percentile
        if load <= miss:
            return mean + own
        service = cell.computed / self._free * self._full
        return mean + own + service / (2.0 * (1.0 - load)) * math.log(load / miss)

    def mean_ttft_seconds(self, mean: float, square: float) -> float:
        """The mean time to first token: the rest of the step under way, the one that is planned already, the queue
        (as in M/D/1), the own prefill."""
        own = self._planned() + self._chunks * self._seconds(min(self._chunk * (1.0 + self._rate), self._free))
        load = min(self._starts * self._cell.computed / self._free, MAX_PREFILL_LOAD)
        service = self._cell.computed / self._free * self._full
        return square / (2.0 * mean) + own + load * service / (2.0 * (1.0 - load))

    def _planned(self) -> float:
        """A step more, where others decode: engines plan one while the one before it runs."""
        return min(self._starts * self._cell.decode_steps, 1.0) * self._idle

    def wave_seconds(self, requests: float) -> float:
        """The mean wait for a first token of `requests` that arrive at once: one token budget passes at a time."""
        steps = (requests - 1.0) * self._cell.computed / self._cell.budget
        if steps <= 1.0:
            return steps * (self._full - self._idle)
        return (steps + 1.0) / 2.0 * self._full - self._idle

    def prefill_share(self, mean: float) -> float:
        """Share of the time that prompts add to steps."""
        return max(1.0 - self._idle / mean, 0.0)

    def _seconds(self, prefill: float, *, more: float = 0.0) -> float:
        """Step time with `prefill` prompt tokens and `more` sequences beside those that decode."""
        sequences = self._decoding + more
        return self._step.seconds(
            prefill_tokens=prefill,
            prefill_attended=prefill * (self._cell.prompt - self._cell.computed / 2.0),
            decode_sequences=sequences,
            kv_tokens=sequences * self._cell.mean_context,
        )
