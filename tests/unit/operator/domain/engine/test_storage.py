"""Weights have room where they are downloaded, and no pod may fill the disk of its node."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.engine.storage import UNKNOWN_WEIGHTS_GIB, downloaded_gib, storage
from medley_operator.domain.values.snapshot import Manifest
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import container, deployment, pod

CLAIM = {"persistentVolumeClaim": {"claimName": "weights"}}
HOST_PATH = {"hostPath": {"path": "/var/lib/weights"}}


def sizes(service: LLMService | None = None, **profile: Any) -> tuple[str, str, str]:
    """Limit of the cache, request and limit of the node's disk."""
    made = storage(service or make.service(), make.profile(**profile))
    return made.parts.volumes[0]["emptyDir"]["sizeLimit"], made.request, made.limit


def weights(cache: Manifest, **metadata: str) -> tuple[Manifest, Manifest]:
    """Volume and mount of the shared weights."""
    service = make.service()
    service = service.model_copy(update={"metadata": service.metadata.model_copy(update=metadata)})
    made = deployment(service=service, profile=make.profile(cache=cache))
    return pod(made)["volumes"][2], container(made)["volumeMounts"][2]


def test_no_pod_fills_the_disk_of_its_node() -> None:
    """A cache without a limit took the disk of the node, and nothing was requested of it."""
    assert sizes() == ("29Gi", "17Gi", "39Gi")  # 15 GiB of weights
    for part in pod(deployment())["volumes"]:
        assert "sizeLimit" in part["emptyDir"]


def test_a_larger_model_has_more_room() -> None:
    large = make.service(spec={"model": {"uri": "hf://meta-llama/Llama-3.1-70B-Instruct"}})
    assert sizes(large) == ("175Gi", "134Gi", "185Gi")


@pytest.mark.parametrize(
    ("cache", "uri"),
    [(CLAIM, make.LLAMA), (HOST_PATH, make.LLAMA), (None, "pvc://models"), (None, "oci://a/b"), (None, "s3://abc/b")],
)
def test_what_is_not_downloaded_onto_the_node_takes_no_room_there(cache: Manifest | None, uri: str) -> None:
    model = {"uri": uri} if uri == make.LLAMA else {"uri": uri, "id": make.LLAMA.removeprefix("hf://")}
    profile = {} if cache is None else {"cache": cache}
    assert sizes(make.service(spec={"model": model}), **profile) == ("10Gi", "2Gi", "20Gi")


def test_a_profile_sets_the_sizes_itself() -> None:
    assert sizes(cache={"emptyDir": {"sizeLimit": "20Gi"}}) == ("20Gi", "17Gi", "30Gi")
    assert sizes(cache={"emptyDir": {"sizeLimit": "15872Mi"}}) == ("15872Mi", "15872Mi", "26112Mi")
    assert sizes(resources={"ephemeralStorage": "1Gi"}) == ("29Gi", "1Gi", "39Gi")
    # A request above its limit would be refused by the API server.
    assert sizes(resources={"ephemeralStorage": "90Gi"}) == ("29Gi", "90Gi", "90Gi")


def test_a_model_that_is_not_known_any_more_keeps_room() -> None:
    assert downloaded_gib(make.service(spec={"model": {"uri": "hf://a/b"}}), make.profile()) == UNKNOWN_WEIGHTS_GIB


def test_services_of_a_namespace_share_weights_on_a_claim() -> None:
    volume, mount = weights(CLAIM)
    assert volume == {"name": "weights", **CLAIM}
    assert mount == {"name": "weights", "mountPath": "/cache/huggingface", "subPath": "huggingface"}
    assert weights(CLAIM, name="other") == (volume, mount)


def test_a_folder_of_the_node_is_shared_by_a_namespace_and_not_by_all() -> None:
    volume, mount = weights(HOST_PATH)
    assert volume == {"name": "weights", "hostPath": {"path": "/var/lib/weights", "type": "Directory"}}
    assert mount["subPath"] == f"{make.NAMESPACE}/huggingface"
    assert weights(HOST_PATH, name="other") == (volume, mount)
    assert weights(HOST_PATH, namespace="team-b")[1]["subPath"] == "team-b/huggingface"


@pytest.mark.parametrize("cache", [CLAIM, HOST_PATH])
def test_what_is_not_downloaded_mounts_no_shared_weights(cache: Manifest) -> None:
    service = make.service(spec={"model": {"uri": "pvc://models", "id": make.LLAMA.removeprefix("hf://")}})
    assert [each["name"] for each in storage(service, make.profile(cache=cache)).parts.volumes] == ["cache"]
