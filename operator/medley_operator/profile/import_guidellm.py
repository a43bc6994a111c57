"""Reads guidellm's JSON report: one point for each benchmark in it. Pure.

Means of successful requests count. TPOT is inter_token_latency_ms, the time after the first token by further token;
guidellm's time_per_output_token_ms counts the first token too. The strategy stands in config (0.4 on) or args (before).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medley_operator.domain.values.leadtime import utc_text
from medley_operator.profile.report import (
    KEEPS_UP,
    BadReport,
    Imported,
    check_agreement,
    check_failures,
    count,
    figure,
    joined,
    look_up,
)
from medley_planner.capacity.points import LoadPoint
from medley_planner.units import req_per_second


def guidellm_report(report: Any, *, where: str) -> Imported:
    """The points of a report. `where` names the file in messages. Raises BadReport."""
    runs = report.get("benchmarks") if isinstance(report, Mapping) else None
    if not isinstance(runs, list) or not runs:
        way_out = "has no benchmarks, so it is not a guidellm report; run it with --output-path x.json"
        raise BadReport.whole(where, way_out)
    return joined([_point(run, where=f"{where}: benchmarks[{index}]") for index, run in enumerate(runs)])


def _point(run: Any, *, where: str) -> Imported:
    if not isinstance(run, Mapping) or not isinstance(run.get("metrics"), Mapping):
        raise BadReport.whole(where, "has no metrics; give a complete guidellm report")

    def mean(name: str) -> float:
        return figure(run, f"metrics.{name}.successful.mean", where=where)

    newer = "metrics.request_totals.successful"
    requests = count(run, newer if look_up(run, newer) is not None else "total_count.successful", where=where)
    measured_at = _measured_at(run.get("start_time"))
    errored = "metrics.request_totals.errored"
    if look_up(run, errored) is not None:
        check_failures(count(run, errored, where=where), requests, where=where, field=errored)
    if not requests:
        return Imported((), (f"{where}: no request was successful; correct the target",), measured_at)
    prompt, generation = mean("prompt_token_count"), mean("output_token_count")
    ttft, tpot = mean("time_to_first_token_ms") / 1e3, mean("inter_token_latency_ms") / 1e3
    check_agreement(
        mean("request_latency"),
        ttft + tpot * max(generation - 1.0, 0.0),
        where=where,
        told="request_latency (seconds) and time_to_first_token_ms + inter_token_latency_ms per further token",
    )
    load = _load(run, throughput=mean("requests_per_second"), where=where)
    if isinstance(load, str):
        return Imported((), (f"{where}: {load}",), measured_at)
    concurrency, rate = load
    point = LoadPoint(
        prompt_tokens=prompt,
        generation_tokens=generation,
        concurrency=concurrency,
        rate_rps=rate,
        ttft_seconds=ttft,
        tpot_seconds=None if tpot == 0.0 and generation <= 1.0 else tpot,
        requests=round(requests),
    )
    return Imported((point,), (), measured_at)


def _load(run: Mapping[str, Any], *, throughput: float, where: str) -> tuple[float | None, float | None] | str:
    """(clients, rate), one of them None; or why the benchmark is not a steady state."""
    at = "config.strategy" if look_up(run, "config.strategy") is not None else "args.strategy"
    kind = look_up(run, f"{at}.type_")
    if look_up(run, f"{at}.rampup_duration"):
        return f"{at}.rampup_duration is {look_up(run, f'{at}.rampup_duration')!r}: its load rises; run it without"
    if kind == "synchronous":
        return 1.0, None
    if kind == "concurrent":
        return figure(run, f"{at}.streams", where=where), None
    if kind in ("constant", "poisson"):
        rate = figure(run, f"{at}.rate", where=where)
        if throughput < KEEPS_UP * rate:
            return (
                f"{at}.rate is {rate:g}, but {req_per_second(throughput)} were completed: the engine did not keep up, "
                "or the run was short; leave it out of the sweep"
            )
        return None, rate
    return f"{at}.type_ is {kind!r}, which has no steady load; run it with a rate, or with concurrent streams"


def _measured_at(start: Any) -> str | None:
    if isinstance(start, bool) or not isinstance(start, int | float) or not 0 < start < 1e11:
        return None
    return utc_text(float(start))
