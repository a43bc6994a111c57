"""Each thing that keeps a service from being planned has its reason and a message with field, value and way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import changed, run, settle

SMALL_CONFIG = (
    '{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, '
    '"num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128256}'
)


def model(**fields: Any) -> Mapping[str, Any]:
    return {"model": {"uri": make.LLAMA, **fields}}


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        (
            {"variants": [{"poolRef": "l4"}, {"poolRef": "l9"}]},
            "PoolNotFound",
            ['spec.variants[1].poolRef "l9"', "h100, l4"],
        ),
        ({"runtime": {"profileRef": "trt"}}, "ProfileNotFound", ['spec.runtime.profileRef "trt"', "existing: vllm"]),
        (
            {"runtime": {"args": ["--trust-remote-code"]}},
            "ArgumentNotAllowed",
            ['spec.runtime.args[0] "--trust-remote-code"', "--enable-prefix-caching", "spec.allowedArgs"],
        ),
        (
            {"runtime": {"args": ["--kv-cache-dtype=int4"]}},
            "ArgumentNotAllowed",
            ['spec.runtime.args "--kv-cache-dtype=int4"', "use one of auto, bfloat16, fp8"],
        ),
        ({"runtime": {"args": ["--port=1"]}}, "ArgumentNotAllowed", ["Medley sets --port itself", "remove it"]),
        (
            {"model": {"uri": "hf://nobody/knows-this"}},
            "UnknownModel",
            ['spec.model.uri is "hf://nobody/knows-this"', "spec.model.configJson"],
        ),
        (model(configJson="/etc/hostname"), "UnknownModel", ["spec.model.configJson", "is not JSON"]),
        (model(configJson="[1]"), "UnknownModel", ["spec.model.configJson", "list"]),
        (model(configJson='{"hidden_size": 64}'), "UnknownModel", ["spec.model.configJson", "num_hidden_layers"]),
        (
            {"model": {"uri": "hf://meta-llama/Llama-3.1-70B-Instruct"}, "variants": [{"poolRef": "l4"}]},
            "ModelFitsNoPool",
            ["Llama-3.1-70B-Instruct", "141 GB", "l4", "spec.model.precision"],
        ),
        ({"slo": {"ttft": "2s", "tpot": "1ms"}}, "TargetImpossible", ['spec.slo.tpot "1ms"', "H100", " ms"]),
        ({"slo": {"ttft": "1ms", "tpot": "100ms"}}, "TargetImpossible", ['spec.slo.ttft "1ms"', "H100"]),
        (model(maxModelLen=512), "InvalidSpec", ["spec.workload.static", "650", "maxModelLen 512"]),
        (
            {"variants": [{"poolRef": "l4", "minReplicas": 9}], "scaling": {"maxReplicas": 8}},
            "InvalidSpec",
            ["add up to 9", "maxReplicas 8"],
        ),
        (
            {"variants": [{"poolRef": "l4"}, {"poolRef": "h100", "name": "l4"}]},
            "InvalidSpec",
            ["spec.variants[1]", '"l4"', "name"],
        ),
        (
            {"variants": [{"poolRef": "l4", "tensorParallel": 8}]},
            "InvalidSpec",
            ["spec.variants[0].tensorParallel 8", "gpusPerNode 4"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rejections(spec: Mapping[str, Any], reason: str, words: list[str]) -> None:
    done = run(make.snapshot(make.service(spec=spec), make.service("other")))
    condition = done.condition("PlanReady")
    assert (condition.status, condition.reason) == ("False", reason)
    for word in words:
        assert word in condition.message
    assert reason in done.reasons()
    assert done.condition("Ready").reason == "NoPlan"
    assert all(apply.service[1] == "other" for apply in done.decision.applies)
    assert done.condition("PlanReady", "other").reason == "Optimal"


@pytest.mark.parametrize("limits", [{"minReplicas": 1}, {"maxReplicas": 9}, {"name": "mine"}], ids=str)
def test_an_entry_for_one_variant_takes_the_fewest_gpus_that_fit_and_are_fast_enough(limits: dict[str, Any]) -> None:
    """An L4 takes 57 ms for one step of an 8B model in BF16: two of them make it in half."""
    for tpot, gpus in {"100ms": 1, "50ms": 2, "1ms": None}.items():
        spec = {"slo": {"ttft": "2s", "tpot": tpot}, "variants": [{"poolRef": "l4", **limits}]}
        done = run(make.snapshot(make.service(spec=spec), pools=[make.pool()]))
        assert [variant.variant.gpus_per_replica for variant in done.candidate().variants] == ([gpus] if gpus else [])


def test_a_model_given_by_its_config_is_planned() -> None:
    spec = {"model": {"uri": "hf://nobody/knows-this", "configJson": SMALL_CONFIG}}
    assert run(make.snapshot(make.service(spec=spec))).condition("PlanReady").reason == "Optimal"


def test_fp8_runs_weight_only_where_the_gpu_lacks_its_arithmetic() -> None:
    pools = [make.pool("a10g", gpu="A10G", price="0.5"), make.pool("l4")]
    done = run(make.snapshot(make.service(spec=model(precision="FP8")), pools=pools))
    assert {variant.variant.pool for variant in done.candidate().variants} == {"a10g", "l4"}
    assert all(("--quantization", "fp8") in variant.engine_flags for variant in done.candidate().variants)


@pytest.mark.parametrize(
    ("uri", "precision", "words"),
    [
        ("Qwen/Qwen3-32B-FP8", "BF16", ["spec.model.precision BF16", "is in FP8 (fp8)", "Checkpoint"]),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "FP8", ["is in INT4 (awq)", "makes FP8 of a BF16 checkpoint"]),
        ("Qwen/Qwen3-8B", "INT4", ["spec.model.precision INT4", "is in BF16"]),
        ("Qwen/Qwen3-8B", "FP4", ["spec.model.precision FP4", "a checkpoint in FP4"]),
    ],
)
def test_a_precision_that_the_checkpoint_cannot_have_is_refused(uri: str, precision: str, words: list[str]) -> None:
    pools = [make.pool("h100", gpu="H100", gpus_per_node=8)]
    spec = model(uri=f"hf://{uri}", precision=precision)
    condition = run(make.snapshot(make.service(spec=spec), pools=pools)).condition("PlanReady")
    assert condition.reason == "InvalidSpec"
    assert all(word in condition.message for word in words), condition.message


@pytest.mark.parametrize(
    ("uri", "precision", "flag"),
    [
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "Checkpoint", False),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "FP8", False),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "Auto", False),
        ("meta-llama/Llama-3.3-70B-Instruct", "FP8", True),
        ("meta-llama/Llama-3.3-70B-Instruct", "Checkpoint", False),
        ("openai/gpt-oss-120b", "Checkpoint", False),
    ],
)
def test_what_the_checkpoint_says_takes_no_flag(uri: str, precision: str, flag: bool) -> None:
    pools = [make.pool("h100", gpu="H100", gpus_per_node=8)]
    done = run(make.snapshot(make.service(spec=model(uri=f"hf://{uri}", precision=precision)), pools=pools))
    flags = [dict(variant.engine_flags) for variant in done.candidate().variants]
    assert flags
    assert {("--quantization" in each) for each in flags} == {flag}


@pytest.mark.parametrize(
    ("uri", "gpu", "smallest"),
    [
        ("deepseek-ai/DeepSeek-R1", "H200", 8),
        ("openai/gpt-oss-120b", "H100", 1),
        ("openai/gpt-oss-20b", "L4", 1),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "A100-80", 1),
        ("Qwen/Qwen3-235B-A22B-FP8", "H100", 4),
        ("google/gemma-3-27b-it", "H100", 1),
    ],
)
def test_a_checkpoint_runs_on_what_holds_its_files(uri: str, gpu: str, smallest: int) -> None:
    pools = [make.pool("all", gpu=gpu, gpus_per_node=8)]
    slo = {"ttft": "30s", "tpot": "300ms"}
    spec = {**model(uri=f"hf://{uri}", maxModelLen=8192), "slo": slo}
    done = run(make.snapshot(make.service(spec=spec), pools=pools))
    degrees = {variant.variant.gpus_per_replica for variant in done.candidate().variants}
    assert min(degrees) == smallest
    if "235B" in uri:
        assert 8 not in degrees, "192 of 1536 is not a multiple of 128"


def test_pools_that_cannot_be_used_are_passed_over_or_named() -> None:
    pools = [make.pool(), make.pool("odd", gpu="RTX-1"), make.pool("free", gpu="L4", price="0")]
    done = run(make.snapshot(make.service(), pools=pools))
    assert {variant.variant.pool for variant in done.candidate().variants} == {"l4"}
    assert {omitted.variant for omitted in done.candidate().omitted} == {"odd", "free"}
    for pool_name, words in {"odd": 'spec.gpu "RTX-1"', "free": 'spec.cost.perHour "0"'}.items():
        named = run(make.snapshot(make.service(spec={"variants": [{"poolRef": pool_name}]}), pools=pools))
        condition = named.condition("PlanReady")
        assert condition.reason == "InvalidSpec"
        assert words in condition.message
        assert "spec.variants[0].poolRef" in condition.message


def test_no_pool_at_all() -> None:
    condition = run(make.snapshot(make.service(), pools=[])).condition("PlanReady")
    assert condition.reason == "PoolNotFound"
    assert "GPUPool" in condition.message


def test_a_profile_that_cannot_be_used() -> None:
    done = run(make.snapshot(make.service(), profiles=[make.profile(args=["--port=9"])]))
    assert done.condition("PlanReady").reason == "InvalidSpec"
    assert 'spec.args[0] "--port=9"' in done.condition("PlanReady").message
    written = next(write for write in done.decision.statuses if write.key.kind == "RuntimeProfile")
    assert written.status["conditions"][0]["reason"] == "InvalidSpec"


@pytest.mark.parametrize("argument", ["--kv-cache-dtype=int4", "--kv-cache-dtype=FP8", "--kv-cache-dtype"])
def test_a_profile_with_a_cache_format_that_is_not_known(argument: str) -> None:
    done = run(make.snapshot(make.service(), profiles=[make.profile(args=[argument])]))
    assert done.condition("PlanReady").reason == "InvalidSpec"
    assert 'spec.args "--kv-cache-dtype=' in done.condition("PlanReady").message
    assert "use one of auto, bfloat16, fp8" in done.condition("PlanReady").message


@pytest.mark.parametrize("argument", ["--kv-cache-dtype=fp8", "--kv-cache-dtype=auto"])
def test_a_profile_may_set_the_cache_format_and_its_pods_get_it(argument: str) -> None:
    done = run(make.snapshot(make.service(), profiles=[make.profile(args=[argument])]))
    assert done.condition("PlanReady").reason == "Optimal"
    (deployment,) = (apply.manifest for apply in done.decision.applies if apply.manifest["kind"] == "Deployment")
    assert argument in deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def breaks(**spec: Any) -> Callable[[], Any]:
    return lambda: make.service(spec=spec, generation=2)


@pytest.mark.parametrize(
    "broken", [breaks(runtime={"profileRef": "trt"}), breaks(slo={"ttft": "2s", "tpot": "1ms"})], ids=["profile", "slo"]
)
def test_a_rejected_service_keeps_what_it_runs_and_its_gpus(broken: Callable[[], Any]) -> None:
    pools = [make.pool(nodes=1)]
    load = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "2"}}
    pair = make.service(spec={"slo": {"ttft": "2s", "tpot": "70ms"}, "workload": load})
    steady = settle(make.snapshot(pair, pools=pools))
    assert steady.candidate().last_replicas == {"l4-tp2": 1}
    done = run(changed(steady.snapshot, broken(), make.service("other")), steady.memory)
    assert not [apply for apply in done.decision.applies if apply.service[1] == "llama"]
    assert not done.decision.deletes
    assert done.condition("Ready").reason == "Serving"
    assert done.status()["desiredReplicas"] == 1
    assert done.prepared.problem is not None
    assert done.prepared.problem.pools[0].stock_gpus == 4 - 2


def test_an_object_that_does_not_parse_is_told_so_once() -> None:
    rejected = make.unreadable("LLMService", "broken", "spec.slo.tpot is 50: write 50ms", namespace=make.NAMESPACE)
    done = run(make.snapshot(make.service(), rejected=[rejected]))
    conditions = {item["type"]: item for item in done.status("broken")["conditions"]}
    assert conditions["PlanReady"]["reason"] == "InvalidSpec"
    assert conditions["PlanReady"]["message"] == "spec.slo.tpot is 50: write 50ms"
    assert conditions["Ready"]["status"] == "False"
    assert "InvalidSpec" in done.reasons()
    assert done.condition("PlanReady").reason == "Optimal"
    settle(make.snapshot(make.service(), rejected=[rejected]))


def test_an_unreadable_pool_does_not_look_like_a_pool_that_is_gone() -> None:
    steady = settle(make.snapshot(make.service(), pools=[make.pool(), make.pool("l40s", gpu="L40S", price="9")]))
    assert set(steady.candidate().last_replicas) == {"l4"}
    rejected = make.unreadable("GPUPool", "l4", "spec.gpu is missing")
    pools = tuple(pool for pool in steady.snapshot.pools if pool.metadata.name != "l4")
    done = run(changed(steady.snapshot, pools=pools, rejected=(rejected,)), steady.memory)
    assert not done.decision.applies
    assert not done.decision.deletes
    assert 'GPUPool "l4"' in done.condition("PlanReady").message
