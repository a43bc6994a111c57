"""The forms in which traces are published, as tables: names of fields, units of times, and rows within rows. Pure.

Mooncake and aiperf's replay (timestamp in whole milliseconds, input_length, output_length); Bailian (the same names,
with chat_id, in seconds); the Azure LLM inference traces; BurstGPT; Vidur; splitwise-sim; AIBrix's workloads (requests
of one timestamp in milliseconds); aiperf's records (request_start_ns, metrics); one request a line with plain names.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from medley_planner.cli.trace_times import TimeUnit, all_whole, unit_of
from medley_planner.engine.trace import Floats

ARRIVAL = (
    *("arrival_seconds", "arrival_time", "arrival", "arrived_at", "arrival_timestamp", "request_start_ns"),
    *("start_time", "timestamp", "timestamp_ms", "time"),
)
PROMPT = (
    *("prompt_tokens", "contexttokens", "context_tokens", "input_length", "input_tokens", "input_toks", "prompt_len"),
    *("prompt_length", "request_tokens", "num_prefill_tokens", "prompt_size", "input_sequence_length", "prompt", "isl"),
)
GENERATION = (
    *("generation_tokens", "generatedtokens", "generated_tokens", "output_length", "output_tokens", "output_toks"),
    *(
        "output_len",
        "response_tokens",
        "num_decode_tokens",
        "token_size",
        "output_sequence_length",
        "generation",
        "osl",
    ),
)
_MOONCAKE = frozenset({"timestamp", "input_length", "output_length"})
_BAILIAN = "chat_id"
_NESTED = "requests"
_FAILED = ("error", "errors")


@lru_cache(maxsize=256)
def plain_name(name: Hashable) -> str:
    """The name of a field as the tables above have it. Kept, as all rows have the same names."""
    return "_".join(str(name).strip().lower().split())


def arrival_unit(name: str, fields: Collection[str], times: Floats) -> TimeUnit:
    """The unit of the arrivals. `fields`: those of a row."""
    if name.endswith("_ns"):
        return TimeUnit.NANOSECONDS
    if name.endswith("_ms") or _NESTED in fields:
        return TimeUnit.MILLISECONDS
    if name.endswith("_seconds"):
        return TimeUnit.SECONDS
    whole_milliseconds = set(fields) >= _MOONCAKE and _BAILIAN not in fields and all_whole(times)
    return unit_of(times, relative=TimeUnit.MILLISECONDS if whole_milliseconds else TimeUnit.SECONDS)


def requests_in(entry: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    """The requests of one object: itself, those that it holds (AIBrix), or its metadata and metrics (aiperf)."""
    fields = {plain_name(name): value for name, value in entry.items()}
    held, metadata, metrics = fields.get(_NESTED), fields.get("metadata"), fields.get("metrics")
    if isinstance(held, list):
        for one in held:
            if not isinstance(one, Mapping):
                raise TypeError(one)
            yield {**fields, **{plain_name(name): value for name, value in one.items()}}
    elif isinstance(metadata, Mapping) and isinstance(metrics, Mapping):
        figures = {
            plain_name(name): value.get("value") if isinstance(value, Mapping) else value
            for name, value in metrics.items()
        }
        yield {**{plain_name(name): value for name, value in metadata.items()}, **figures, "error": fields.get("error")}
    else:
        yield fields


def has_failed(fields: Mapping[str, Any]) -> bool:
    """Whether a request says of itself that it failed; one that generated nothing did too."""
    if any(fields.get(name) not in (None, "", [], {}) for name in _FAILED):
        return True
    return str(fields.get("success", "")).strip().lower() in ("false", "0")
