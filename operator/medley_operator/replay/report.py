"""A replay as plain values: what `medley replay -o json` prints, and what its table and its page are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medley_operator.replay.bad_replay import LeftOut
from medley_operator.replay.baselines.clairvoyant import NAME as CLAIRVOYANT
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.scenario import Scenario
from medley_planner.units import money


def summarise(
    scenario: Scenario, outcomes: Sequence[PolicyOutcome], left_out: Sequence[LeftOut] = ()
) -> dict[str, Any]:
    """US dollars, seconds, requests per second; null where there is nothing to judge. `over_clairvoyant`: the cost as a
    multiple of that of the clairvoyant policy, where it was replayed. `left_out`: policies that could not be."""
    foreseen = next((outcome.cost for outcome in outcomes if outcome.name == CLAIRVOYANT), 0.0)
    return {
        "seed": scenario.settings.seed,
        "seconds": round(scenario.last_arrival_seconds, 3),
        "requests": sum(len(trace) for trace in scenario.traces.values()),
        "services": [
            {
                "name": f"{service.metadata.namespace}/{service.metadata.name}",
                "ttft_seconds": service.spec.slo.ttft_seconds,
                "tpot_seconds": service.spec.slo.tpot_seconds,
                "percentile": float(service.spec.slo.percentile),
            }
            for service in scenario.own.services
        ],
        "policies": [
            {**_policy(outcome), "over_clairvoyant": round(outcome.cost / foreseen, 4) if foreseen > 0.0 else None}
            for outcome in outcomes
        ],
        "left_out": [{"name": each.policy, "why": each.why} for each in left_out],
        "timeline": [point for outcome in outcomes for point in _points(scenario, outcome)],
    }


def summarise_sweep(scenario: Scenario, found: Sequence[tuple[Mapping[str, Any], PolicyOutcome]]) -> dict[str, Any]:
    """As `summarise`, with `candidates` in place of policies and without a timeline; the best ones come first: those
    that keep the percentile over all requests by their cost, then the others by their attainment."""
    whole = summarise(scenario, [])
    least = max(service["percentile"] for service in whole["services"])
    rows = [{"settings": dict(settings), **_policy(outcome)} for settings, outcome in found]
    rows.sort(key=lambda row: _rank(row, least))
    del whole["policies"], whole["left_out"], whole["timeline"]
    return {**whole, "candidates": rows}


def targets_text(service: Mapping[str, Any]) -> str:
    """The targets of one of the report's services, for people."""
    return (
        f"{service['name']}: {service['percentile']:g} % within TTFT {service['ttft_seconds']:g} s and TPOT "
        f"{1000 * service['tpot_seconds']:g} ms"
    )


def cells(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of a policy, for people: name, cost, attained, worst hour, mean replicas, changes, not served, note."""
    return (
        policy["name"],
        f"${money(policy['cost'])}",
        f"{policy['attainment_percent']:.2f} %",
        f"{policy['worst_hour_percent']:.2f} %",
        f"{policy['mean_replicas']:.2f}",
        str(policy["changes"]),
        str(policy["unfinished"]),
        policy["note"],
    )


def energy_cells(policy: Mapping[str, Any]) -> tuple[str, str]:
    """Energy and energy per million tokens of a policy in kWh, for people; the second empty where none were served."""
    by_tokens = policy["kwh_per_million_tokens"]
    return f"{policy['energy_kwh']:.2f}", "" if by_tokens is None else f"{by_tokens:.3f}"


def over_clairvoyant(policy: Mapping[str, Any]) -> str:
    """The cost as a multiple of the clairvoyant policy's, for people; empty where that was not replayed."""
    ratio = policy["over_clairvoyant"]
    return "" if ratio is None else f"{ratio:.3f}"


def with_ratio(row: tuple[str, ...], ratio: str) -> tuple[str, ...]:
    """A row, or its headings, with the multiple behind the cost."""
    return (*row[:2], ratio, *row[2:])


def _rank(row: dict[str, Any], least: float) -> tuple[bool, float]:
    kept = row["attainment_percent"] >= least
    return not kept, row["cost"] if kept else -row["attainment_percent"]


def _policy(outcome: PolicyOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "cost": round(outcome.cost, 4),
        "cost_by_pool": {pool: round(cost, 4) for pool, cost in outcome.cost_by_pool.items()},
        "attainment_percent": _percent(outcome.attainment),
        "worst_hour_percent": _percent(outcome.worst_hour),
        "mean_replicas": round(outcome.mean_replicas, 3),
        "changes": outcome.changes,
        "starts": outcome.starts,
        "stops": outcome.stops,
        "plans": outcome.plans,
        "requests": outcome.requests,
        "unfinished": outcome.unfinished,
        "short_seconds": outcome.short_seconds,
        "energy_kwh": round(outcome.energy_kwh, 4),
        "kwh_per_million_tokens": None
        if outcome.kwh_per_million_tokens is None
        else round(outcome.kwh_per_million_tokens, 5),
        "capped_gpu_hours": round(outcome.capped_gpu_hours, 4),
        "most_pressure": {name: round(part, 4) for name, part in sorted(outcome.most_pressure.items())},
        "note": outcome.note,
        "hours": [
            {
                "service": hour.service,
                "hour": hour.hour,
                "requests": hour.requests,
                "attainment_percent": _percent(hour.attainment),
                "ttft_percent": _percent(hour.ttft),
                "tpot_percent": _percent(hour.tpot),
            }
            for hour in outcome.hours
        ],
    }


def _points(scenario: Scenario, outcome: PolicyOutcome) -> list[dict[str, Any]]:
    """One for each minute: how it was at its start, and what became of the requests that arrived in it."""
    arrivals = np.concatenate([trace.arrival_seconds for trace in scenario.traces.values()])
    times = [point.seconds for point in outcome.timeline]
    counts, _ = np.histogram(arrivals, bins=[*times, np.inf])
    return [
        {
            "policy": outcome.name,
            "seconds": point.seconds,
            "arrivals_rps": round(int(count) / outcome.step_seconds, 4),
            "replicas": dict(sorted(point.replicas.items())),
            "ready": point.ready,
            "cost_per_hour": round(point.cost_per_hour, 4),
            "unfinished": point.unfinished,
            "attainment_percent": None if share is None else _percent(share),
        }
        for point, count, share in zip(outcome.timeline, counts, outcome.minutes, strict=True)
    ]


def _percent(share: float) -> float:
    return round(100.0 * share, 3)
