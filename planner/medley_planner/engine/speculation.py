"""The step time of an engine that guesses tokens ahead and verifies several in one step. Pure.

The simulator gives each sequence one token a step. So a step that verifies `drafts` guessed tokens of each sequence is
spread over the tokens that it yields on average. Prompts in it cost what they add to it.

Apart: it wraps any step time, and neither the step time nor the engine knows of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from medley_planner.capacity.step_time import WindowCost
from medley_planner.engine.spec import StepSeconds


@dataclass(frozen=True, slots=True)
class SpeculativeStep:
    """`step` with `drafts` guessed tokens for each sequence, of which each is right with probability `acceptance` where
    those before it are. A guess costs `draft_share` of a step that decodes: a multi-token prediction layer is one
    layer. Raises ValueError where a figure is out of range."""

    step: StepSeconds
    drafts: int
    acceptance: float
    draft_share: float

    def __post_init__(self) -> None:
        if self.drafts < 1:
            raise ValueError(f"SpeculativeStep.drafts is {self.drafts}; give at least 1")
        for name in ("acceptance", "draft_share"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"SpeculativeStep.{name} is {value}; give a share from 0 to 1")

    @property
    def tokens_per_step(self) -> float:
        """Tokens that each sequence gets of a step in the mean: its own, and the guesses up to the first wrong one."""
        return sum(self.acceptance**count for count in range(self.drafts + 1))

    @property
    def window_cost(self) -> WindowCost:
        cost = self.step.window_cost
        return replace(cost, kv_token=cost.kv_token / self.tokens_per_step)

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float:
        """Seconds for one token of each sequence; see `StepTime.seconds`."""

        def whole(*, prefill: float = 0.0, attended: float = 0.0, kv: float = 0.0) -> float:
            return self.step.seconds(
                prefill_tokens=prefill, prefill_attended=attended, decode_sequences=decode_sequences, kv_tokens=kv
            )

        alone = whole()
        token = alone
        if decode_sequences:
            verifying = whole(prefill=self.drafts * decode_sequences)
            token = (verifying + self.drafts * self.draft_share * alone) / self.tokens_per_step
        reads = (whole(kv=kv_tokens) - alone) / self.tokens_per_step
        return token + whole(prefill=prefill_tokens, attended=prefill_attended) - alone + reads
