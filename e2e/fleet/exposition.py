"""vLLM's /metrics of one engine as text: every `vllm:` family that the real engine of version 0.32 exports.

Written out here and not by a client library, because a scrape of some twenty pods each second has to stay cheap: the
part of a line before its value is made once per engine. HELP texts are our own; names, types, labels and edges are
vLLM's, and a test compares them with a scrape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from e2e.fleet.engine import Engine
from e2e.fleet.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CACHED_SOURCES = ("device", "host", "p2p", "disk", "external_unspecified")
_IDLE_COUNTERS = (
    "estimated_flops_per_gpu",
    "estimated_read_bytes_per_gpu",
    "estimated_write_bytes_per_gpu",
    "prefix_cache_hits",
    "external_prefix_cache_queries",
    "external_prefix_cache_hits",
    "mm_cache_queries",
    "mm_cache_hits",
    "prompt_tokens_cached",
)
"""Metrics that the modelled engine does not compute; real engines without it export it as 0."""


class Exposition:
    """Renders one engine. The engine is read when `text` is called."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._base = {"engine": "0", "model_name": engine.served.model_name}
        self._prefixes: dict[str, tuple[str, ...]] = {}
        self._created = repr(engine.meter.created)
        self._cache_config = _header("cache_config_info", "gauge", "Settings of the KV cache")
        self._cache_config += _line("cache_config_info", {"engine": "0", **_cache_config(engine)}, 1.0)

    def text(self) -> str:
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        engine, meter = self._engine, self._engine.meter
        for name in _IDLE_COUNTERS:
            yield from self._counter(name, "Not used by this engine", [({}, 0)])
        yield from self._gauge("num_requests_running", "Requests in the batch", [({}, engine.running)])
        yield from self._gauge("num_requests_waiting", "Requests in the queue", [({}, engine.waiting)])
        by_reason = [({"reason": "capacity"}, engine.waiting), ({"reason": "deferred"}, 0)]
        yield from self._gauge("num_requests_waiting_by_reason", "Requests in the queue by reason", by_reason)
        awake = [
            ({"sleep_state": state}, int(state == "awake")) for state in ("awake", "weights_offloaded", "discard_all")
        ]
        yield from self._gauge("engine_sleep_state", "Whether the engine sleeps", awake)
        yield from self._gauge("kv_cache_usage_perc", "Share of the KV cache in use", [({}, engine.kv_usage)])
        yield from self._counter("prefix_cache_queries", "Tokens looked up", [({}, meter.prompt_tokens)])
        yield from self._counter("num_preemptions", "Preemptions", [({}, meter.preemptions)])
        yield from self._counter("prompt_tokens", "Prompt tokens computed", [({}, meter.prompt_tokens)])
        computed = [({"source": "local_compute"}, meter.prompt_tokens)]
        cached = [({"source": source}, 0) for source in ("local_cache_hit", "external_kv_transfer")]
        yield from self._counter("prompt_tokens_by_source", "Prompt tokens by source", computed + cached)
        tiers = [({"source": source}, 0) for source in _CACHED_SOURCES]
        yield from self._counter("prompt_tokens_cached_by_source", "Cached prompt tokens by tier", tiers)
        yield from self._counter("generation_tokens", "Tokens generated", [({}, meter.generation_tokens)])
        finished = [({"finished_reason": reason}, count) for reason, count in meter.finished.items()]
        yield from self._counter("request_success", "Requests finished", finished)
        limits = [({"reason": reason}, 0) for reason in ("max_num_queued_reqs", "max_num_queued_tokens")]
        yield from self._counter("admission_rejections", "Requests refused", limits, per_engine=False)
        yield from self._histogram("request_prompt_tokens", meter.request_prompt_tokens)
        yield from self._histogram("request_generation_tokens", meter.request_generation_tokens)
        yield from self._histogram("iteration_tokens_total", meter.step_tokens)
        yield from self._histogram("request_max_num_generation_tokens", meter.request_generation_tokens)
        yield from self._histogram("request_params_n", meter.parameter_n)
        yield from self._histogram("request_params_max_tokens", meter.request_generation_tokens)
        yield from self._histogram("time_to_first_token_seconds", meter.ttft_seconds)
        yield from self._histogram("inter_token_latency_seconds", meter.inter_token_seconds)
        yield from self._histogram("request_time_per_output_token_seconds", meter.tpot_seconds)
        yield from self._histogram("e2e_request_latency_seconds", meter.e2e_seconds)
        yield from self._histogram("request_queue_time_seconds", meter.queue_seconds)
        yield from self._histogram("request_inference_time_seconds", meter.inference_seconds)
        yield from self._histogram("request_prefill_time_seconds", meter.prefill_seconds)
        yield from self._histogram("request_decode_time_seconds", meter.decode_seconds)
        yield from self._histogram("request_num_preemptions", meter.request_preemptions)
        yield from self._histogram("request_prefill_kv_computed_tokens", meter.request_prompt_tokens)
        yield self._cache_config

    def _gauge(self, name: str, about: str, samples: Iterable[tuple[dict[str, str], float]]) -> Iterator[str]:
        yield _header(name, "gauge", about)
        for labels, value in samples:
            yield _line(name, {**self._base, **labels}, value)

    def _counter(
        self, name: str, about: str, samples: list[tuple[dict[str, str], int]], *, per_engine: bool = True
    ) -> Iterator[str]:
        base = self._base if per_engine else {"model_name": self._base["model_name"]}
        yield _header(f"{name}_total", "counter", about)
        for labels, value in samples:
            yield _line(f"{name}_total", {**base, **labels}, value)
        yield _header(f"{name}_created", "gauge", about)
        for labels, _ in samples:
            yield _line(f"{name}_created", {**base, **labels}, self._engine.meter.created)

    def _histogram(self, name: str, histogram: Histogram) -> Iterator[str]:
        prefixes = self._prefixes.get(name)
        if prefixes is None:
            prefixes = self._prefixes[name] = self._histogram_prefixes(name, histogram)
        head, *buckets, count, total, created = prefixes
        yield head
        cumulative = 0
        for prefix, inside in zip(buckets, histogram.buckets, strict=True):
            cumulative += inside
            yield f"{prefix}{cumulative}.0\n"
        yield f"{count}{histogram.count}.0\n{total}{float(histogram.total)!r}\n{created}{self._created}\n"

    def _histogram_prefixes(self, name: str, histogram: Histogram) -> tuple[str, ...]:
        edges = [*(repr(edge) for edge in histogram.edges), "+Inf"]
        return (
            _header(name, "histogram", "Distribution over requests or steps"),
            *(_prefix(f"{name}_bucket", {**self._base, "le": edge}) for edge in edges),
            _prefix(f"{name}_count", self._base),
            _prefix(f"{name}_sum", self._base),
            _header(f"{name}_created", "gauge", "Start of the histogram") + _prefix(f"{name}_created", self._base),
        )


def _header(name: str, kind: str, about: str) -> str:
    return f"# HELP vllm:{name} {about}.\n# TYPE vllm:{name} {kind}\n"


def _prefix(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{label}="{_escaped(labels[label])}"' for label in sorted(labels))
    return f"vllm:{name}{{{inside}}} "


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    return f"{_prefix(name, labels)}{float(value)!r}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _cache_config(engine: Engine) -> dict[str, str]:
    """Labels of cache_config_info: what the model knows, and vLLM's defaults for the rest."""
    spec = engine.served.spec
    return {
        "_block_size_resolved": "True",
        "block_size": str(spec.block_tokens),
        "cache_dtype": "auto",
        "cache_hit_alignment_tokens": "None",
        "effective_attention_block_size": str(spec.block_tokens),
        "enable_mamba_shared_prefix_checkpoint": "False",
        "enable_prefix_caching": "True",
        "gpu_memory_utilization": str(engine.served.gpu_memory_utilization),
        "hash_block_size": "None",
        "is_attention_free": "False",
        "kv_cache_dtype_skip_layers": "[]",
        "kv_cache_layout": "None",
        "kv_cache_max_concurrency": str(spec.kv_tokens / spec.max_model_len),
        "kv_cache_memory_bytes": "None",
        "kv_cache_size_tokens": str(spec.kv_tokens),
        "kv_offloading_backend": "native",
        "kv_offloading_size": "None",
        "kv_sharing_fast_prefill": "False",
        "mamba_block_size": "None",
        "mamba_cache_dtype": "auto",
        "mamba_cache_mode": "none",
        "mamba_page_size_padded": "None",
        "mamba_ssm_cache_dtype": "float32",
        "num_cpu_blocks": "None",
        "num_gpu_blocks": str(spec.kv_blocks),
        "num_gpu_blocks_override": "None",
        "prefix_cache_retention_interval": "0",
        "prefix_caching_hash_algo": "sha256",
        "prefix_match_unit": "None",
        "replayssm_buffer_len": "16",
        "skip_page_size_padded": "None",
        "sliding_window": "None",
        "swa_bounded_replay": "True",
        "use_kda_recoverssm": "False",
        "use_replayssm": "False",
        "user_specified_block_size": "False",
    }
