"""The facts about one replica's engine that the simulator needs: its step time, its limits and its prefix cache. Values
only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from medley_planner.capacity.closed_form import API_SECONDS, PROMPT_TOKEN_SECONDS
from medley_planner.capacity.memory import KV_BLOCK_TOKENS
from medley_planner.capacity.step_time import WindowCost


class StepSeconds(Protocol):
    """Duration of one engine step in seconds; `StepTime` is one."""

    @property
    def window_cost(self) -> WindowCost:
        """The part of `seconds` that depends on single sequences; `seconds` itself knows their sums alone."""

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float: ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One replica's engine.

    `token_budget`: max-num-batched-tokens. `max_sequences`: max-num-seqs. `kv_tokens`: what the KV cache holds, handed
    out in whole blocks of `block_tokens`, of which each sequence takes `sequence_blocks` beside those of its tokens
    (what linear, state-space and windowed layers keep of it). `prefix_hit_rate`: the share of each prompt that the
    prefix cache already has, 0 to 1; it costs no prefill, but all its blocks count as the request's own (shared blocks
    are not modelled). What is in front of the engine takes `api_seconds` in the mean, two thirds of it exponentially
    distributed, and `prompt_token_seconds` for each token of the prompt; all tokens come later by this. Raises
    ValueError where an engine would refuse to start.
    """

    step: StepSeconds
    token_budget: int
    max_sequences: int
    kv_tokens: int
    max_model_len: int
    prefix_hit_rate: float = 0.0
    block_tokens: int = KV_BLOCK_TOKENS
    api_seconds: float = API_SECONDS
    prompt_token_seconds: float = PROMPT_TOKEN_SECONDS
    sequence_blocks: int = 0

    def __post_init__(self) -> None:
        if self.max_sequences < 1 or self.token_budget < self.max_sequences:
            raise ValueError(
                f"EngineSpec.token_budget is {self.token_budget} and max_sequences {self.max_sequences}; an engine "
                "wants at least one sequence and at least as many tokens per step as sequences"
            )
        if self.max_model_len < 2 or self.block_tokens < 1:
            raise ValueError(
                f"EngineSpec.max_model_len is {self.max_model_len} and block_tokens {self.block_tokens}; "
                "use at least 2 and 1"
            )
        if (self.kv_blocks - self.sequence_blocks) * self.block_tokens < self.max_model_len:
            raise ValueError(
                f"EngineSpec.kv_tokens {self.kv_tokens} in blocks of {self.block_tokens} hold no sequence of "
                f"max_model_len {self.max_model_len}; lower max_model_len to at most "
                f"{(self.kv_blocks - self.sequence_blocks) * self.block_tokens}"
            )
        if not 0.0 <= self.prefix_hit_rate <= 1.0:
            raise ValueError(f"EngineSpec.prefix_hit_rate is {self.prefix_hit_rate}; give a share from 0 to 1")
        if not 0.0 <= self.api_seconds < float("inf"):
            raise ValueError(f"EngineSpec.api_seconds is {self.api_seconds}; give seconds, 0 or more")

    @property
    def kv_blocks(self) -> int:
        return self.kv_tokens // self.block_tokens
