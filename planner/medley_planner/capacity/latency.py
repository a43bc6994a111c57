"""Latency of one replica at a given load, the same steady state as the capacity's closed form read the other way. Pure.

Two loads: `at_concurrency`, a closed loop in which a fixed number of clients each send their next request when the last
one is answered (a load test), and `at_rate`, Poisson arrivals. Both give means, as load tests report them, and
percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.capacity.closed_form import Cell, SteadyState, front_seconds, normal_quantile
from medley_planner.capacity.memory import WHOLE, SequenceCost
from medley_planner.capacity.step_time import StepTime

LOAD_TEST_WAVES = 10.0
"""Requests of each client in a load test: with `--num-prompts` ten times the concurrency, as InferenceMAX runs vLLM's
benchmark, one request in ten belongs to the first wave, which all clients send at once."""

_MOST_PREFILL = 0.97
_BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of one size and the engine's limits. `kv_tokens` and `cost`: what its cache holds and what a
    sequence takes of it, see `MemoryFit`. `prefill_share`, above 0: of each prompt, what no prefix cache saves
    computing."""

    prompt_tokens: float
    generation_tokens: float
    percentile: float
    token_budget: int
    max_sequences: int
    kv_tokens: int
    cost: SequenceCost = WHOLE
    prefill_share: float = 1.0

    @property
    def computed_tokens(self) -> float:
        return self.prompt_tokens * self.prefill_share


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds to the first token and per further token, mean and at the percentile, and what the replica then does.

    `running`: requests in the batch, on average. `prefill_share`: share of the busy time that goes to prompts.
    """

    ttft_seconds: float
    tpot_seconds: float
    ttft_percentile_seconds: float
    tpot_percentile_seconds: float
    rate_rps: float
    running: float
    prefill_share: float


def at_concurrency(step: StepTime, load: Load, *, concurrency: float, first_wave: bool = False) -> Latency:
    """Latency with `concurrency` requests under way at all times (1 or more).

    Those beyond what the engine runs at once (KV cache, sequences) wait; their wait is part of TTFT. `first_wave` adds
    to the mean TTFT what a load test of `LOAD_TEST_WAVES` sees of its start.
    """
    context = load.prompt_tokens + load.generation_tokens / 2.0
    running = max(min(concurrency, load.max_sequences, load.kv_tokens / load.cost.tokens(context)), 1.0)
    cell = _cell(load)
    # A request is in the batch for its prefill and one step per further token.
    starts = running / (cell.decode_steps + max(load.computed_tokens / load.token_budget, 1.0))
    decoding = min(starts * cell.decode_steps, load.token_budget - 1.0)
    free = load.token_budget - decoding
    starts = min(starts, _MOST_PREFILL * free / load.computed_tokens)
    # Its own prefill does not interrupt its decoding.
    others = starts * (running - 1.0) / running
    state = SteadyState(step, cell, others, decoding, free)
    mean, square = state.moments()
    wave = state.wave_seconds(running) if first_wave else 0.0
    front = front_seconds(load.prompt_tokens)
    ttft = front + state.mean_ttft_seconds(mean, square) + (wave if concurrency > 1.0 else 0.0) / LOAD_TEST_WAVES
    rate = running / (ttft - front + cell.decode_steps * mean)
    waiting = (concurrency - running) / rate
    return Latency(
        ttft_seconds=ttft + waiting,
        tpot_seconds=mean,
        ttft_percentile_seconds=max(front + state.ttft_seconds(mean), ttft) + waiting,
        tpot_percentile_seconds=max(state.tpot_seconds(mean, square), mean),
        rate_rps=rate,
        running=running,
        prefill_share=state.prefill_share(mean),
    )


def at_rate(step: StepTime, load: Load, *, rate_rps: float) -> Latency | None:
    """Latency under Poisson arrivals of `rate_rps` (above 0); None where the replica cannot keep up."""
    cell = _cell(load)
    low, high = 0.0, _most_starts(cell)
    state, mean, square = _at_starts(step, cell, high)
    if high / mean < rate_rps:
        return None
    for _ in range(_BISECTIONS):
        starts = (low + high) / 2.0
        state, mean, square = _at_starts(step, cell, starts)
        low, high = (starts, high) if starts / mean < rate_rps else (low, starts)
    front = front_seconds(load.prompt_tokens)
    return Latency(
        ttft_seconds=front + state.mean_ttft_seconds(mean, square),
        tpot_seconds=mean,
        ttft_percentile_seconds=front + state.ttft_seconds(mean),
        tpot_percentile_seconds=max(state.tpot_seconds(mean, square), mean),
        rate_rps=rate_rps,
        running=rate_rps * (cell.decode_steps * mean + state.mean_ttft_seconds(mean, square)),
        prefill_share=state.prefill_share(mean),
    )


def _most_starts(cell: Cell) -> float:
    """Requests per step at which a limit binds: sequences, cache, or prefill of the whole token budget."""
    sequences = min(cell.max_sequences, cell.kv_tokens / cell.held_context, cell.budget - 1.0)
    by_batch = sequences / cell.decode_steps if cell.decode_steps else float("inf")
    # starts * computed <= share * (budget - starts * decode steps)
    by_prefill = _MOST_PREFILL * cell.budget / (cell.computed + _MOST_PREFILL * cell.decode_steps)
    return min(by_batch, by_prefill)


def _at_starts(step: StepTime, cell: Cell, starts: float) -> tuple[SteadyState, float, float]:
    decoding = starts * cell.decode_steps
    state = SteadyState(step, cell, starts, decoding, cell.budget - decoding)
    return (state, *state.moments())


def _cell(load: Load) -> Cell:
    return Cell(
        prompt=load.prompt_tokens,
        generation=load.generation_tokens,
        ttft=0.0,
        tpot=0.0,
        percentile=load.percentile / 100.0,
        z=normal_quantile(load.percentile),
        budget=load.token_budget,
        max_sequences=load.max_sequences,
        kv_tokens=load.kv_tokens,
        cost=load.cost,
        prefill_share=load.prefill_share,
    )
