"""The differences between inference servers in a pod: how each is started, and what its container must have.

One row by `EngineKind`; all else of arguments and pods is alike for all. Engine flags come and go between versions: a
flag that the image does not know stops the engine at start. What is written here of vLLM was read from `vllm serve
--help` of 0.32; the versions in which a flag first came are from its release notes. Data only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medley_planner.layout import EngineKind

CACHE_PATH = "/cache"
"""The one volume that an engine writes to."""


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
    `user_id` let the image run without root and write below `CACHE_PATH` only. `health_path` answers 200 where the
    engine serves.
    """

    command: tuple[str, ...]
    model_argument: Callable[[str], str]
    flags: tuple[ProgramFlag, ...]
    reserved: frozenset[str]
    environment: tuple[tuple[str, str], ...]
    user_id: int
    health_path: str


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
        ("HF_HOME", f"{CACHE_PATH}/huggingface"),
        ("VLLM_CACHE_ROOT", f"{CACHE_PATH}/vllm"),
    ),
    user_id=1000,
    health_path="/health",
)

PROGRAMS: Mapping[EngineKind, EngineProgram] = MappingProxyType({EngineKind.VLLM: _VLLM})
