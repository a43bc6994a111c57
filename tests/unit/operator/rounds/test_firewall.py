"""One object of each kind of nonsense beside a good service, which is planned and written as if it stood alone."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain import act as acting
from medley_operator.domain import conclude as concluding
from medley_operator.domain import pool_states
from medley_operator.domain import prepare as preparing
from medley_operator.domain.checks.runtime_profile import RUNTIME_PROFILE_CHECKS
from medley_operator.domain.cluster.pools import pool_state
from medley_operator.domain.engine.pods import engine_pods
from medley_operator.domain.firewall import unreadable
from medley_operator.domain.planner_input import planner_problem
from medley_operator.domain.report.status import service_status
from medley_operator.domain.rollout import service_round
from medley_operator.domain.speed import profiles, speeds
from medley_operator.domain.speed.profile_reading import read_profile
from medley_operator.domain.values.candidates import Disposition
from medley_operator.domain.values.catalogue import find_shape
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, POOL, VARIANT
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.fleet.parse import parse_object
from medley_planner.capacity import Speed
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from tests.unit.operator import factories as make
from tests.unit.operator.rounds import faults
from tests.unit.operator.rounds.play import Round, follow, run, settle

CONFIG: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
GOOD = "llama"
BAD = "broken"


def with_config(**changes: object) -> dict[str, Any]:
    text = json.dumps({**CONFIG, **changes})
    return {"model": {"uri": "hf://own/model", "maxModelLen": 4096, "configJson": text}}


def good_is_as_alone(done: Round, *, faulty: bool = False) -> None:
    """The good service is planned and written as in a round of its own."""
    alone = run(replace(done.snapshot, services=(make.service(GOOD),)), faulty=faulty)
    mine = {name: body for name, body in done.applied("Deployment").items() if name.startswith(f"{GOOD}-")}
    assert mine == alone.applied("Deployment") != {}
    assert done.condition("PlanReady", GOOD).reason == "Optimal"


CONFIGS: Mapping[str, dict[str, Any]] = {
    "hidden size below the heads": with_config(hidden_size=16),
    "more experts per token than experts": with_config(num_experts=4, num_experts_per_tok=8),
    "a rope factor without end": with_config(rope_scaling={"rope_type": "yarn", "factor": math.inf}),
    "a rope factor that is no number": with_config(rope_scaling={"rope_type": "yarn", "factor": math.nan}),
    "a size of 400 digits": with_config(vocab_size=10**400),
    "a negative window": with_config(layer_types=["sliding_attention"] * 16, sliding_window=-4096),
    "a text for a number": with_config(num_hidden_layers="16"),
    "a list for the rope type": with_config(rope_scaling={"rope_type": ["yarn"], "factor": 2}, hidden_size=0),
    "a hundred lists": with_config(quantization_config=json.loads("[" * 100 + "]" * 100)),
}


@pytest.mark.parametrize("spec", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_config_of_one_tenant_does_not_stop_the_round_of_the_fleet(spec: dict[str, Any]) -> None:
    done = run(make.snapshot(make.service(BAD, spec=spec), make.service(GOOD)))
    condition = done.condition("PlanReady", BAD)
    assert (condition.status, condition.reason) == ("False", "UnknownModel")
    assert "spec.model.configJson" in condition.message
    good_is_as_alone(done)


REAL = [entry["config"] for entry in json.loads(files("medley_planner.shapes").joinpath("models.json").read_text())]
ODD: tuple[object, ...] = (
    *(0, -1, 1, 2, 3, 7, 16, 10**6, 2**31, 2**63, 10**400, True, False, None, "8", 1.5, math.nan, math.inf, -math.inf),
    *([], {}, [8], {"a": 1}, "\x1b[31m"),
)


def mutated(chance: random.Random) -> dict[str, Any]:
    """A real config with one or two of its values changed: integers near the true ones, or odd values."""
    config: dict[str, Any] = json.loads(json.dumps(chance.choice(REAL)))
    for _ in range(chance.choice([1, 2])):
        key = chance.choice(sorted(config))
        value = config[key]
        if isinstance(value, int) and chance.random() < 0.6:
            near = [value * 2, value * 10, value // 3, value // 1000, value + 1, value - 1, -value]
            config[key] = chance.choice(near)
        else:
            config[key] = chance.choice(ODD)
    return config


@pytest.mark.parametrize("seed", range(10))
def test_any_config_is_refused_with_a_reason_or_planned_with_figures_that_can_be(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a test
    planned = 0
    for _ in range(25):
        text = json.dumps(mutated(chance))
        spec = {"model": {"uri": "hf://own/model", "maxModelLen": 4096, "configJson": text}}
        prepared = preparing.prepare(make.snapshot(make.service(BAD, spec=spec)), FleetMemory())
        assert prepared.faults == (), text
        (candidate,) = prepared.services
        if candidate.refusal is not None:
            assert candidate.refusal.reason in ("UnknownModel", "ModelFitsNoPool", "InvalidSpec", "TargetImpossible")
            continue
        planned += 1
        for known in candidate.variants:
            assert all(math.isfinite(rate) and rate >= 0.0 for rate in known.variant.capacity_rps), text
            assert max(known.variant.capacity_rps) > 0.0, text
    assert planned > 0


def hand_made(limits: Mapping[str, object], **fields: Any) -> dict[ObjectKey, Manifest]:
    labels = {MANAGED_BY: MANAGED_BY_VALUE, POOL: "h100", VARIANT: "h100"}
    manifest = {
        "kind": "Deployment",
        "metadata": {"name": "made", "namespace": "other", "labels": labels, "uid": "uid-made"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"resources": {"limits": dict(limits)}}]}}},
        **fields,
    }
    return {ObjectKey("Deployment", "other", "made"): manifest}


@pytest.mark.parametrize("limit", ["1k", "many", "1e99999999", "0.5", None, [1]])
def test_a_deployment_of_anybody_with_a_limit_of_1k_gpus_does_not_stop_the_round(limit: object) -> None:
    done = run(make.snapshot(make.service(GOOD), children=hand_made({"nvidia.com/gpu": limit})))
    assert done.condition("PlanReady").reason == "Optimal"
    assert done.applied("Deployment")


def raising(function: Callable[..., Any], *, about: str = BAD) -> Callable[..., Any]:
    """`function`, raising where an argument is of the object of that name."""
    return faults.raising(function, about={about})


SERVICE_STEPS = {
    "choosing variants": (preparing, "choose_variants"),
    "the service as the planner sees it": (preparing, "planner_service"),
    "the goal": (service_round, "choose_goal"),
    "the load that is served": (concluding, "served_buckets"),
    "what it has": (acting, "variant_scale"),
    "the figures of the rollout": (acting, "mix_capacities"),
    "the rows of the status": (acting, "variant_rows"),
    "the children": (acting, "child_writes"),
    "the status": (acting, "service_status"),
    "the Events": (acting, "service_events"),
    "the gauges": (acting, "service_gauges"),
}


@pytest.mark.parametrize(("module", "name"), SERVICE_STEPS.values(), ids=SERVICE_STEPS.keys())
def test_whatever_is_raised_about_one_service_it_alone_is_kept_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    before = settle(make.snapshot(make.service(BAD), make.service(GOOD)))
    monkeypatch.setattr(module, name, raising(getattr(module, name)))
    grown = make.service(
        GOOD, spec={"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "90"}}}
    )
    services = tuple(
        grown.model_copy(update={"status": each.status}) if each.metadata.name == GOOD else each
        for each in before.snapshot.services
    )
    done = run(replace(before.snapshot, services=services), before.memory, faulty=True)
    condition = done.condition("PlanReady", BAD)
    assert (condition.status, condition.reason) == ("False", "InternalError")
    assert "RuntimeError: boom \\x1b[31m at 0x)" in condition.message
    assert f"kubectl get llmservice -n {make.NAMESPACE} {BAD} -o yaml" in condition.message
    assert done.condition("Ready", BAD).status == "True"
    assert "InternalError" in done.reasons()
    assert {apply.service.name for apply in done.decision.applies} == {GOOD}
    assert {delete.service.name for delete in done.decision.deletes} <= {GOOD}
    assert [fault.about.name for fault in done.faults] == [BAD]
    # What is remembered of it stays, and an equal round says nothing more.
    old = before.memory.services[done.candidate(BAD).key]
    new = done.memory.services[done.candidate(BAD).key]
    assert (new.plan, new.target) == (old.plan, old.target)
    assert new.target is not None
    assert done.status(BAD)["target"]["planId"] == new.target.plan_id
    again = settle(follow(done, faulty=True).snapshot, done.memory, faulty=True)
    assert again.condition("PlanReady", BAD) == condition


def test_a_service_that_cannot_be_a_part_of_the_problem_is_left_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = planner_problem

    def problem(candidates: Any, *rest: Any, **named: Any) -> Any:
        planned = [each for each in candidates if each.disposition is Disposition.PLANNED]
        if any(each.service.metadata.name == BAD for each in planned):
            raise ZeroDivisionError("division by zero")
        return real(candidates, *rest, **named)

    monkeypatch.setattr(preparing, "planner_problem", problem)
    done = run(make.snapshot(make.service(BAD), make.service(GOOD)), faulty=True)
    assert done.condition("PlanReady", BAD).reason == "InternalError"
    good_is_as_alone(done)


def test_a_pool_that_raises_is_refused_and_the_others_are_planned_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_states, "pool_state", raising(pool_state, about="h100"))
    done = run(make.snapshot(make.service(GOOD)), faulty=True)
    (ready,) = done.status("h100")["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "InternalError")
    assert "kubectl get gpupool h100 -o yaml" in ready["message"]
    assert {name.split("-tp")[0] for name in done.applied("Deployment")} == {"llama-l4"}


def test_a_runtime_profile_that_raises_is_refused_and_so_is_who_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(profile: Any) -> None:
        if profile.metadata.name == "odd":
            raise KeyError("engine")

    checks = (check, *RUNTIME_PROFILE_CHECKS)
    monkeypatch.setattr("medley_operator.domain.checks.runtime_profile.RUNTIME_PROFILE_CHECKS", checks)
    monkeypatch.setattr(preparing, "RUNTIME_PROFILE_CHECKS", checks)
    bad = make.service(BAD, spec={"runtime": {"profileRef": "odd"}})
    done = run(make.snapshot(bad, make.service(GOOD), profiles=[make.profile(), make.profile("odd")]), faulty=True)
    (ready,) = done.status("odd")["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "InternalError")
    assert 'RuntimeProfile "odd"' in done.condition("PlanReady", BAD).message
    assert [str(fault.about) for fault in done.prepared.faults] == ["RuntimeProfile odd"]
    good_is_as_alone(done, faulty=True)


def test_a_model_profile_that_raises_is_refused_and_the_others_count(monkeypatch: pytest.MonkeyPatch) -> None:
    real = read_profile

    def read(spec: Any, *rest: Any) -> Any:
        if spec.gpu == "L4":
            raise OverflowError("int too large to convert to float")
        return real(spec, *rest)

    monkeypatch.setattr(profiles, "read_profile", read)
    measured = [make.model_profile("fine"), make.model_profile("odd", gpu="L4")]
    done = run(make.snapshot(make.service(GOOD), measured=measured), faulty=True)
    conditions = {each["type"]: each["reason"] for each in done.status("odd")["conditions"]}
    assert conditions == {"Accepted": "InternalError", "InUse": "NotAccepted"}
    assert {each["type"]: each["status"] for each in done.status("fine")["conditions"]}["Accepted"] == "True"


def test_a_calibration_that_raises_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    key = LearnedKey("meta-llama/Llama-3.1-8B-Instruct", Layout(gpu("L4"), engine_version="0.32.0"))
    monkeypatch.setattr(speeds, "believable", lambda _: 1 / 0)
    snapshot = replace(make.snapshot(make.service(GOOD)), calibrated={key: Speed()})
    done = run(snapshot, faulty=True)
    assert [fault.about.kind for fault in done.prepared.faults] == ["Calibration"]
    assert done.condition("PlanReady").reason == "Optimal"


def test_engines_of_a_service_that_raises_are_not_calibrated_and_the_others_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settled = settle(make.snapshot(make.service(BAD), make.service(GOOD)))
    monkeypatch.setattr("medley_operator.domain.engine.pods.find_shape", raising(find_shape))
    assert {service for _, service, _ in engine_pods(settled.snapshot)} == {GOOD}


def test_many_services_that_raise_are_each_decided_about_once_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def status(outcome: Any, *, now: str) -> Any:
        name = outcome.candidate.service.metadata.name
        if name.startswith(BAD):
            tried.append(name)
            raise RuntimeError("boom")
        return service_status(outcome, now=now)

    monkeypatch.setattr(acting, "service_status", status)
    spec = {"variants": [{"poolRef": "l4"}]}
    many = [make.service(f"{BAD}-{index}", spec=spec) for index in range(5)]
    done = run(make.snapshot(*many, make.service(GOOD)), faulty=True)
    assert {tried.count(each.metadata.name) for each in many} == {len(tried) // 5}
    assert len(done.faults) == 5
    assert {apply.service.name for apply in done.decision.applies} == {GOOD}


def test_a_service_that_cannot_even_be_kept_is_not_acted_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settle(make.snapshot(make.service(BAD), make.service(GOOD)))
    for name in ("choose_goal", "kept_goal"):
        monkeypatch.setattr(service_round, name, raising(getattr(service_round, name)))
    done = run(before.snapshot, before.memory, faulty=True)
    assert done.condition("PlanReady", BAD).reason == "InternalError"
    assert [fault.about.name for fault in done.faults] == [BAD]
    assert [*done.decision.applies, *done.decision.deletes] == []
    key = done.candidate(BAD).key
    assert done.memory.services[key] == before.memory.services[key]


def test_a_status_that_cannot_say_so_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("service_status", "rejected_status"):
        monkeypatch.setattr(acting, name, raising(getattr(acting, name)))
    monkeypatch.setattr(acting, "unreadable", raising(unreadable))
    done = run(make.snapshot(make.service(BAD), make.service(GOOD)), faulty=True)
    assert [fault.about.name for fault in done.faults] == [BAD]
    assert {write.key.name for write in done.decision.statuses} >= {GOOD}
    assert BAD not in {write.key.name for write in done.decision.statuses}
    good_is_as_alone(done, faulty=False)


def test_a_round_without_faults_hands_none_out() -> None:
    done = run(make.snapshot(make.service(GOOD)))
    assert done.faults == ()


STORED: Mapping[str, dict[str, Any]] = {
    "a drain of a hundred years": {"drain": {"preStop": "900000h", "timeout": "900000h"}},
    "a window of its own": {"workload": {"source": "Prometheus", "window": "7m"}},
    "a rate of ten million": {
        "workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "9999999"}}
    },
}


@pytest.mark.parametrize("spec", STORED.values(), ids=STORED.keys())
def test_a_service_that_was_stored_before_a_bound_is_refused_and_its_replicas_stay(spec: dict[str, Any]) -> None:
    """The API server refuses it today; one that it holds already does not parse."""
    before = settle(make.snapshot(make.service(BAD), make.service(GOOD)))
    old = next(each for each in before.snapshot.services if each.metadata.name == BAD)
    item = old.model_dump(mode="json", by_alias=True, exclude_none=True)
    item = {"kind": "LLMService", **item, "spec": {**item["spec"], **spec}}
    rejected = parse_object(LLMService)(item)
    assert isinstance(rejected, InvalidObject)
    kept = tuple(each for each in before.snapshot.services if each.metadata.name == GOOD)
    done = run(replace(before.snapshot, services=kept, rejected=(rejected,)), before.memory)
    (write,) = (write for write in done.decision.statuses if write.key.name == BAD)
    conditions = {each["type"]: each for each in write.status["conditions"]}
    assert (conditions["PlanReady"]["status"], conditions["PlanReady"]["reason"]) == ("False", "InvalidSpec")
    assert next(iter(spec)) in conditions["PlanReady"]["message"]
    assert conditions["Ready"]["status"] == "True"
    assert [*done.decision.applies, *done.decision.deletes] == []
