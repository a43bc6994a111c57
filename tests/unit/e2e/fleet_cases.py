"""Small clusters and engines for the fleet's tests: a linear step time, so that expected figures follow by hand."""

from __future__ import annotations

from dataclasses import dataclass

from e2e.fleet.arguments import parse_arguments
from e2e.fleet.cluster import Backend, ClusterState, EnginePod, Key, Route
from e2e.fleet.engine import Engine, ServedEngine
from e2e.fleet.requests import Request
from medley_planner.capacity.step_time import NO_WINDOW, WindowCost
from medley_planner.engine import EngineSpec, StepTable

SERVICE = Key("demo", "llama")
START = 1_000_000.0


@dataclass(frozen=True)
class LinearStep:
    """10 ms, 0.1 ms per prefill token, 0.1 ms per decoding sequence."""

    base: float = 0.010
    per_prefill_token: float = 0.0001
    per_sequence: float = 0.0001
    window_cost: WindowCost = NO_WINDOW

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float:
        return self.base + self.per_prefill_token * prefill_tokens + self.per_sequence * decode_sequences


def served_engine(
    *, max_model_len: int = 4096, kv_tokens: int = 100_000, max_sequences: int = 64, max_batched_tokens: int = 2048
) -> ServedEngine:
    step = LinearStep()
    spec = EngineSpec(
        step,
        token_budget=max_batched_tokens,
        max_sequences=max_sequences,
        kv_tokens=kv_tokens,
        max_model_len=max_model_len,
        api_seconds=0.0,
        prompt_token_seconds=0.0,
    )
    table = StepTable.of(step, token_budget=max_batched_tokens, max_sequences=max_sequences)
    return ServedEngine("llama", 0.9, spec, table)


def engine(served: ServedEngine | None = None) -> Engine:
    return Engine(served or served_engine(), start=START)


def spec_of(pod: EnginePod, model_config: str | None) -> ServedEngine:
    settings = parse_arguments(pod.args)
    return served_engine(max_model_len=settings.max_model_len)


def request(at: float, *, prompt: int = 500, generation: int = 50) -> Request:
    return Request(arrival=START + at, prompt_tokens=prompt, generation_tokens=generation)


def pod(
    name: str, *, variant: str = "l4", ready: bool = True, terminating: bool = False, grace: float = 60.0
) -> EnginePod:
    labels = {"app.kubernetes.io/managed-by": "medley", "medley.dev/service": "llama", "medley.dev/variant": variant}
    return EnginePod(
        key=Key("demo", name),
        labels=labels,
        service="llama",
        variant=variant,
        pool=variant,
        gpu="L4",
        args=("org/model", "--served-model-name=llama", "--max-model-len=4096"),
        ready=ready,
        terminating=terminating,
        grace_seconds=grace,
    )


def cluster(*pods: EnginePod, weights: dict[str, int] | None = None, accepted: bool = True) -> ClusterState:
    """The service's pods behind a common Service, one Service per variant and, with `weights`, a route."""
    common = {"app.kubernetes.io/managed-by": "medley", "medley.dev/service": "llama"}
    variants = {entry.variant for entry in pods} | set(weights or {})
    selectors = {Key("demo", f"llama-{name}"): {**common, "medley.dev/variant": name} for name in variants}
    backends = tuple(Backend(f"llama-{name}", weight) for name, weight in (weights or {}).items())
    return ClusterState(
        pods={entry.key: entry for entry in pods},
        selectors={SERVICE: common, **selectors},
        routes={} if weights is None else {SERVICE: Route(SERVICE, accepted, backends)},
    )
