"""What the platform adds is in the pod, and takes nothing of Medley's away."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.checks.runtime_profile import RUNTIME_PROFILE_CHECKS
from medley_operator.domain.engine.startup_protection import PROTECTION
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.refusal import first_refusal
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import container, deployment, pod


def overlaid(**overlay: Any) -> Manifest:
    return deployment(profile=make.profile(pod=overlay))


def template_metadata(made: Manifest) -> Manifest:
    metadata: Manifest = made["spec"]["template"]["metadata"]
    return metadata


def test_without_an_overlay_there_are_no_empty_fields() -> None:
    assert not {"imagePullSecrets", "schedulerName"} & pod(deployment()).keys()
    assert pod(deployment())["affinity"].keys() == {"podAffinity"}
    assert template_metadata(deployment())["annotations"] == dict(PROTECTION)


def test_settings_of_the_pod() -> None:
    made = pod(
        overlaid(
            runtimeClassName="nvidia",
            imagePullSecrets=[{"name": "registry"}],
            schedulerName="packing",
            priorityClassName="serving",
        )
    )
    assert made["runtimeClassName"] == "nvidia"
    assert made["imagePullSecrets"] == [{"name": "registry"}]
    assert made["schedulerName"] == "packing"
    assert made["priorityClassName"] == "serving"


def test_environment_and_volumes_come_after_medleys_own() -> None:
    made = overlaid(
        env=[{"name": "AWS_REGION", "value": "eu-1"}],
        volumes=[
            {"name": "ca", "configMap": {"name": "certificates"}},
            {"name": "key", "secret": {"secretName": "licence"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
        volumeMounts=[
            {"name": "ca", "mountPath": "/etc/ca"},
            {"name": "tmp", "mountPath": "/scratch", "readOnly": False},
        ],
    )
    assert container(made)["env"][-1] == {"name": "AWS_REGION", "value": "eu-1"}
    assert pod(made)["volumes"][-4:] == [
        {"name": "ca", "configMap": {"name": "certificates"}},
        {"name": "key", "secret": {"secretName": "licence"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]
    assert container(made)["volumeMounts"][-2:] == [
        {"name": "ca", "mountPath": "/etc/ca", "readOnly": True},
        {"name": "tmp", "mountPath": "/scratch"},
    ]


def test_affinities_are_preferences() -> None:
    terms = [{"weight": 5, "matchExpressions": [{"key": "disk", "operator": "In", "values": ["nvme"]}]}]
    apart = [{"weight": 9}, {"weight": 1, "topologyKey": "rack", "matchLabels": {"app": "noisy"}}]
    affinity = pod(overlaid(nodeAffinity=terms, podAntiAffinity=apart))["affinity"]
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    assert affinity["podAffinity"] == pod(deployment())["affinity"]["podAffinity"]
    assert affinity["nodeAffinity"] == {
        preferred: [{"weight": 5, "preference": {"matchExpressions": terms[0]["matchExpressions"]}}]
    }
    own, other = affinity["podAntiAffinity"][preferred]
    assert own["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    selector = own["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert selector.items() <= template_metadata(deployment())["labels"].items()
    assert "medley.dev/variant" not in selector
    assert other == {
        "weight": 1,
        "podAffinityTerm": {"topologyKey": "rack", "labelSelector": {"matchLabels": {"app": "noisy"}}},
    }


def test_labels_for_other_systems() -> None:
    made = deployment(service=make.service(spec={"model": {"uri": make.LLAMA, "name": "meta/llama" + "x" * 80}}))
    found = template_metadata(made)["labels"]
    assert found["llm-d.ai/inference-serving"] == "true"
    assert found["llm-d.ai/role"] == "prefill-decode"
    assert found["llm-d.ai/model"] == "meta-llama" + "x" * 53
    assert not any(key.startswith("llm-d.ai") for key in made["spec"]["selector"]["matchLabels"])
    assert "llm-d.ai/managed" not in found


def test_kueues_queue_is_on_deployment_and_pods() -> None:
    made = overlaid(queueName="gpus", labels={"cost": "a"}, annotations={"team": "b"})
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert template_metadata(made)["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert template_metadata(made)["labels"]["cost"] == "a"
    assert template_metadata(made)["annotations"]["team"] == "b"


@pytest.mark.parametrize("name", ["HF_HOME", "HF_TOKEN", "VLLM_PORT", "NVIDIA_VISIBLE_DEVICES", "HOME"])
def test_environment_that_medley_sets_is_refused(name: str) -> None:
    refusal = first_refusal(RUNTIME_PROFILE_CHECKS, make.profile(pod={"env": [{"name": name, "value": "x"}]}))
    assert refusal is not None
    assert refusal.message == f'spec.pod.env[0].name "{name}": Medley sets it itself; remove it'
