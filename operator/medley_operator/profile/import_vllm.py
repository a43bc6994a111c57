"""Reads what `vllm bench serve --save-result` writes: one JSON object per run. Pure.

Latencies are mean_ttft_ms and mean_tpot_ms (the mean over requests), sizes the totals by completed request. The load is
max_concurrency where it holds requests back, else request_rate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from medley_operator.profile.report import (
    KEEPS_UP,
    BadReport,
    Imported,
    check_agreement,
    check_failures,
    count,
    figure,
    shared,
)
from medley_planner.capacity.points import LoadPoint
from medley_planner.units import req_per_second

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})")
_OTHER_SERVERS = ("sglang", "tgi", "tensorrt-llm", "trt", "lmdeploy", "llama.cpp", "scalellm", "deepspeed-mii")
"""Beginnings of --backend that name a server, rather than a protocol that vLLM speaks too."""
_VERSIONS = ("engine_version", "vllm_version")
"""Keys of `--metadata KEY=VALUE` that a run may carry the engine's version in; the tool itself does not write it."""
_HOLDS_BACK = 0.8
"""Above this share of max_concurrency requests under way on average, that limit and not the rate makes the load."""


def vllm_run(run: Any, *, where: str) -> Imported:
    """The point of one run. `where` names file and run in messages. Raises BadReport."""
    other = _other_tool(run)
    if other:
        way_out = f"it is {other}, so it is not a result of vllm bench serve; run that one with --save-result"
        raise BadReport.whole(where, way_out)
    if not isinstance(run, Mapping) or "mean_tpot_ms" not in run:
        way_out = "has no mean_tpot_ms, so it is not a result of vllm bench serve; run it with --save-result"
        raise BadReport.whole(where, way_out)
    backend = run.get("backend")
    if isinstance(backend, str) and backend.startswith(_OTHER_SERVERS):
        raise BadReport(where, "backend", backend, "it measured another inference server; profiles are of vLLM")
    completed = count(run, "completed", where=where)
    check_failures(_failed(run, completed, where=where), completed, where=where, field="failed")
    duration = count(run, "duration", where=where)
    if duration <= 0.0:
        raise BadReport(where, "duration", duration, "it is not a time in seconds; give the report as it was written")
    prompt = shared(figure(run, "total_input_tokens", where=where), completed)
    generation = shared(figure(run, "total_output_tokens", where=where), completed)
    ttft = figure(run, "mean_ttft_ms", where=where) / 1e3
    tpot: float | None = figure(run, "mean_tpot_ms", where=where) / 1e3
    if tpot == 0.0 and generation <= 1.0:
        tpot = None
    throughput = shared(completed, duration)
    told_throughput = run.get("request_throughput")
    check_agreement(
        throughput,
        math.nan if told_throughput is None else figure(run, "request_throughput", where=where),
        where=where,
        told="completed / duration and request_throughput",
    )
    cycle = ttft + (tpot or 0.0) * (generation - 1.0)
    under_way = throughput * cycle
    load = _load(run, under_way=under_way, throughput=throughput, where=where)
    measured_at = _measured_at(run.get("date"))
    model = run.get("model_id") if isinstance(run.get("model_id"), str) else None
    version = next((run[key] for key in _VERSIONS if isinstance(run.get(key), str)), None)
    if isinstance(load, str):
        return Imported((), (f"{where}: {load}",), measured_at, model, version)
    concurrency, rate = load
    if concurrency is not None:
        told = "max_concurrency and the requests under way that throughput, mean_ttft_ms and mean_tpot_ms make"
        check_agreement(concurrency, under_way, where=where, told=told)
    elif cycle > duration:
        raise BadReport.whole(
            where,
            f"a mean request of {cycle:g} s, by mean_ttft_ms and mean_tpot_ms, is longer than the whole run of "
            f"{duration:g} s; are these microseconds? Give the report as the tool wrote it",
        )
    point = LoadPoint(
        prompt_tokens=prompt,
        generation_tokens=generation,
        concurrency=concurrency,
        rate_rps=rate,
        ttft_seconds=ttft,
        tpot_seconds=tpot,
        requests=round(completed),
    )
    return Imported((point,), (), measured_at, model, version)


def _other_tool(run: Any) -> str:
    """The tool that wrote the file, where it is another known one; else ""."""
    if isinstance(run, list):
        return "a list of runs, as vllm bench sweep sums them up"
    if not isinstance(run, Mapping):
        return ""
    if {"tput_per_gpu", "mean_tpot"} <= run.keys():
        return "a result of InferenceMAX, without the sizes of requests"
    if isinstance(run.get("time_to_first_token"), Mapping):
        return "a summary of aiperf or genai-perf"
    if "total_output_tokens_retokenized" in run:
        return "a result of SGLang's bench_serving"
    return "a guidellm report (--from guidellm)" if "benchmarks" in run else ""


def _failed(run: Mapping[str, Any], completed: float, *, where: str) -> float:
    """Older versions do not count failures; what was sent and did not complete failed."""
    if run.get("failed") is not None:
        return count(run, "failed", where=where)
    sent = count(run, "num_prompts", where=where) if run.get("num_prompts") is not None else completed
    return max(sent - completed, 0.0)


def _load(
    run: Mapping[str, Any], *, under_way: float, throughput: float, where: str
) -> tuple[float | None, float | None] | str:
    """(clients, rate), one of them None; or why the run is not a steady state."""
    asked = run.get("request_rate")
    rate = math.inf if asked in (None, "inf") else figure(run, "request_rate", where=where)
    if not rate > 0.0:
        raise BadReport(where, "request_rate", rate, "it is not above 0; give the report as the tool wrote it")
    most = None if run.get("max_concurrency") is None else figure(run, "max_concurrency", where=where)
    if most is not None and run.get("num_prompts") is not None:
        most = min(most, figure(run, "num_prompts", where=where))
    if run.get("ramp_up_strategy") is not None:
        return f"ramp_up_strategy is {run['ramp_up_strategy']!r}: its load rises; run with one --request-rate"
    if math.isinf(rate):
        if most is None:
            return "request_rate is inf and max_concurrency is null: all requests came at once; set --max-concurrency"
        return most, None
    if most is not None and under_way > _HOLDS_BACK * most:
        return most, None
    if throughput < KEEPS_UP * rate:
        return (
            f"request_rate is {rate:g}, but {req_per_second(throughput)} were completed: the engine did not keep up, "
            "or the run was short; lower the rate or send more requests"
        )
    return None, rate


def _measured_at(date: Any) -> str | None:
    """ "20261127-130000" as RFC 3339; the zone is missing and taken for UTC."""
    match = _DATE.fullmatch(date) if isinstance(date, str) else None
    return "{}-{}-{}T{}:{}:{}Z".format(*match.groups()) if match else None
