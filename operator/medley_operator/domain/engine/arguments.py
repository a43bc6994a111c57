"""Command line of the engine, from a table of flags keyed by the first vLLM version that has them.

Engine flags come and go between versions: a flag that the image does not know stops the engine at start. What is
written here was read from `vllm serve --help` of 0.32; the versions in which a flag first came are from its release
notes (shutdown timeout 0.18, access-log filter 0.16). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.values.labels import HTTP_PORT
from medley_planner.layout import EngineKind
from medley_planner.shapes import model_id
from medley_planner.units import duration_seconds
from medley_planner.variants import Flags, variant_flags

COMMAND = ("vllm", "serve")


class EngineFlag(StrEnum):
    """Flags that Medley sets alike in all variants. A user's argument of the same name is refused."""

    SERVED_MODEL_NAME = "--served-model-name"
    PORT = "--port"
    MAX_MODEL_LEN = "--max-model-len"
    DTYPE = "--dtype"
    GPU_MEMORY_UTILIZATION = "--gpu-memory-utilization"
    MAX_NUM_SEQS = "--max-num-seqs"
    SHUTDOWN_TIMEOUT = "--shutdown-timeout"
    DISABLE_ACCESS_LOG = "--disable-access-log-for-endpoints"


SINCE: dict[EngineFlag, tuple[int, int]] = {
    EngineFlag.SHUTDOWN_TIMEOUT: (0, 18),
    EngineFlag.DISABLE_ACCESS_LOG: (0, 16),
}
"""First version of a flag; a flag that is not listed is in every version that Medley supports."""

RESERVED = (
    variant_flags(EngineKind.VLLM)
    | {flag.value for flag in EngineFlag}
    | {
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
)
"""Flags that would break what Medley relies on: its own, and those that move the engine's endpoint or its GPUs."""


def flag_of(argument: str) -> str:
    return argument.split("=", 1)[0]


def flags_of(arguments: Iterable[str]) -> Flags:
    """Values by flag, "" for a flag without one, of `--flag=value` as Medley writes them. The last of a flag counts."""
    split = (argument.partition("=") for argument in arguments)
    return {flag: value for flag, _, value in split if flag.startswith("--")}


def user_flags(service: LLMService, profile: RuntimeProfile) -> Flags:
    """What profile and service start the engine with, beside what Medley sets."""
    return flags_of(_user_args(profile.spec.args, service.spec.runtime.args))


def engine_args(service: LLMService, profile: RuntimeProfile, variant_flags: Iterable[tuple[str, str]]) -> list[str]:
    """Arguments behind `vllm serve`, the model first. User arguments come last: the profile's, then the service's.

    `variant_flags` are what the variant is started with, as (flag, value).
    """
    spec, runtime = service.spec, profile.spec
    values: dict[EngineFlag, str] = {
        EngineFlag.SERVED_MODEL_NAME: served_model_name(service),
        EngineFlag.PORT: str(HTTP_PORT),
        EngineFlag.MAX_MODEL_LEN: str(spec.model.max_model_len),
        EngineFlag.DTYPE: "bfloat16",
        EngineFlag.GPU_MEMORY_UTILIZATION: f"{runtime.gpu_memory_utilization_percent / 100:.2f}",
        EngineFlag.MAX_NUM_SEQS: str(runtime.max_sequences),
        EngineFlag.SHUTDOWN_TIMEOUT: str(math.ceil(duration_seconds(spec.drain.timeout))),
        EngineFlag.DISABLE_ACCESS_LOG: "/health,/metrics,/ping",
    }
    version = version_of(runtime.version)
    own = [f"{flag}={value}" for flag, value in values.items() if version >= SINCE.get(flag, (0, 0))]
    own += [f"{flag}={value}" for flag, value in variant_flags]
    return [model_id(spec.model.uri), *own, *_user_args(runtime.args, spec.runtime.args)]


def _user_args(profile_args: Sequence[str], service_args: Sequence[str]) -> list[str]:
    """The service's argument replaces the profile's of the same flag."""
    replaced = {flag_of(argument) for argument in service_args}
    return [argument for argument in profile_args if flag_of(argument) not in replaced] + list(service_args)


def version_of(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def served_model_name(service: LLMService) -> str:
    return service.spec.model.name or service.metadata.name
