"""The counts of one engine: the state behind its /metrics. Knows vLLM's notions, not its metric names."""

from __future__ import annotations

from e2e.fleet import histogram
from e2e.fleet.histogram import Histogram
from e2e.fleet.requests import Request

FINISHED_REASONS = ("stop", "length", "abort", "error", "repetition")


class EngineMeter:
    """Counters and histograms of one engine since `created` (Unix seconds)."""

    def __init__(self, *, max_model_len: int, created: float) -> None:
        tokens = histogram.token_edges(max_model_len)
        self.created = created
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.preemptions = 0
        self.finished = dict.fromkeys(FINISHED_REASONS, 0)
        self.request_prompt_tokens = Histogram(tokens)
        self.request_generation_tokens = Histogram(tokens)
        self.step_tokens = Histogram(histogram.STEP_TOKENS)
        self.parameter_n = Histogram(histogram.PARAMETER_N)
        self.ttft_seconds = Histogram(histogram.TTFT_SECONDS)
        self.inter_token_seconds = Histogram(histogram.TOKEN_SECONDS)
        self.tpot_seconds = Histogram(histogram.TOKEN_SECONDS)
        self.e2e_seconds = Histogram(histogram.REQUEST_SECONDS)
        self.queue_seconds = Histogram(histogram.REQUEST_SECONDS)
        self.inference_seconds = Histogram(histogram.REQUEST_SECONDS)
        self.prefill_seconds = Histogram(histogram.REQUEST_SECONDS)
        self.decode_seconds = Histogram(histogram.REQUEST_SECONDS)
        self.request_preemptions = Histogram(histogram.PREEMPTIONS)

    def tokens(self, count: int, *, seconds: float) -> None:
        """Further tokens of one request, which took so long together."""
        self.generation_tokens += count
        self.inter_token_seconds.observe(seconds / count, count)

    def first_token(self, request: Request) -> None:
        self.generation_tokens += 1
        self.prompt_tokens += request.prompt_tokens
        if request.ttft_seconds is not None:
            self.ttft_seconds.observe(request.ttft_seconds)

    def finish(self, request: Request) -> None:
        """A request that has all its tokens."""
        first, end, scheduled = request.first_token_at, request.finished_at, request.scheduled_at
        if first is None or end is None or scheduled is None:
            raise ValueError(f"request of pod {request.pod} that arrived at {request.arrival} is not finished")
        self.finished["length" if request.truncated else "stop"] += 1
        self.request_prompt_tokens.observe(request.prompt_tokens)
        self.request_generation_tokens.observe(request.generation_tokens)
        self.parameter_n.observe(1)
        # vLLM counts 0 for a request of one token, which has no time between tokens.
        self.tpot_seconds.observe(request.tpot_seconds or 0.0)
        self.e2e_seconds.observe(end - request.arrival)
        self.queue_seconds.observe(scheduled - request.arrival)
        self.inference_seconds.observe(end - scheduled)
        self.prefill_seconds.observe(first - scheduled)
        self.decode_seconds.observe(end - first)
        self.request_preemptions.observe(request.preemptions)
