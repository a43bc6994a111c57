"""One generated request and what became of it: the record that metrics and judge share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """Why a request was never answered."""

    NO_BACKEND = "no_backend"
    """The data path led to no Ready pod (a client sees 503)."""
    UNKNOWN_ENGINE = "unknown_engine"
    """The pod's engine would not have started (model, GPU or memory), though the pod is Ready."""
    ABORTED = "aborted"
    """The pod was gone before the request was done."""


@dataclass(slots=True)
class Request:
    """Times are Unix seconds of the fleet's clock. `variant` and `pod` are "" where no pod took it."""

    arrival: float
    prompt_tokens: int
    generation_tokens: int
    truncated: bool = False
    """The model's length limit cut the generation."""
    variant: str = ""
    pod: str = ""
    scheduled_at: float | None = None
    first_token_at: float | None = None
    finished_at: float | None = None
    failure: Failure | None = None
    preemptions: int = 0

    def fail(self, reason: Failure, now: float) -> None:
        self.failure = reason
        self.finished_at = now

    @property
    def ttft_seconds(self) -> float | None:
        return None if self.first_token_at is None else self.first_token_at - self.arrival

    @property
    def tpot_seconds(self) -> float | None:
        """Mean time per token after the first; None before the end, and where there is only one token."""
        if self.failure is not None or self.finished_at is None or self.first_token_at is None:
            return None
        if self.generation_tokens < 2:
            return None
        return (self.finished_at - self.first_token_at) / (self.generation_tokens - 1)
