"""An engine's step time as tables, so that the simulator's inner loop looks up and adds instead of calling. Pure.

Rests on a step time of the form F(tokens) + G(sequences) + kv_token * kv_tokens + attended * prefill_attended, where
tokens counts prefill tokens and decoding sequences together, and on its `WindowCost`. `StepTime` has it, mixtures of
experts included. It is also what makes the time of k decode steps a closed form: only kv_tokens changes between them,
and linearly until a sequence fills its window. A step time of another form is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from medley_planner.capacity.step_time import NO_WINDOW, WindowCost
from medley_planner.engine.spec import StepSeconds

# Powers of two, so large that the differences below lose nothing to the constant part of a step.
_MANY_KV_TOKENS = 2.0**36
_MANY_ATTENDED = 2.0**44
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class StepTable:
    """Seconds by count: a step takes `tokens[p + b] + sequences[b] + kv_token * kv_tokens + attended * attended_tokens`
    with p prefill tokens and b decoding sequences; without prefill that is `decode[b] + kv_token * kv_tokens`. To both
    comes what `window` says of single sequences."""

    tokens: tuple[float, ...]
    sequences: tuple[float, ...]
    decode: tuple[float, ...]
    kv_token: float
    attended: float
    window: WindowCost = NO_WINDOW

    @classmethod
    def of(cls, step: StepSeconds, *, token_budget: int, max_sequences: int) -> StepTable:
        """Raises ValueError where `step` is not of the form that the module describes, or not finite and positive."""
        idle = _seconds(step)
        tokens = tuple(_seconds(step, prefill=float(count)) for count in range(token_budget + 1))
        decode = tuple(_seconds(step, sequences=float(count)) for count in range(max_sequences + 1))
        table = cls(
            tokens=tokens,
            sequences=tuple(decode[count] - tokens[count] for count in range(max_sequences + 1)),
            decode=decode,
            kv_token=(_seconds(step, kv=_MANY_KV_TOKENS) - idle) / _MANY_KV_TOKENS,
            attended=(_seconds(step, attended=_MANY_ATTENDED) - idle) / _MANY_ATTENDED,
            window=step.window_cost,
        )
        table._check(step)
        return table

    def times(self, factor: float) -> StepTable:
        """The table of an engine each step of which takes so many times as long."""
        return StepTable(
            tokens=tuple(factor * seconds for seconds in self.tokens),
            sequences=tuple(factor * seconds for seconds in self.sequences),
            decode=tuple(factor * seconds for seconds in self.decode),
            kv_token=factor * self.kv_token,
            attended=factor * self.attended,
            window=WindowCost(self.window.window, factor * self.window.kv_token, factor * self.window.attended),
        )

    def seconds(self, *, prefill_tokens: int, attended: float, sequences: int, kv_tokens: float) -> float:
        """The same from sums over sequences alone, of which as many as can be count as within the window."""
        seconds = self.tokens[prefill_tokens + sequences] + self.sequences[sequences]
        seconds += self.kv_token * kv_tokens + self.attended * attended
        seconds += self.window.kv_token * min(kv_tokens, self.window.window * sequences)
        return seconds + self.window.attended * min(attended, self.window.window * prefill_tokens)

    def _check(self, step: StepSeconds) -> None:
        most_sequences, most_tokens = len(self.decode) - 1, len(self.tokens) - 1
        for sequences in {0, 1, most_sequences // 3, most_sequences}:
            for prefill in {0, 1, (most_tokens - sequences) // 2, most_tokens - sequences}:
                if prefill < 0 or prefill + sequences > most_tokens:
                    continue
                attended, kv = 3000.0 * prefill, 2000.0 * sequences
                wanted = _seconds(step, prefill=float(prefill), attended=attended, sequences=float(sequences), kv=kv)
                got = self.seconds(prefill_tokens=prefill, attended=attended, sequences=sequences, kv_tokens=kv)
                if not (math.isfinite(wanted) and wanted > 0.0):
                    raise ValueError(
                        f"step time of {prefill} prefill tokens and {sequences} sequences is {wanted} s; it must be "
                        "finite and above 0"
                    )
                if not math.isclose(got, wanted, rel_tol=_TOLERANCE):
                    raise ValueError(
                        f"step time of {prefill} prefill tokens and {sequences} sequences is {wanted!r} s, but {got!r} "
                        "s from its parts: the simulator needs F(tokens) + G(sequences) + terms linear in kv_tokens "
                        "and prefill_attended"
                    )


def _seconds(
    step: StepSeconds, *, prefill: float = 0.0, attended: float = 0.0, sequences: float = 0.0, kv: float = 0.0
) -> float:
    return step.seconds(prefill_tokens=prefill, prefill_attended=attended, decode_sequences=sequences, kv_tokens=kv)
