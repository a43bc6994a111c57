"""`max_rate_rps` for many cells at once: the closed form over arrays, for whole tables of variants and sizes. Pure.

A service has thousands of cells (pools x variants x sizes), all of them anew when its sizes change; one by one they
take seconds, and a round of planning waits for them. `closed_form` has the reasons of each formula; tests hold the two
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medley_planner.capacity.closed_form import (
    API_SECONDS,
    FEWEST_AVERAGED_STEPS,
    LOWEST_OCTAVE,
    MAX_AMPLIFICATION,
    MAX_PREFILL_LOAD,
    MOST_CHUNKS,
    PROMPT_TOKEN_SECONDS,
    STEPS_PER_OCTAVE,
    TAIL,
    normal_quantile,
)
from medley_planner.capacity.memory import MemoryFit
from medley_planner.capacity.speed import ESTIMATE, Speed
from medley_planner.capacity.step_time import StepTime
from medley_planner.model import Bucket

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """One replica whose rates are requested; targets and sizes are common to all. `speed` is what `step` rests on.

    `prefill_share`: of each prompt, what no prefix cache saves computing.
    """

    step: StepTime
    fit: MemoryFit
    token_budget: int
    max_sequences: int
    speed: Speed = ESTIMATE
    prefill_share: float = 1.0


def max_rates_rps(
    tables: Sequence[Table],
    buckets: Sequence[Bucket],
    *,
    ttft_seconds: float,
    tpot_seconds: float,
    percentile: float,
) -> Array:
    """`max_rate_rps` of each table (row) for requests of each bucket (column)."""
    rates = np.zeros((len(tables), len(buckets)))
    prompt = np.array([bucket.prompt_tokens for bucket in buckets])
    generation = np.array([bucket.generation_tokens for bucket in buckets])
    longest = np.array([table.fit.max_model_len if table.fit.fits else -1.0 for table in tables])
    row, column = np.nonzero(prompt[None, :] + generation[None, :] <= longest[:, None])
    if not row.size:
        return rates
    constants = {name: np.array([table.step.constants[name] for table in tables])[row] for name in _NAMES}
    cells = _Cells(
        constants=constants,
        prompt=prompt[column],
        computed=prompt[column] * np.array([table.prefill_share for table in tables])[row],
        generation=generation[column],
        budget=np.array([float(table.token_budget) for table in tables])[row],
        max_sequences=np.array([float(table.max_sequences) for table in tables])[row],
        kv_tokens=np.array([float(table.fit.kv_tokens) for table in tables])[row],
        held_prompt=_held(tables, row, prompt[column]),
        held_context=_held(tables, row, prompt[column] + generation[column] / 2.0),
        ttft=ttft_seconds - API_SECONDS - PROMPT_TOKEN_SECONDS * prompt[column],
        tpot=tpot_seconds,
        percentile=percentile / 100.0,
        z=normal_quantile(percentile),
    )
    rates[row, column] = _search(cells)
    return rates


_NAMES = StepTime.__slots__


def _held(tables: Sequence[Table], row: npt.NDArray[np.intp], length: Array) -> Array:
    """`SequenceCost.tokens` of a length on each table."""
    costs = [table.fit.cost for table in tables]
    window = np.array([cost.window for cost in costs])[row]
    held = np.array([cost.token for cost in costs])[row] * length
    held += np.array([cost.window_token for cost in costs])[row] * np.minimum(length, window)
    return np.asarray(held + np.array([cost.fixed for cost in costs])[row])


@dataclass(frozen=True, slots=True)
class _Cells:
    """One size on one replica each, and the targets."""

    constants: dict[str, Array]
    prompt: Array
    computed: Array
    generation: Array
    budget: Array
    max_sequences: Array
    kv_tokens: Array
    held_prompt: Array
    held_context: Array
    """The share that a sequence takes of the cache when its prompt is computed, and in the mean."""
    ttft: Array
    tpot: float
    percentile: float
    z: float

    @property
    def decode_steps(self) -> Array:
        return np.maximum(self.generation - 1.0, 0.0)

    def of(self, index: npt.NDArray[np.intp]) -> _Cells:
        """Those at `index`."""
        return _Cells(
            constants={name: values[index] for name, values in self.constants.items()},
            prompt=self.prompt[index],
            computed=self.computed[index],
            generation=self.generation[index],
            budget=self.budget[index],
            max_sequences=self.max_sequences[index],
            kv_tokens=self.kv_tokens[index],
            held_prompt=self.held_prompt[index],
            held_context=self.held_context[index],
            ttft=self.ttft[index],
            tpot=self.tpot,
            percentile=self.percentile,
            z=self.z,
        )


def _search(cells: _Cells) -> Array:
    """Bisection of all cells side by side, on the grid of `closed_form`."""
    low = np.full(cells.prompt.size, LOWEST_OCTAVE * STEPS_PER_OCTAVE, dtype=np.int64)
    best = _rates_if_within(cells, _starts(low))
    largest = cells.budget / np.maximum(np.maximum(cells.computed, cells.decode_steps), 1.0)
    high: Index = np.ceil(STEPS_PER_OCTAVE * np.log2(largest)).astype(np.int64) + 1
    high = np.where(np.isnan(best), low, high)
    while True:
        (open_,) = np.nonzero(high - low > 1)
        if not open_.size:
            return np.nan_to_num(best, nan=0.0)
        middle = (low[open_] + high[open_]) // 2
        rate = _rates_if_within(cells.of(open_), _starts(middle))
        within = ~np.isnan(rate)
        low[open_[within]] = middle[within]
        high[open_[~within]] = middle[~within]
        best[open_[within]] = np.maximum(best[open_[within]], rate[within])


def _starts(index: Index) -> Array:
    return np.asarray(np.exp2(index / STEPS_PER_OCTAVE))


def _rates_if_within(cells: _Cells, starts: Array) -> Array:
    """Rate at `starts` requests per step, nan where a limit or a target is broken."""
    decoding = starts * cells.decode_steps
    crowd = decoding + cells.z * np.sqrt(decoding)
    free = cells.budget - decoding
    held = crowd * cells.held_context + cells.held_prompt
    allowed = (crowd <= cells.max_sequences) & (held <= cells.kv_tokens) & (free >= 1.0)
    allowed &= starts * cells.computed <= MAX_PREFILL_LOAD * free
    rates = np.full(starts.size, np.nan)
    (inside,) = np.nonzero(allowed)
    if inside.size:
        rates[inside] = _Points(cells.of(inside), starts[inside]).rates()
    return rates


class _Points:
    """The engine in steady state, as `closed_form.Point`, of many cells."""

    def __init__(self, cells: _Cells, starts: Array) -> None:
        self.cells, self.starts = cells, starts
        self.decoding = starts * cells.decode_steps
        self.free = cells.budget - self.decoding
        self.chunk = np.minimum(cells.computed, self.free)
        self.chunks = cells.computed / self.chunk
        self.rate = starts * self.chunks
        self.context = cells.prompt + cells.generation / 2.0
        self.idle, self.full = self.seconds(0.0), self.seconds(self.free)

    def rates(self) -> Array:
        mean, square = self._moments()
        slow = (self.cells.decode_steps > 0.0) & (self._tpot(mean, square) > self.cells.tpot)
        slow |= self._ttft(mean) > self.cells.ttft
        return np.where(slow, np.nan, self.starts / mean)

    def _moments(self) -> tuple[Array, Array]:
        handful = np.maximum(1.0, self.rate / MOST_CHUNKS)
        rate, chunk = self.rate / handful, self.chunk * handful
        probability = np.exp(-rate)
        tail = 1.0 - probability
        mean, square = probability * self.idle, probability * self.idle**2
        tokens = np.zeros_like(mean)
        (active,) = np.nonzero(tail > TAIL)
        count = 0
        while active.size:
            count += 1
            active = active[count * chunk[active] < self.free[active]]
            size = count * chunk[active]
            probability[active] *= rate[active] / count
            part = probability[active]
            tail[active] -= part
            time = self.seconds(size, at=active)
            mean[active] += part * time
            square[active] += part * time * time
            tokens[active] += part * size
            active = active[tail[active] > TAIL]
        tail = np.maximum(tail, 0.0)
        mean += tail * self.full
        square += tail * self.full**2
        tokens += tail * self.free
        arriving = self.starts * self.cells.computed
        overflow = np.clip((arriving - tokens) / (self.free - tokens), 0.0, 1.0)
        return mean + overflow * (self.full - mean), square + overflow * (self.full**2 - square)

    def _tpot(self, mean: Array, square: Array) -> Array:
        one_more_idle = self.seconds(0.0, more=1.0) - self.idle
        with_chunk = self.seconds(self.chunk)
        one_more_chunk = self.seconds(self.chunk, more=1.0) - with_chunk
        one_more = one_more_idle + (1.0 - np.exp(-self.rate)) * (one_more_chunk - one_more_idle)
        slowdown = (self.decoding * one_more + self.rate * (with_chunk - self.idle)) / mean
        amplification = 1.0 / np.maximum(1.0 - slowdown, 1.0 / MAX_AMPLIFICATION)
        steps = np.maximum(self.cells.decode_steps, FEWEST_AVERAGED_STEPS)
        variance = np.maximum(square - mean * mean, 0.0) * self.chunks / steps + one_more**2 * self.decoding
        return np.asarray(mean + one_more + self.cells.z * np.sqrt(variance) * amplification)

    def _ttft(self, mean: Array) -> Array:
        cells = self.cells
        planned = np.minimum(self.decoding, 1.0) * self.idle
        own = planned + self.chunks * self.seconds(np.minimum(self.chunk * (1.0 + self.rate), self.free))
        load = self.starts * cells.computed / self.free
        miss = 1.0 - cells.percentile
        service = cells.computed / self.free * self.full
        wait = service / (2.0 * (1.0 - load)) * np.log(np.maximum(load / miss, 1.0))
        return np.asarray(mean + own + wait)

    def seconds(
        self, prefill: Array | float, *, more: float = 0.0, at: npt.NDArray[np.intp] | slice = slice(None)
    ) -> Array:
        """`StepTime.seconds` with `prefill` prompt tokens and `more` sequences beside those that decode."""
        of = self.cells.constants
        sequences = self.decoding[at] + more
        attended = prefill * (self.cells.prompt[at] - self.cells.computed[at] / 2.0)
        kv_tokens = sequences * self.context[at]
        tokens = prefill + sequences
        linear = np.cbrt((of["_compute_base"][at] * tokens) ** 3 + of["_read_base"][at] ** 3)
        if of["_experts"].any():
            touched = of["_experts"][at] * (1.0 - of["_expert_miss"][at] ** tokens)
            read = of["_read_expert"][at] * touched
            linear = linear + np.cbrt((of["_compute_expert"][at] * tokens) ** 3 + read**3)
        seconds = (
            linear
            + np.maximum(of["_head_sequence"][at] * sequences, of["_head_memory"][at])
            + of["_kv_token"][at] * kv_tokens
            + of["_attended"][at] * attended
            + of["_token"][at] * tokens
            + of["_constant"][at]
            + of["_sequence"][at] * sequences
        )
        if of["_launch"].any():
            waits = of["_launch"][at] - linear - of["_token"][at] * tokens - of["_constant"][at]
            seconds = seconds + np.where(tokens > of["_graph_tokens"][at], np.maximum(waits, 0.0), 0.0)
        window = of["_window"][at]
        if window.any():
            seconds = seconds + of["_kv_window_token"][at] * np.minimum(kv_tokens, window * sequences)
            seconds = seconds + of["_attended_window"][at] * np.minimum(attended, window * prefill)
        return np.asarray(seconds)
