"""The list of what an LLMService must satisfy: each check refuses its own case, and the first refusal counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUPool, RuntimeProfile
from medley_operator.domain.checks.runtime_profile import RUNTIME_PROFILE_CHECKS
from medley_operator.domain.checks.service import CHECKS, LOAD_CHECKS, SPEC_CHECKS
from medley_operator.domain.checks.variants import WISH_CHECKS
from medley_operator.domain.cluster.pool_checks import POOL_CHECKS, pool_refusal
from medley_operator.domain.speed.profile_reading import MODEL_PROFILE_CHECKS
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.catalog import Catalogue
from medley_planner.refusal import first_refusal
from tests.unit.operator import factories as make

LARGE = {"uri": "hf://meta-llama/Llama-3.1-70B-Instruct"}
SIX_HEADS = (
    '{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 3072, "num_hidden_layers": 16, '
    '"num_attention_heads": 24, "num_key_value_heads": 6, "intermediate_size": 8192, "vocab_size": 128256}'
)
CASES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "namespace_stays": ({}, {"ending": [make.NAMESPACE]}),
    "bounds_are_known": ({}, {"rejected": [("MedleyPolicy", "tenants")]}),
    "service_is_not_one_too_many": ({}, {"policies": [make.policy(maxServices=0)]}),
    "model_source_is_allowed": ({}, {"policies": [make.policy(modelSources=["hf://others"])]}),
    "window_is_allowed": ({}, {"policies": [make.policy(allowedWindows=["1m"])]}),
    "gateway_is_allowed": ({"routing": {"gatewayRef": {"name": "edge", "namespace": "platform"}}}, {}),
    "minima_are_within_the_ceiling": ({"scaling": {"minReplicas": 3}}, {"policies": [make.policy(maxReplicas=2)]}),
    "static_sizes_fit_the_model_length": ({"model": {"uri": make.LLAMA, "maxModelLen": 512}}, {}),
    "events_do_not_contradict_each_other": (
        {
            "workload": {
                "source": "Static",
                "static": make.STATIC,
                "schedule": [
                    {"start": "2026-12-01T08:00:00Z", "end": "2026-12-01T10:00:00Z", "factor": "2", "repeat": "Daily"},
                    {"start": "2026-12-24T09:59:59Z", "end": "2026-12-24T12:00:00Z", "factor": "3"},
                ],
            }
        },
        {},
    ),
    "variant_minima_fit_the_maximum": (
        {"variants": [{"poolRef": "l4", "minReplicas": 9}], "scaling": {"maxReplicas": 8}},
        {},
    ),
    "profile_can_be_read": ({}, {"profiles": [], "rejected": [("RuntimeProfile", "vllm")]}),
    "profile_exists": ({"runtime": {"profileRef": "trt"}}, {}),
    "profile_can_be_used": ({}, {"profiles": [make.profile(args=["--port=9"])]}),
    "arguments_are_allowed": ({"runtime": {"args": ["--trust-remote-code"]}}, {}),
    "arguments_can_be_read": ({"runtime": {"args": ["--kv-cache-dtype=fp6"]}}, {}),
    "source_can_be_loaded": (
        {"model": {"uri": "gs://bucket/llama", "id": make.LLAMA.removeprefix("hf://")}},
        {"profiles": [make.profile(version="0.10.2")]},
    ),
    "pools_in_use_can_be_read": ({"variants": [{"poolRef": "l9"}]}, {"rejected": [("GPUPool", "l9")]}),
    "a_pool_exists": ({}, {"pools": []}),
    "model_is_known": ({"model": {"uri": "hf://nobody/knows-this"}}, {}),
    "precision_is_the_checkpoints": ({"model": {"uri": make.LLAMA, "precision": "INT4"}}, {}),
    "each_wish_can_be_met": ({"variants": [{"poolRef": "l9"}]}, {}),
    "an_image_runs_on_a_pool": ({}, {"pools": [make.pool("mi300x", gpu="MI300X")]}),
    "weights_fit_the_cache": ({}, {"profiles": [make.profile(cache={"emptyDir": {"sizeLimit": "8Gi"}})]}),
    "length_is_within_the_model": ({"model": {"uri": make.LLAMA, "maxModelLen": 1000000}}, {}),
    "names_are_unique": ({"variants": [{"poolRef": "l4"}, {"poolRef": "h100", "name": "l4"}]}, {}),
    "model_fits_a_pool": ({"model": LARGE, "variants": [{"poolRef": "l4"}]}, {}),
    "targets_can_be_met": ({"slo": {"ttft": "2s", "tpot": "1ms"}}, {}),
    "replicas_pack_onto_paid_nodes": (
        {
            "model": {"uri": "hf://nobody/knows-this", "configJson": SIX_HEADS},
            "variants": [{"poolRef": "l4", "tensorParallel": 3}],
        },
        {"pools": [make.pool(cost={"perNodeHour": "4"}, gpus_per_node=6)]},
    ),
}


def cluster(spec: Mapping[str, Any], around: Mapping[str, Any]) -> Snapshot:
    rejected = [make.unreadable(kind, name) for kind, name in around.get("rejected", ())]
    return make.snapshot(make.service(spec=spec), **{**around, "rejected": rejected})


def refusing(snapshot: Snapshot) -> str:
    """The name of the first check that refuses."""
    given = make.service_input(snapshot.services[0], snapshot)
    return next((check.__name__ for check in CHECKS if check(given) is not None), "")


def test_each_check_has_a_case_and_says_what_it_is_for() -> None:
    assert [check.__name__ for check in CHECKS] == list(CASES)
    for checks in (CHECKS, WISH_CHECKS, POOL_CHECKS, RUNTIME_PROFILE_CHECKS, MODEL_PROFILE_CHECKS):
        assert len(set(checks)) == len(checks)
        assert all(check.__doc__ for check in checks)


@pytest.mark.parametrize("name", CASES)
def test_each_check_refuses_what_all_before_it_let_pass(name: str) -> None:
    assert refusing(cluster(*CASES[name])) == name


def test_a_service_that_is_all_right_passes_all() -> None:
    assert refusing(cluster({}, {})) == ""


def test_of_two_faults_the_first_in_the_list_is_shown() -> None:
    spec, around = CASES["targets_can_be_met"][0], CASES["profile_can_be_used"][1]
    given = make.service_input(make.service(spec=spec), cluster(spec, around))
    assert CHECKS == SPEC_CHECKS + LOAD_CHECKS
    refusal = first_refusal(CHECKS, given)
    assert refusal is not None
    assert 'spec.args[0] "--port=9"' in refusal.message


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        (make.pool(gpu="RTX-1"), ("UnknownGpu", 'spec.gpu "RTX-1"')),
        (
            make.pool(price="0"),
            ("InvalidSpec", 'spec.cost.perHour "0" must be above 0; set it to the price of one GPU'),
        ),
        (
            make.pool(cost={"perNodeHour": "0"}),
            ("InvalidSpec", 'spec.cost.perNodeHour "0" must be above 0; set it to the price of one node'),
        ),
    ],
    ids=["gpu", "price", "node-price"],
)
def test_a_pool_is_refused(pool: GPUPool, words: tuple[str, str]) -> None:
    refusal = pool_refusal(pool, Catalogue())
    assert refusal is not None
    assert refusal.reason == words[0]
    assert refusal.message.startswith(words[1])


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (make.profile(args=["--seed=1", "--port=9"]), 'spec.args[1] "--port=9"'),
        (make.profile(allowedArgs=["--port"]), 'spec.allowedArgs[0] "--port"'),
        (make.profile(args=["--kv-cache-dtype=fp6"]), 'spec.args "--kv-cache-dtype=fp6"'),
        (make.profile(startupTimeout="0s"), 'spec.startupTimeout "0s" must be above 0'),
    ],
    ids=["args", "allowed", "unknown", "timeout"],
)
def test_a_runtime_profile_is_refused(profile: RuntimeProfile, words: str) -> None:
    refusal = first_refusal(RUNTIME_PROFILE_CHECKS, profile)
    assert refusal is not None
    assert refusal.message.startswith(words)
