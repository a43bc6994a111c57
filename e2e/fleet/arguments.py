"""The engine's settings, read from a pod's container arguments as `vllm serve` would read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

DEFAULT_BATCHED_TOKENS = 8192
DEFAULT_SEQUENCES = 256
DEFAULT_MEMORY_UTILIZATION = 0.92
"""Defaults of vLLM 0.32 for a server on data-centre GPUs (`vllm serve --help`, cache_config_info of a scrape)."""


class UnknownEngine(Exception):
    """The fleet cannot stand in for this pod; the message says which pod, what is wrong and the way out."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The settings from the command line. `quantization` is "" where the weights keep the dtype's precision,
    `kv_cache_dtype` "auto" where the cache does."""

    model: str
    served_model_name: str
    max_model_len: int
    tensor_parallel: int
    max_batched_tokens: int
    max_sequences: int
    dtype: str
    quantization: str
    kv_cache_dtype: str
    gpu_memory_utilization: float


def parse_arguments(args: Sequence[str]) -> EngineSettings:
    """Settings of `vllm serve <args>`: the model first, flags as `--flag=value` or `--flag value`; the last one counts.

    Raises `UnknownEngine` where the model or --max-model-len is missing, or a number cannot be read.
    """
    if not args or args[0].startswith("-"):
        raise UnknownEngine(f"args {list(args)!r}: the first must be the model, as in `vllm serve MODEL --flag=value`")
    flags: dict[str, str] = {}
    for argument, following in pairwise([*args[1:], "--"]):
        if argument.startswith("--"):
            name, given, value = argument.partition("=")
            flags[name] = value if given else ("" if following.startswith("--") else following)
    model = args[0]
    return EngineSettings(
        model=model,
        served_model_name=flags.get("--served-model-name", model),
        max_model_len=_integer(flags, "--max-model-len", None),
        tensor_parallel=_integer(flags, "--tensor-parallel-size", 1),
        max_batched_tokens=_integer(flags, "--max-num-batched-tokens", DEFAULT_BATCHED_TOKENS),
        max_sequences=_integer(flags, "--max-num-seqs", DEFAULT_SEQUENCES),
        dtype=flags.get("--dtype", "auto"),
        quantization=flags.get("--quantization", ""),
        kv_cache_dtype=flags.get("--kv-cache-dtype", "auto"),
        gpu_memory_utilization=_share(flags, "--gpu-memory-utilization", DEFAULT_MEMORY_UTILIZATION),
    )


def _integer(flags: dict[str, str], name: str, default: int | None) -> int:
    value = flags.get(name)
    if value is None:
        if default is None:
            raise UnknownEngine(f"flag {name} is missing: the fleet needs it to size the token histograms; set it")
        return default
    try:
        return int(value)
    except ValueError as error:
        raise UnknownEngine(f"flag {name}={value!r} is not a whole number") from error


def _share(flags: dict[str, str], name: str, default: float) -> float:
    value = flags.get(name)
    if value is None:
        return default
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UnknownEngine(f"flag {name}={value!r} is not a number above 0 and up to 1")
    return share
