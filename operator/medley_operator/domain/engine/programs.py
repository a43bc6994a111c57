"""The differences between inference servers in a pod: how each is started, and what its container must have.

One row by `EngineKind`; all else of arguments and pods is alike for all. Engine flags come and go between versions: a
flag that the image does not know stops the engine at start. What is written here of vLLM was read from `vllm serve
--help` of 0.32; the versions in which a flag first came are from its release notes. Data only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medley_operator.api.v1alpha1 import ModelSource
from medley_planner.layout import EngineKind

CACHE_PATH = "/cache"
"""All that an engine writes lies below it."""
WEIGHTS_PATH = f"{CACHE_PATH}/huggingface"
"""Downloaded weights, in the layout of the Hugging Face hub: a folder for each model, locked while it is written."""

KEEP_ALIVE_SECONDS = 3900
"""How long an engine keeps an idle connection open: longer than gateways do, which must be the ones to close it. One
that the engine closes may be taken for a request at that moment, and the request is lost with 503 (seen with Envoy
1.40, which keeps idle connections for an hour). vLLM's own 5 s come from uvicorn; it reads the variable since June 2025
(its pull request 18472)."""


@dataclass(frozen=True, slots=True)
class EngineStart:
    """The start of an engine, as far as it is equal in all variants of a service. `memory_share` is of each GPU, 0 to
    1."""

    served_model_name: str
    port: int
    max_model_len: int
    memory_share: float
    max_sequences: int
    drain_seconds: int


@dataclass(frozen=True, slots=True)
class ProgramFlag:
    """A flag that Medley sets alike in all variants. `since`: the first version that has it; None: all supported."""

    name: str
    value: Callable[[EngineStart], str]
    since: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class EngineProgram:
    """One inference server.

    `command` comes before the arguments, the first of which `model_argument` makes of the model's name. `reserved` are
    flags that neither Medley nor its users may set: they move the engine's endpoint or its GPUs. `environment` and
    `user_id` let the image run without root and write below `CACHE_PATH` only; variables of `reserved_environment` are
    not a profile's to set, beside those. `health_path` answers 200 where the engine serves. `streams`: the sources that
    the engine reads by itself with `stream_flags`, and the first version that does.
    """

    command: tuple[str, ...]
    model_argument: Callable[[str], str]
    flags: tuple[ProgramFlag, ...]
    reserved: frozenset[str]
    environment: tuple[tuple[str, str], ...]
    reserved_environment: frozenset[str]
    user_id: int
    health_path: str
    streams: Mapping[ModelSource, tuple[int, int]]
    stream_flags: tuple[tuple[str, str], ...]


_VLLM = EngineProgram(
    command=("vllm", "serve"),
    model_argument=lambda model: model,
    flags=(
        ProgramFlag("--served-model-name", lambda start: start.served_model_name),
        ProgramFlag("--port", lambda start: str(start.port)),
        ProgramFlag("--max-model-len", lambda start: str(start.max_model_len)),
        ProgramFlag("--dtype", lambda _start: "bfloat16"),
        ProgramFlag("--gpu-memory-utilization", lambda start: f"{start.memory_share:.2f}"),
        ProgramFlag("--max-num-seqs", lambda start: str(start.max_sequences)),
        ProgramFlag("--shutdown-timeout", lambda start: str(start.drain_seconds), since=(0, 18)),
        ProgramFlag("--disable-access-log-for-endpoints", lambda _start: "/health,/metrics,/ping", since=(0, 16)),
    ),
    reserved=frozenset(
        {
            "--model",
            "--host",
            "--uds",
            "--root-path",
            "--headless",
            "--grpc",
            "--config",
            "--pipeline-parallel-size",
            "--data-parallel-size",
            "--ssl-certfile",
            "--ssl-keyfile",
        }
    ),
    # User id 1000 has no entry in the image's passwd file, so its name comes from here.
    environment=(
        ("HOME", CACHE_PATH),
        ("USER", "vllm"),
        ("HF_HOME", WEIGHTS_PATH),
        ("VLLM_CACHE_ROOT", f"{CACHE_PATH}/vllm"),
        ("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", str(KEEP_ALIVE_SECONDS)),
    ),
    # They would move the engine's endpoint, its files or its GPUs, or hold what a Secret holds.
    reserved_environment=frozenset(
        {
            "HF_TOKEN",
            "HF_HUB_CACHE",
            "VLLM_PORT",
            "VLLM_HOST_IP",
            "CUDA_VISIBLE_DEVICES",
            "NVIDIA_VISIBLE_DEVICES",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
        }
    ),
    user_id=1000,
    health_path="/health",
    # Run:ai Model Streamer: docs of vLLM 0.6.6 have s3://, those from September 2025 (PR 24909) have gs://.
    streams=MappingProxyType({ModelSource.S3: (0, 7), ModelSource.GOOGLE_STORAGE: (0, 11)}),
    stream_flags=(("--load-format", "runai_streamer"),),
)

PROGRAMS: Mapping[EngineKind, EngineProgram] = MappingProxyType({EngineKind.VLLM: _VLLM})
