"""The simulated attainment of a plan, from the problem to statuses, conditions, weights and gauges."""

from __future__ import annotations

import pytest

from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.fleet.planning import plan_and_verify
from medley_planner.check import Attained, Checked
from medley_planner.fleet_plan import FleetPlan, PlanFailure
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import changed, is_quiet, planned, settle, told

NAME = "demo/llama"
ROUTED = {"routing": {"gatewayRef": {"name": "inference"}}}


def checked(attainment: float) -> dict[str, Checked]:
    return {NAME: Checked(attainment, 95.0, {"l4-tp2": Attained(attainment, 1.5, 0.08, 0.9)})}


def test_the_check_knows_every_variant_of_each_planned_service_and_its_targets() -> None:
    prepared = prepare(
        make.snapshot(make.service(), make.service("broken", spec={"variants": [{"poolRef": "no"}]})), FleetMemory()
    )
    assert set(prepared.subjects) == {NAME}
    subject = prepared.subjects[NAME]
    assert prepared.problem is not None
    assert [name for name, _ in subject.replicas] == [each.name for each in prepared.problem.services[0].variants]
    assert (subject.targets.ttft_seconds, subject.targets.tpot_seconds, subject.targets.percentile) == (2.0, 0.1, 95.0)


def test_equal_replicas_of_many_services_are_one_object() -> None:
    prepared = prepare(make.snapshot(make.service(), make.service("other")), FleetMemory())
    first, second = (dict(subject.replicas) for subject in prepared.subjects.values())
    assert first.keys() == second.keys()
    assert all(first[name] is second[name] for name in first)


def test_the_worker_tells_what_it_simulated() -> None:
    prepared = prepare(make.snapshot(make.service()), FleetMemory())
    assert prepared.problem is not None
    outcome = plan_and_verify(prepared.problem, 10.0, prepared.subjects)
    assert isinstance(outcome, FleetPlan)
    assert outcome.checked[NAME].attains
    assert outcome.capacity_factors == {}


def test_the_prediction_is_in_status_and_gauges_and_does_not_flicker() -> None:
    steady = settle(make.snapshot(make.service()))
    good = planned(steady.snapshot)
    first = told(steady.snapshot, FleetPlan.of(good, checked=checked(0.98765)))
    assert first.status()["plan"]["predictedAttainmentPercent"] == "98.7"
    assert first.gauge("predicted_slo_attainment_ratio") == pytest.approx(0.987)
    assert (first.gauge("predicted_ttft_seconds"), first.gauge("predicted_tpot_seconds")) == (1.5, 0.08)
    snapshot = make.carried_out(first.snapshot, first.decision)
    assert is_quiet(told(snapshot, FleetPlan.of(good, checked=checked(0.98765))).decision)
    # Noise of measured step times, a round that did not reach the service, and one without a plan write nothing.
    assert is_quiet(told(snapshot, FleetPlan.of(good, checked=checked(0.9899))).decision)
    missed = told(snapshot, good)
    assert is_quiet(missed.decision)
    assert missed.gauge("predicted_slo_attainment_ratio") == pytest.approx(0.987)
    assert (
        told(snapshot, FleetPlan.of(good, checked=checked(0.96))).status()["plan"]["predictedAttainmentPercent"]
        == "96.0"
    )


def test_a_plan_that_falls_short_is_told_with_figure_and_way_out_until_it_does_not() -> None:
    steady = settle(make.snapshot(make.service()))
    good = planned(steady.snapshot)
    short = told(steady.snapshot, FleetPlan.of(good, checked=checked(0.9128)))
    condition = short.condition("SLOAttainable")
    assert (condition.status, condition.reason) == ("False", "PredictedBelowTarget")
    for part in ("91.2 %", "spec.slo.percentile is 95", "The worst variant is l4-tp2", "Relax the targets"):
        assert part in condition.message
    snapshot = make.carried_out(short.snapshot, short.decision)
    assert is_quiet(told(snapshot, FleetPlan.of(good, checked=checked(0.9130))).decision)
    assert is_quiet(told(snapshot, good).decision)
    held = told(snapshot, PlanFailure("SolverTimeout", "late"))
    assert held.condition("SLOAttainable").reason == "PredictedBelowTarget"
    # Nothing is known of another plan, which was not simulated yet.
    more = make.service(spec={"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "8"}}})
    other = changed(snapshot, more)
    assert "SLOAttainable" not in [row["type"] for row in told(other, planned(other)).status()["conditions"]]
    cured = told(snapshot, FleetPlan.of(good, checked=checked(0.97)))
    assert "SLOAttainable" not in [row["type"] for row in cured.status()["conditions"]]


@pytest.mark.parametrize("factor", ["", "nan", "-1", "0", "7", "half"])
def test_a_factor_in_a_status_that_is_none_is_let_pass(factor: str) -> None:
    first = settle(make.snapshot(make.service()))
    status = first.snapshot.services[0].status.model_dump(mode="json", by_alias=True, exclude_none=True)
    status["plan"]["capacityCorrections"] = [{"variant": "l4-tp2", "factor": factor}]
    prepared = prepare(make.snapshot(make.service(status=status)), FleetMemory())
    assert prepared.subjects[NAME].last_factors == ()


def test_capacities_are_told_and_weighted_as_the_plan_was_made_with_them() -> None:
    load = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "3"}}
    first = settle(make.snapshot(make.service(spec={**ROUTED, "workload": load})))
    good = planned(first.snapshot)
    (name,) = (each.variant for each in good.services[0].variants if each.replicas)
    before = first.snapshot.services[0].status.variants[0]
    lowered = told(first.snapshot, FleetPlan.of(good, capacity_factors={NAME: {name: 0.5}}))
    row = lowered.status()["variants"][0]
    assert float(row["capacityRps"]) == pytest.approx(float(before.capacity_rps) / 2, abs=0.002)
    assert lowered.status()["plan"]["capacityCorrections"] == [{"variant": name, "factor": "0.500"}]
    snapshot = make.carried_out(lowered.snapshot, lowered.decision)
    assert is_quiet(told(snapshot, FleetPlan.of(good, capacity_factors={NAME: {name: 0.5}})).decision)
    assert prepare(snapshot, FleetMemory()).subjects[NAME].last_factors == ((name, 0.5),)
    # A plan that is held keeps the capacities that it was made with.
    held = told(snapshot, PlanFailure("SolverTimeout", "late"))
    assert held.status()["variants"][0]["capacityRps"] == row["capacityRps"]
    assert held.decision.applies == ()
