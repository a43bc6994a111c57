"""The YAML that `medley advise` proposes: it parses as the API takes it, and says why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.cli.advise.engines import FoundEngine, FoundService, WorkloadRef
from medley_operator.cli.advise.load import SeenLoad
from medley_operator.cli.advise.proposal import Targets, names_of, profile_manifest, service_manifest, why_not_planned
from medley_operator.cli.manifests import objects_of

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
ENGINE = FoundEngine(
    WorkloadRef("chat", "Deployment", "llama"), "llama-0", "n", True, False, "", "vllm:1", "0.31.0", LLAMA, LLAMA
)
LOAD = SeenLoad(1.0, 2.0000004, 500.4, 0.2, None, None)
TARGETS = Targets("2s", "60ms", 95)


def service(**changes: object) -> FoundService:
    engine = replace(ENGINE, **changes)  # type: ignore[arg-type]
    return FoundService("chat", engine.served_name, engine.model, (engine,))


@pytest.mark.parametrize(
    ("changes", "load", "reason"),
    [
        ({}, LOAD, ""),
        ({}, None, "no finished request"),
        ({"ours": True}, LOAD, "Medley runs it"),
        ({"model": ""}, LOAD, "names no model"),
        ({"model": "/models/llama"}, LOAD, "is a path"),
        ({"model": "nobody/knows-it"}, LOAD, "nobody/knows-it"),
        ({"pipeline_parallel": 2}, LOAD, "several nodes"),
    ],
)
def test_why_there_is_no_plan(changes: dict[str, object], load: SeenLoad | None, reason: str) -> None:
    found = why_not_planned(service(**changes), load)
    assert (found == "") if reason == "" else (reason in found)


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({}, "max_model_len", 16384),
        ({"max_model_len": 4096}, "max_model_len", 4096),
        ({"max_model_len": 256}, "max_model_len", 512),
        ({"precision": "fp8"}, "precision", "FP8"),
        ({"served_name": "odd name!"}, "name", None),
    ],
)
def test_the_model_as_the_engine_was_started(changes: dict[str, object], field: str, value: object) -> None:
    manifest = service_manifest(service(**changes), LOAD, TARGETS, name="llama")
    (parsed,) = objects_of([("here", manifest)]).services
    assert getattr(parsed.spec.model, field) == value
    static = parsed.spec.workload.static
    assert static is not None
    assert (static.rate_rps, static.prompt_tokens, static.generation_tokens) == (2.0, 500, 1)


def test_a_gateway_of_another_namespace() -> None:
    manifest = service_manifest(service(), LOAD, replace(TARGETS, gateway=("infra", "edge")), name="llama")
    assert manifest["spec"]["routing"] == {"gatewayRef": {"name": "edge", "namespace": "infra"}}


def test_names_are_labels_and_each_once() -> None:
    found = [replace(service(), served_name=name) for name in ("org/Llama_3.1", "llama-3.1", "///")]
    assert list(names_of(found).values()) == ["llama-3-1", "llama-3-1-2", "model"]


def test_the_image_that_most_engines_run() -> None:
    images = [("a:v1.2", "1.2"), ("b:v1.3", "1.3"), ("b:v1.3", "1.3"), ("c:latest", ""), ("c:latest", "")]
    assert profile_manifest(images, ("d", "9.9"))["spec"] == {"image": "b:v1.3", "version": "1.3"}
    assert profile_manifest([], ("d", "9.9"))["spec"] == {"image": "d", "version": "9.9"}
