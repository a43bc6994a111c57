"""Each source of weights has what its engine needs to load them, and nothing of another namespace."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medley_operator.domain.engine.programs import PROGRAMS
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.layout import EngineKind
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import container, deployment, pod

ID = make.LLAMA.removeprefix("hf://")


def loading(uri: str, **model: Any) -> Manifest:
    named = {} if uri.startswith("hf://") else {"id": ID}
    return deployment(service=make.service(spec={"model": {"uri": uri, **named, **model}}))


def volume(made: Manifest, name: str) -> Manifest | None:
    return next((each for each in pod(made)["volumes"] if each["name"] == name), None)


def mount(made: Manifest, name: str) -> Manifest | None:
    return next((each for each in container(made)["volumeMounts"] if each["name"] == name), None)


def environment(made: Manifest) -> dict[str, Manifest]:
    return {each["name"]: each for each in container(made)["env"]}


def test_hugging_face() -> None:
    made = loading(make.LLAMA)
    assert container(made)["args"][0] == ID
    assert volume(made, "model") is None


@pytest.mark.parametrize(
    ("uri", "path"),
    [("pvc://models", "/model"), ("pvc://models/llama", "/model/llama"), ("pvc://models/hub/a--b", "/model/hub/a--b")],
)
def test_a_claim_is_mounted_whole_and_read_only(uri: str, path: str) -> None:
    made = loading(uri)
    assert container(made)["args"][0] == path
    assert volume(made, "model") == {
        "name": "model",
        "persistentVolumeClaim": {"claimName": "models", "readOnly": True},
    }
    assert mount(made, "model") == {"name": "model", "mountPath": "/model", "readOnly": True}


def test_an_image_is_a_volume() -> None:
    made = loading("oci://registry.local/models/llama:3.1")
    assert container(made)["args"][0] == "/model"
    assert volume(made, "model") == {
        "name": "model",
        "image": {"reference": "registry.local/models/llama:3.1", "pullPolicy": "IfNotPresent"},
    }
    assert container(made)["image"] == make.profile().spec.image


@pytest.mark.parametrize("uri", ["s3://bucket/llama", "gs://bucket/llama"])
def test_a_bucket_is_streamed_by_the_engine(uri: str) -> None:
    made = loading(uri)
    assert container(made)["args"][0] == uri
    assert "--load-format=runai_streamer" in container(made)["args"]
    assert not any(name.startswith(("AWS", "GOOGLE")) for name in environment(made))
    assert "--load-format=runai_streamer" not in container(loading(make.LLAMA))["args"]


def test_credentials_of_a_bucket_come_from_a_secret_of_the_namespace() -> None:
    made = loading("s3://bucket/llama", credentialsSecretRef={"name": "bucket"})
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert environment(made)[key]["valueFrom"] == {"secretKeyRef": {"name": "bucket", "key": key}}
    made = loading("gs://bucket/llama", credentialsSecretRef={"name": "bucket"})
    assert volume(made, "credentials") == {
        "name": "credentials",
        "secret": {"secretName": "bucket", "items": [{"key": "credentials.json", "path": "credentials.json"}]},
    }
    assert environment(made)["GOOGLE_APPLICATION_CREDENTIALS"]["value"] == "/credentials/credentials.json"
    assert mount(made, "credentials") == {"name": "credentials", "mountPath": "/credentials", "readOnly": True}


@pytest.mark.parametrize(
    "uri",
    ["pvc://models/../other", "pvc://models/a/../../b", "pvc://models/.git", "file:///etc/shadow", "/etc", "nfs://a"],
)
def test_no_path_leads_out_of_what_is_named(uri: str) -> None:
    with pytest.raises(ValidationError, match="hf://organisation/model, pvc://claim/path"):
        loading(uri)


def test_what_reads_a_bucket_is_a_source_that_has_no_volume() -> None:
    for engine in EngineKind:
        assert {source.value for source in PROGRAMS[engine].streams} <= {"s3", "gs"}
