"""Measured profiles: which count, what they change, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.domain.prepare import prepare
from medley_operator.domain.speed.profiles import judge_profiles
from medley_operator.domain.speed.speeds import known_speeds
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.profile_judgement import Judgement, Known
from medley_operator.domain.values.snapshot import ObjectKey, Snapshot
from medley_planner.capacity import Derates, EngineKey, Speed, StepFactors
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Provenance, Variant
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, run, settle

KEY = EngineKey("meta-llama/Llama-3.1-8B-Instruct", Layout(gpu("H100"), engine_version="0.32.0"))


def by_demo(key: EngineKey) -> LearnedKey:
    """What the namespace of these tests learned of it."""
    return LearnedKey(key.model, key.layout, namespace=make.NAMESPACE)


POINT = {
    "promptTokens": "1024",
    "generationTokens": "256",
    "concurrency": "16",
    "ttft": "70ms",
    "tpot": "12ms",
    "requests": 160,
}


def judged(*profiles: ModelProfile, **spec: Any) -> Judgement:
    """Judgement of the first profile by name, beside the default service, pools and RuntimeProfile."""
    return judge_profiles(make.snapshot(make.service(), measured=profiles or [make.model_profile(**spec)]))[0]


def told(judgement: Judgement) -> tuple[str, str]:
    """Reasons of both conditions."""
    return judgement.accepted.reason, judgement.in_use.reason


def variants(snapshot: Snapshot, *, derates: Derates | None = None) -> dict[str, Variant]:
    prepared = (
        prepare(snapshot, FleetMemory()) if derates is None else prepare(snapshot, FleetMemory(), derates=derates)
    )
    assert prepared.problem is not None
    (service,) = prepared.problem.services
    return {variant.name: variant for variant in service.variants}


def only_h100(**spec: Any) -> Any:
    return make.service(spec={"variants": [{"poolRef": "h100", "tensorParallel": 1}], **spec})


def test_a_profile_changes_capacity_and_provenance_of_its_engine_alone() -> None:
    service = make.service(spec={"variants": [{"poolRef": "l4"}, {"poolRef": "h100", "tensorParallel": 1}]})
    plain = variants(make.snapshot(service))
    slow = {"fixed": "2", "compute": "2", "sequence": "2", "kv": "2"}
    measured = variants(make.snapshot(service, measured=[make.model_profile(stepFactors=slow)]))
    assert measured["h100"].provenance is Provenance.MEASURED
    assert measured["h100"].capacity_rps[0] < 0.75 * plain["h100"].capacity_rps[0]
    assert {name: one for name, one in measured.items() if name != "h100"} == {
        name: one for name, one in plain.items() if name != "h100"
    }


def test_a_profile_that_says_what_the_data_sheet_says_is_derated_less() -> None:
    plain = variants(make.snapshot(only_h100()))["h100"]
    measured = variants(make.snapshot(only_h100(), measured=[make.model_profile()]))["h100"]
    assert measured.capacity_rps[0] == pytest.approx(plain.capacity_rps[0] * 0.95 / 0.75)


def test_points_are_fitted_by_the_operator() -> None:
    found = judged(points=[POINT, POINT | {"concurrency": "64", "tpot": "17ms", "ttft": "150ms"}])
    assert isinstance(found.known, Known)
    assert found.known.key == KEY
    assert found.known.points_used == 2
    assert found.known.error < 0.1
    assert found.known.speed.factors != StepFactors()
    assert told(found) == ("Accepted", "InUse")
    assert "2 points" in found.accepted.message


def test_an_impossible_point_is_told_and_the_others_count() -> None:
    found = judged(points=[POINT, POINT | {"tpot": "0.5ms"}])
    assert isinstance(found.known, Known)
    assert (found.known.points_used, found.known.points_refused) == (1, 1)
    assert "reading the weights" in found.accepted.message
    assert found.counts


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"gpu": "H999"}, "UnknownGpu", 'spec.gpu "H999"'),
        ({"model": "no/such"}, "UnknownModel", 'spec.model is "no/such"'),
        ({"tensorParallel": 7}, "ModelDoesNotFit", "spec.tensorParallel 7"),
        ({"stepFactors": {"kv": "0.01"}}, "FactorOutOfRange", "spec.stepFactors.kv is 0.01"),
        ({"stepFactors": {"fixed": "21"}}, "FactorOutOfRange", "spec.stepFactors.fixed is 21"),
        ({"stepFactors": {"fixed": "0.05"}}, "BeatsPhysicalLimit", "reading the weights"),
        ({"points": [POINT | {"tpot": "0.5ms"}]}, "NoUsablePoint", "reading the weights"),
        ({"points": [POINT | {"requests": 0}]}, "NoUsablePoint", "requests is 0"),
        ({"points": [POINT | {"tpot": "12s"}]}, "NoUsablePoint", "milliseconds"),
        ({"points": [POINT | {"tpot": "0ms"}]}, "NoUsablePoint", "tpot_seconds is 0"),
        ({"points": [POINT], "kvTokens": 1000}, "KvTokensImpossible", "spec.kvTokens 1000 is less than the 1280"),
        ({"kvTokens": 100000000}, "KvTokensImpossible", "GB beside the weights"),
        ({"errorPercent": "51"}, "ErrorTooLarge", "spec.errorPercent has an error of 51%"),
        ({"points": [POINT, POINT | {"tpot": "900ms"}]}, "ErrorTooLarge", "the best fit"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_estimate_stays(spec: dict[str, Any], reason: str, words: str) -> None:
    bad = make.model_profile(**spec)
    found = judged(bad)
    assert told(found) == (reason, "NotAccepted")
    assert words in found.accepted.message
    assert not found.counts
    service = only_h100()
    assert variants(make.snapshot(service, measured=[bad])) == variants(make.snapshot(service))


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"model": "Qwen/Qwen3-32B"}, "Unused", "no LLMService serves"),
        ({"gpu": "B200"}, "Unused", "no GPUPool has 1 x B200"),
        ({"gpu": "L4", "tensorParallel": 8}, "Unused", "no GPUPool has 8 x L4"),
        ({"precision": "FP8"}, "Unused", "allows precision FP8"),
        ({"engineVersion": "0.31.0"}, "OtherEngineVersion", "run vLLM 0.32.0, so their variants stay estimated"),
        ({"kvTokens": 16000}, "TooFewKvTokens", "spec.model.maxModelLen 16384 of LLMService demo/llama"),
    ],
)
def test_what_is_of_another_engine_is_accepted_and_not_used(spec: dict[str, Any], reason: str, words: str) -> None:
    other = make.model_profile(**spec)
    found = judge_profiles(
        make.snapshot(make.service(spec={"model": {"uri": make.LLAMA, "maxModelLen": 16384}}), measured=[other])
    )[0]
    assert told(found) == ("Accepted", reason)
    assert words in found.in_use.message
    service = only_h100(model={"uri": make.LLAMA, "maxModelLen": 16384})
    assert variants(make.snapshot(service, measured=[other])) == variants(make.snapshot(service))


def test_a_cluster_without_services_uses_nothing_and_says_so() -> None:
    (found,) = judge_profiles(make.snapshot(measured=[make.model_profile()]))
    assert told(found) == ("Accepted", "Unused")


def test_the_newest_of_two_profiles_counts_and_the_other_is_told() -> None:
    old = make.model_profile("a", measuredAt="2026-01-01T00:00:00Z", stepFactors={"fixed": "3"})
    new = make.model_profile("b", measuredAt="2026-02-01T00:00:00Z", stepFactors={"fixed": "2"})
    never = make.model_profile("c", stepFactors={"fixed": "4"})
    snapshot = make.snapshot(make.service(), measured=[never, old, new])
    found = judge_profiles(snapshot)
    assert [told(one)[1] for one in found] == ["Superseded", "InUse", "Superseded"]
    assert '"b"' in found[0].in_use.message
    assert known_speeds(snapshot, found).of(make.NAMESPACE, "")[KEY].factors.fixed == 2


def test_a_profile_goes_before_calibration_and_calibration_before_the_estimate() -> None:
    other = replace(KEY, layout=replace(KEY.layout, gpu=gpu("L4")))
    calibrated = {
        by_demo(key): Speed(StepFactors(fixed=1.5), Provenance.CALIBRATED, derate=0.9, kv_tokens=None)
        for key in (KEY, other)
    }
    snapshot = replace(make.snapshot(make.service(), measured=[make.model_profile()]), calibrated=calibrated)
    speeds = known_speeds(snapshot, judge_profiles(snapshot)).of(make.NAMESPACE, "")
    assert speeds[KEY].provenance is Provenance.MEASURED
    assert speeds[other] == calibrated[by_demo(other)]


def test_what_a_running_engine_says_of_its_cache_counts_beside_a_profile_and_before_calibration() -> None:
    other = replace(KEY, layout=replace(KEY.layout, gpu=gpu("L4")))
    running = {by_demo(key): Speed(kv_tokens=54_321) for key in (KEY, other)}
    snapshot = replace(make.snapshot(make.service(), measured=[make.model_profile()]), calibrated=running)
    known = known_speeds(snapshot, judge_profiles(snapshot), Derates(calibrated=0.45, estimated=0.6))
    speeds = known.of(make.NAMESPACE, "")
    assert (speeds[KEY].provenance, speeds[KEY].kv_tokens) == (Provenance.MEASURED, 54_321)
    assert speeds[other] == Speed(derate=0.6, kv_tokens=54_321)


def test_derating_is_configured_by_provenance() -> None:
    derates = Derates(measured=0.8, calibrated=0.6, estimated=0.5)
    plain = variants(make.snapshot(only_h100()))["h100"]
    lowered = variants(make.snapshot(only_h100()), derates=derates)["h100"]
    assert lowered.capacity_rps[0] == pytest.approx(plain.capacity_rps[0] * 0.5 / 0.75)
    measured = variants(make.snapshot(only_h100(), measured=[make.model_profile()]), derates=derates)["h100"]
    assert measured.capacity_rps[0] == pytest.approx(plain.capacity_rps[0] * 0.8 / 0.75)
    unsure = {by_demo(KEY): Speed(provenance=Provenance.CALIBRATED, derate=0.45)}
    snapshot = replace(make.snapshot(make.service()), calibrated=unsure)
    assert known_speeds(snapshot, derates=derates).of(make.NAMESPACE, "")[KEY].derate == pytest.approx(0.3)


@pytest.mark.parametrize(("percent", "derate"), [("0", 0.95), ("5", 0.95), ("12.5", 0.875), ("50", 0.5)])
def test_a_profile_that_is_further_off_than_usual_lowers_what_plans_count_on(percent: str, derate: float) -> None:
    found = judged(errorPercent=percent)
    assert isinstance(found.known, Known)
    assert found.known.speed.derate == pytest.approx(derate)


def test_kv_tokens_of_the_engine_replace_the_estimate() -> None:
    found = judged(kvTokens=100000)
    assert isinstance(found.known, Known)
    assert found.known.speed.kv_tokens == 100000
    heavy = {"workload": {"source": "Static", "static": make.STATIC | {"promptTokens": 6000}}}
    roomy = variants(make.snapshot(only_h100(**heavy), measured=[make.model_profile()]))["h100"]
    tight = variants(make.snapshot(only_h100(**heavy), measured=[make.model_profile(kvTokens=20000)]))["h100"]
    assert tight.capacity_rps[0] < roomy.capacity_rps[0]


def test_a_model_with_its_own_config_is_known_by_the_services_that_give_it() -> None:
    config = (
        '{"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,'
        '"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,'
        '"max_position_embeddings": 131072}'
    )
    service = make.service(spec={"model": {"uri": "hf://own/model", "configJson": config}})
    (found,) = judge_profiles(make.snapshot(service, measured=[make.model_profile(model="own/model")]))
    assert told(found) == ("Accepted", "InUse")


def test_the_status_tells_factors_error_and_derating_once() -> None:
    points = [POINT, POINT | {"tpot": "0.5ms"}]
    bad = make.model_profile("bad", gpu="H999")
    done = run(make.snapshot(make.service(), measured=[make.model_profile(points=points), bad]))
    writes = {write.key.name: write.status for write in done.decision.statuses if write.key.kind == "ModelProfile"}
    status = writes["measured"]
    assert (status["pointsUsed"], status["pointsRefused"], status["derate"]) == (1, 1, "0.950")
    assert float(status["fixed"]) > 0
    assert {one["type"]: one["status"] for one in status["conditions"]} == {"Accepted": "True", "InUse": "True"}
    assert writes["bad"]["fixed"] == ""
    assert {one["type"]: one["reason"] for one in writes["bad"]["conditions"]} == {
        "Accepted": "UnknownGpu",
        "InUse": "NotAccepted",
    }
    settle(make.snapshot(make.service(), measured=[make.model_profile(points=points), bad]))


def test_provenance_is_told_in_the_status_of_the_service() -> None:
    done = run(make.snapshot(only_h100(), measured=[make.model_profile()]))
    assert [variant["provenance"] for variant in done.status()["variants"]] == ["measured"]


def test_a_capacity_that_was_measured_and_is_estimated_again_is_an_event_once() -> None:
    measured = settle(make.snapshot(only_h100(), measured=[make.model_profile()]))
    assert "CapacityEstimated" not in measured.reasons()
    gone = run(changed(measured.snapshot, model_profiles=()), measured.memory)
    (event,) = [event for event in gone.decision.events if event.reason == "CapacityEstimated"]
    assert event.type.value == "Warning"
    assert "capacities of h100 (was measured) are estimated" in event.message
    assert "CapacityEstimated" not in follow(gone).reasons()


def test_a_profile_that_does_not_parse_is_told_so_in_its_condition_accepted() -> None:
    key = ObjectKey("ModelProfile", "", "broken")
    rejected = make.unreadable("ModelProfile", "broken", "spec.gpu is missing")
    done = run(make.snapshot(make.service(), rejected=[rejected]))
    (status,) = [write.status for write in done.decision.statuses if write.key == key]
    assert [(one["type"], one["status"], one["reason"]) for one in status["conditions"]] == [
        ("Accepted", "False", "InvalidSpec"),
        ("InUse", "False", "NotAccepted"),
    ]
    assert done.replicas()


def test_a_profile_is_not_in_use_where_no_service_of_its_engine_can_be_planned() -> None:
    measured = [make.model_profile()]
    refused = make.service(spec={"slo": {"ttft": "2s", "tpot": "1ms"}})
    assert in_use(run(make.snapshot(refused, measured=measured))) == ("False", "Unused")
    assert in_use(run(make.snapshot(refused, make.service("other"), measured=measured))) == ("True", "InUse")


def in_use(done: Round) -> tuple[str, str]:
    (status,) = [write.status for write in done.decision.statuses if write.key.kind == "ModelProfile"]
    (found,) = [each for each in status["conditions"] if each["type"] == "InUse"]
    return found["status"], found["reason"]
