"""What a production vLLM pod needs is in the manifest."""

from __future__ import annotations

from typing import Any

from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment, rescaled
from medley_operator.domain.values.snapshot import Manifest
from tests.unit.operator import factories as make


def deployment(**overrides: Any) -> Manifest:
    given: dict[str, Any] = {
        "service": make.service(),
        "profile": make.profile(),
        "pool": make.pool(),
        "variant": "l4",
        "layout": "abcdefgh",
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
    assert made["metadata"]["name"] == f"llama-l4-tp4-{made['metadata']['labels']['medley.dev/layout']}"
    assert made["metadata"]["labels"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert made["metadata"]["labels"]["medley.dev/pool"] == "l4"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-llama"
    assert "medley.dev/pool" not in made["spec"]["selector"]["matchLabels"]
    assert pod(made)["nodeSelector"] == {"gpu": "l4"}
    assert pod(made)["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"},
    ]
    assert container(made)["resources"] == {
        "limits": {"ephemeral-storage": "39Gi", "amd.com/gpu": "4"},
        "requests": {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "17Gi", "amd.com/gpu": "4"},
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


def test_the_engine_is_not_the_first_to_close_an_idle_connection_of_a_gateway() -> None:
    hour_of_envoy = 3600
    variables = {each["name"]: each["value"] for each in container(deployment())["env"]}
    assert float(variables["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"]) > hour_of_envoy


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


def test_a_variant_that_cannot_be_rendered_any_more_keeps_what_its_template_was_made_of() -> None:
    held = make.with_defaults(deployment())
    held["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    fewer = rescaled(held, 1)
    assert fewer["spec"]["replicas"] == 1
    assert fewer["metadata"]["annotations"] == deployment()["metadata"]["annotations"]


def test_a_memory_limit_is_for_each_gpu() -> None:
    made = deployment(profile=make.profile(resources={"memory": "8Gi", "memoryLimit": "12Gi"}), gpus_per_replica=4)
    assert container(made)["resources"]["limits"]["memory"] == "48Gi"
    assert container(made)["resources"]["requests"]["memory"] == "32Gi"
    assert "memory" not in container(deployment())["resources"]["limits"]


def test_shared_memory_has_a_limit() -> None:
    shm = next(volume for volume in pod(deployment(profile=make.profile(sharedMemory="2Gi")))["volumes"])
    assert shm == {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
