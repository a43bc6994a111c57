"""Whatever one object says, a round of the pure core ends, and the services beside it are planned as without it.

Two services: a clean one, and one of another model that all the nonsense is about: measured profiles, observations,
speeds that counters told, simulated capacities, pods, histories, and its own status of before a restart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import LLMService, ModelProfile
from medley_operator.domain import labels
from medley_operator.domain.conclude import conclude
from medley_operator.domain.contexts import Standing
from medley_operator.domain.leadtime import LeadTimes
from medley_operator.domain.prepare import prepare
from medley_operator.domain.profile_judgement import Known
from medley_operator.domain.snapshot import (
    Decision,
    FleetPlan,
    Memory,
    MetricsReason,
    Observation,
    ServiceMemory,
    Snapshot,
)
from medley_operator.fleet.planning import plan_and_verify
from medley_planner.capacity import EngineKey, GridRatios, Speed, StepFactors, TableGroup
from medley_planner.capacity.simulated import closed_form_of
from medley_planner.model import Bucket, Demand, Provenance, SizeSource
from medley_planner.shapes import Precision
from tests.unit.domain import factories as make

few = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""Enough to meet every kind of nonsense, since most values are drawn from lists of it."""

SMALL = "meta-llama/Llama-3.2-1B-Instruct"
DIRTY_SPEC: dict[str, Any] = {"model": {"uri": f"hf://{SMALL}", "maxModelLen": 8192}}
LIVE: dict[str, Any] = {**DIRTY_SPEC, "workload": {"source": "Prometheus"}}
CLEAN = make.service("clean")
ODD = (math.nan, math.inf, -math.inf, -1.0, -0.0, 0.0, 5e-324, 1e-12, 1e9, 1e15, 1.7e308)
numbers = st.sampled_from(ODD) | st.floats()
texts = st.sampled_from(("", "nan", "inf", "-1", "1e999", "-1e308", "zero", "0", "1e12", "4.2"))
counts = st.sampled_from((0, 1, -1, 10**4, 2**63))


def rounds(snapshot: Snapshot, memory: Memory | None = None, *, same_as: Snapshot | None = None) -> list[Decision]:
    """Two rounds, the second after the first was carried out. The clean service is planned as it is in `same_as`, by
    default the same without the dirty one."""
    memory = memory if memory is not None else Memory()
    alone = same_as if same_as is not None else replace(snapshot, services=(CLEAN,))
    expected = prepare(alone, memory).problem
    assert expected is not None
    decisions: list[Decision] = []
    for index in range(2):
        prepared = prepare(snapshot, memory)
        clean = prepared.context((make.NAMESPACE, "clean"))
        assert clean is not None and clean.standing is Standing.PLANNED, clean
        assert prepared.problem is not None
        if index == 0:
            (entry,) = [each for each in prepared.problem.services if each.name == "demo/clean"]
            assert entry == expected.services[0]
        outcome = plan_and_verify(prepared.problem, 10.0, {})
        assert isinstance(outcome, FleetPlan), outcome
        assert "demo/clean" not in outcome.refused
        decision = conclude(snapshot, prepared, outcome, memory, now=make.NOW)
        decisions.append(decision)
        snapshot, memory = make.carried_out(snapshot, decision), decision.memory
    return decisions


def condition(decision: Decision, type_: str, name: str = "dirty") -> Mapping[str, Any]:
    (write,) = [each for each in decision.statuses if each.key.name == name]
    (found,) = [each for each in write.status["conditions"] if each["type"] == type_]
    return dict(found)


# Observations.

demands = st.builds(
    lambda rate, cells, hits: Demand(
        rate, tuple(Bucket(p, g) for p, g, _ in cells), tuple(s for _, _, s in cells), SizeSource.TILTED, hits
    ),
    numbers | st.just(4.0),
    st.lists(
        st.tuples(numbers | st.just(500.0), numbers | st.just(150.0), numbers | st.just(1.0)), min_size=0, max_size=3
    ),
    numbers | st.just(0.0),
)
observations = st.builds(
    Observation, reason=st.sampled_from(MetricsReason), demand=st.none() | demands, samples=numbers, message=st.just("")
)


@given(observations, st.booleans(), st.lists(st.tuples(numbers, numbers), max_size=4))
@few
def test_observations_and_histories(seen: Observation, before: bool, history: list[tuple[float, float]]) -> None:
    snapshot = make.snapshot(
        CLEAN, make.service("dirty", spec=LIVE), observations={"dirty": make.found() if before else seen}
    )
    snapshot = replace(snapshot, histories={(make.NAMESPACE, "dirty"): tuple(history)}, at_seconds=1000.0)
    first, second = rounds(snapshot)
    if before:
        later = replace(make.carried_out(snapshot, first), observations={(make.NAMESPACE, "dirty"): seen})
        first, second = rounds(replace(later, at_seconds=2000.0), first.memory)
    for decision in (first, second):
        for gauge in decision.gauges:
            assert math.isfinite(gauge.rate_rps) and gauge.rate_rps >= 0
