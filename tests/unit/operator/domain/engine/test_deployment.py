"""What a production vLLM pod needs is in the manifest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from medley_operator.domain.engine.arguments import EngineFlag, engine_args, flag_of
from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.rollout.httproute import observed_weights, render_http_route
from medley_operator.domain.rollout.service import render_common_service, render_variant_service
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.variants import ENGINE_FLAGS
from tests.unit.operator import factories as make

EVERY_FLAG = (("--tensor-parallel-size", "2"), ("--quantization", "fp8"), ("--max-num-batched-tokens", "4096"))
DATA = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).parents[5] / ".." / "shared" / "data"))


def deployment(**overrides: Any) -> Manifest:
    given: dict[str, Any] = {
        "service": make.service(),
        "profile": make.profile(),
        "pool": make.pool(),
        "variant": "l4",
        "gpus_per_replica": 1,
        "engine_flags": (("--tensor-parallel-size", "1"),),
        "replicas": 2,
        "surge": True,
    }
    return render_deployment(DeploymentInput(**(given | overrides)))


def pod(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def container(manifest: Manifest) -> Manifest:
    only: Manifest = pod(manifest)["containers"][0]
    return only


def test_identity_and_placement() -> None:
    made = deployment(
        pool=make.pool(
            resourceName="amd.com/gpu",
            tolerations=[{"key": "gpu"}, {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"}],
        ),
        gpus_per_replica=4,
        variant="l4-tp4",
    )
    assert made["metadata"]["name"] == "llama-l4-tp4"
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"]
    assert made["metadata"]["labels"]["medley.dev/pool"] == "l4"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-llama"
    assert "medley.dev/pool" not in made["spec"]["selector"]["matchLabels"]
    assert pod(made)["nodeSelector"] == {"gpu": "l4"}
    assert pod(made)["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"},
    ]
    assert container(made)["resources"] == {
        "limits": {"amd.com/gpu": "4"},
        "requests": {"cpu": "16", "memory": "64Gi", "amd.com/gpu": "4"},
    }


def test_start_up_and_drain_budgets() -> None:
    made = deployment(
        service=make.service(spec={"drain": {"preStop": "20s", "timeout": "3m"}}),
        profile=make.profile(startupTimeout="45m"),
    )
    assert (
        container(made)["startupProbe"]["failureThreshold"] * container(made)["startupProbe"]["periodSeconds"] == 2700
    )
    assert made["spec"]["progressDeadlineSeconds"] > 2700
    assert container(made)["lifecycle"] == {"preStop": {"sleep": {"seconds": 20}}}
    assert "--shutdown-timeout=180" in container(made)["args"]
    assert pod(made)["terminationGracePeriodSeconds"] == 20 + 180 + 15


def test_no_pre_stop_where_none_is_wanted() -> None:
    assert "lifecycle" not in container(deployment(service=make.service(spec={"drain": {"preStop": "0s"}})))


def test_restricted_security_and_caches() -> None:
    made = deployment()
    assert pod(made)["securityContext"]["runAsNonRoot"] is True
    assert pod(made)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(made)["automountServiceAccountToken"] is False
    assert container(made)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": False,
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container(made)["volumeMounts"]}
    assert mounts["shm"] == "/dev/shm"  # noqa: S108
    environment = {item["name"]: item.get("value", "") for item in container(made)["env"]}
    assert all(environment[name].startswith(mounts["cache"]) for name in ("HOME", "HF_HOME", "VLLM_CACHE_ROOT"))


def test_a_token_comes_from_an_optional_secret_and_never_from_the_arguments() -> None:
    made = deployment(service=make.service(spec={"model": {"uri": make.LLAMA, "tokenSecretRef": {"name": "hf"}}}))
    token = next(item for item in container(made)["env"] if item["name"] == "HF_TOKEN")
    assert token["valueFrom"]["secretKeyRef"] == {"name": "hf", "key": "HF_TOKEN", "optional": True}
    assert all(item["name"] != "HF_TOKEN" for item in container(deployment())["env"])


def test_a_full_pool_replaces_in_place() -> None:
    assert deployment()["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment(surge=False)["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_engine_arguments() -> None:
    service = make.service(
        spec={
            "model": {"uri": make.LLAMA, "name": "chat", "maxModelLen": 8192},
            "runtime": {"args": ["--kv-cache-dtype=fp8"]},
        }
    )
    profile = make.profile(args=["--kv-cache-dtype=auto", "--enable-prefix-caching"])
    arguments = engine_args(service, profile, EVERY_FLAG)
    assert arguments[0] == "meta-llama/Llama-3.1-8B-Instruct"
    assert {
        "--served-model-name=chat",
        "--port=8000",
        "--max-model-len=8192",
        "--tensor-parallel-size=2",
        "--quantization=fp8",
        "--gpu-memory-utilization=0.90",
        "--max-num-batched-tokens=4096",
        "--max-num-seqs=256",
    } <= set(arguments)
    assert arguments[-2:] == ["--enable-prefix-caching", "--kv-cache-dtype=fp8"]
    assert "--kv-cache-dtype=auto" not in arguments


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("0.32.0", set()),
        ("0.17.1", {EngineFlag.SHUTDOWN_TIMEOUT}),
        ("0.15", {EngineFlag.SHUTDOWN_TIMEOUT, EngineFlag.DISABLE_ACCESS_LOG}),
    ],
)
def test_flags_follow_the_engine_version(version: str, missing: set[EngineFlag]) -> None:
    given = {flag_of(item) for item in engine_args(make.service(), make.profile(version=version), ())[1:]}
    assert given == {flag.value for flag in EngineFlag} - missing


def test_every_flag_exists_in_the_engine() -> None:
    help_file = DATA / "vllm_0.32_serve_help.txt"
    if not help_file.exists():
        pytest.skip(f"{help_file} is not there; set MEDLEY_SHARED_DATA")
    known = set(re.findall(r"(?<![\w-])--[a-z0-9][a-z0-9-]*", help_file.read_text()))
    given = [flag_of(item) for item in engine_args(make.service(), make.profile(), EVERY_FLAG)[1:]]
    assert len(given) == len(EngineFlag) + len(ENGINE_FLAGS)
    assert set(given) <= known


def test_a_variant_sets_every_flag_of_its_kind() -> None:
    assert {flag for flag, _ in EVERY_FLAG} == ENGINE_FLAGS


def test_services_select_ready_pods_of_a_variant_or_of_all() -> None:
    one, all_ = render_variant_service(make.service(), variant="l4"), render_common_service(make.service())
    assert one["metadata"]["name"] == "llama-l4"
    assert one["spec"]["selector"]["medley.dev/variant"] == "l4"
    assert all_["metadata"]["name"] == "llama"
    assert "medley.dev/variant" not in all_["spec"]["selector"]
    pods = deployment()["spec"]["template"]["metadata"]["labels"].items()
    assert one["spec"]["selector"].items() <= pods
    assert all_["spec"]["selector"].items() <= pods


def test_route_and_its_weights() -> None:
    route = render_http_route(make.service(), gateway="inference", weights={"l4": 400, "h100": 600})
    rule = route["spec"]["rules"][0]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/demo/llama"}}]
    assert [(item["name"], item["weight"]) for item in rule["backendRefs"]] == [("llama-h100", 600), ("llama-l4", 400)]
    assert observed_weights(route, service="llama") == {"l4": 400, "h100": 600}
    assert observed_weights(None, service="llama") is None
    empty = render_http_route(make.service(), gateway="inference", weights={})
    assert [item["name"] for item in empty["spec"]["rules"][0]["backendRefs"]] == ["llama"]
    assert observed_weights(empty, service="llama") is None
