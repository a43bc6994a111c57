"""For each kind of bad input: whether the round holds the plan or goes by the estimate, and which condition says so.

From what Prometheus or the API server answers to the conditions of the object, with all that lies between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest

from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.queries import FigureRole
from medley_planner.model import Demand
from tests.unit.operator import factories as make
from tests.unit.operator.metrics.fake_prometheus import (
    GENERATION_BUCKETS,
    NOW,
    PROMPT_BUCKETS,
    WINDOW_SECONDS,
    FakePrometheus,
    labels,
    load_elements,
    size_elements,
)
from tests.unit.operator.rounds.play import Round, follow, run

LIVE: dict[str, Any] = {"workload": {"source": "Prometheus"}}
LLAMA = ServiceQuery(namespace=make.NAMESPACE, name="llama", window_seconds=WINDOW_SECONDS)


@dataclass(frozen=True)
class Told:
    """What is answered, the reason that MetricsAvailable then has, and a word of its message."""

    fake: FakePrometheus
    reason: str
    word: str


EMPTY = dict.fromkeys(GENERATION_BUCKETS, 0.0)
METRICS = {
    "zero-length histogram": Told(FakePrometheus(generation=size_elements(EMPTY, 0)), "MetricsInvalid", "no sizes"),
    "NaN count": Told(FakePrometheus(load=load_elements(completed="NaN")), "MetricsInvalid", "request_success"),
    "NaN size": Told(FakePrometheus(prompt=size_elements(PROMPT_BUCKETS, "NaN")), "MetricsInvalid", "prompt_tokens"),
    "counter that fell": Told(FakePrometheus(load=load_elements(completed=-40)), "MetricsInvalid", "request_success"),
    "histogram that fell": Told(
        FakePrometheus(prompt=size_elements({**PROMPT_BUCKETS, "500.0": 10.0}, 90_000)),
        "MetricsInvalid",
        "prompt_tokens",
    ),
    "no series": Told(FakePrometheus(load=[], prompt=[], generation=[]), "MetricsMissing", "no target"),
    "series that ended": Told(
        FakePrometheus(load=[], absence=[(labels("demo", "llama", FigureRole.SEEN), 1.0)]), "MetricsStale", "ended"
    ),
    "no size series": Told(FakePrometheus(generation=[]), "MetricsMissing", "generation_tokens"),
    "old sample": Told(FakePrometheus(load=load_elements(newest=NOW - 200)), "MetricsStale", "200 s old"),
}


def planned() -> Round:
    """A service that is planned from metrics."""
    return run(make.snapshot(make.service(spec=LIVE), observations={"llama": make.found()}))


@pytest.mark.parametrize("told", METRICS.values(), ids=METRICS.keys())
async def test_bad_metrics_hold_the_plan_that_there_is(told: Told) -> None:
    before = planned()
    seen = await told.fake.reader().observe([LLAMA])
    after = follow(before, observations={"llama": seen[LLAMA.key]})
    metrics, plan = after.condition("MetricsAvailable"), after.condition("PlanReady")
    assert (metrics.status, metrics.reason) == ("False", told.reason)
    assert told.word in metrics.message
    assert (plan.status, plan.reason) == ("True", "Held")
    assert told.reason in plan.message
    assert after.status()["plan"]["state"] == "Held"
    assert after.deleted() == []
    assert [(row["name"], row["desired"]) for row in after.status()["variants"]] == [
        (row["name"], row["desired"]) for row in before.status()["variants"]
    ]
    assert after.status()["load"] == before.status()["load"]


@pytest.mark.parametrize("static", [False, True], ids=["minimum", "static"])
@pytest.mark.parametrize("told", METRICS.values(), ids=METRICS.keys())
async def test_without_a_plan_bad_metrics_leave_the_static_workload_or_the_minimum(told: Told, static: bool) -> None:
    workload = {"source": "Prometheus", **({"static": make.STATIC} if static else {})}
    seen = await told.fake.reader().observe([LLAMA])
    first = run(make.snapshot(make.service(spec={"workload": workload}), observations={"llama": seen[LLAMA.key]}))
    metrics = first.condition("MetricsAvailable")
    assert (metrics.status, metrics.reason) == ("False", told.reason)
    assert ("planning for spec.workload.static" if static else "planning spec.scaling.minReplicas") in metrics.message
    assert first.condition("PlanReady").status == "True"
    assert first.status()["load"]["source"] == ("Static" if static else "MinReplicas")


GOOD = make.demand()
DEMANDS = {
    "rate NaN": (replace(GOOD, rate_rps=math.nan), "a rate of nan req/s"),
    "rate below 0": (replace(GOOD, rate_rps=-1.0), "a rate of -1 req/s"),
    "rate without end": (replace(GOOD, rate_rps=math.inf), "a rate of inf req/s"),
    "no sizes": (replace(GOOD, buckets=(), shares=()), "0 sizes"),
    "a share too many": (replace(GOOD, shares=(0.5, 0.5)), "2 shares"),
    "shares of 2": (replace(GOOD, buckets=GOOD.buckets * 2, shares=(1.0, 1.0)), "sum to 2"),
    "share NaN": (replace(GOOD, shares=(math.nan,)), "a size with a share of nan"),
    "prompt of 0": (make.demand(prompt=0.0), "a mean prompt of 0"),
    "endless generation": (make.demand(generation=1e300), "a mean generation of 1e+300"),
    "more hits than tokens": (replace(GOOD, prefix_hit_rate=1.2), "a prefix hit rate of 1.2"),
}


@pytest.mark.parametrize(("demand", "word"), DEMANDS.values(), ids=DEMANDS.keys())
def test_a_demand_that_cannot_be_holds_the_plan(demand: Demand, word: str) -> None:
    seen = Observation(reason=MetricsReason.FOUND, demand=demand, samples=100.0, message="seen")
    after = follow(planned(), observations={"llama": seen})
    metrics = after.condition("MetricsAvailable")
    assert (metrics.status, metrics.reason) == ("False", "MetricsInvalid")
    assert word in metrics.message
    assert after.condition("PlanReady").reason == "Held"


POINT = {"promptTokens": "500", "generationTokens": "150", "concurrency": "8"}
PROFILES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown model": ({"model": "nobody/nothing"}, "Accepted", "UnknownModel", "spec.model"),
    "another model": ({"model": "meta-llama/Llama-3.2-1B-Instruct"}, "InUse", "Unused", "no LLMService serves"),
    "another version": ({"engineVersion": "0.1"}, "InUse", "OtherEngineVersion", "0.32.0"),
    "seconds as milliseconds": ({"points": [{**POINT, "tpot": "0.012ms"}]}, "Accepted", "NoUsablePoint", "spec.points"),
    "milliseconds as seconds": ({"points": [{**POINT, "tpot": "12s"}]}, "Accepted", "NoUsablePoint", "spec.points"),
    "bytes as tokens": ({"kvTokens": 900_000_000}, "Accepted", "KvTokensImpossible", "spec.kvTokens"),
    "percent as a factor": ({"stepFactors": {"compute": "105"}}, "Accepted", "FactorOutOfRange", "stepFactors.compute"),
}


@pytest.mark.parametrize(("spec", "type_", "reason", "word"), PROFILES.values(), ids=PROFILES.keys())
def test_a_profile_that_is_of_no_use_leaves_the_estimate(
    spec: dict[str, Any], type_: str, reason: str, word: str
) -> None:
    estimated = run(make.snapshot(make.service()))
    told = run(make.snapshot(make.service(), measured=[make.model_profile("measured", **spec)]))
    found = {each["type"]: each for each in told.status("measured")["conditions"]}
    assert (found[type_]["status"], found[type_]["reason"]) == ("False", reason)
    assert word in found[type_]["message"]
    assert found["InUse"]["status"] == "False"
    assert told.prepared.problem == estimated.prepared.problem
    assert {row["provenance"] for row in told.status()["variants"]} == {"estimated"}
