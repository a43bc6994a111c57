"""Names of children cannot meet, and say what the variant is."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.values.labels import layout_hash, owner_uid, variant_object_name


def hashed(**fields: Any) -> str:
    given: dict[str, Any] = {
        "service": "chat",
        "variant": "main",
        "pool": "a100",
        "gpus_per_replica": 1,
        "engine_flags": (("--tensor-parallel-size", "1"), ("--max-num-batched-tokens", "2048")),
        "kv_format": "BF16",
    }
    return layout_hash(**(given | fields))


@pytest.mark.parametrize(
    "change",
    [
        {"service": "other"},
        {"variant": "other"},
        {"pool": "h100"},
        {"gpus_per_replica": 4},
        {"engine_flags": (("--tensor-parallel-size", "4"), ("--max-num-batched-tokens", "2048"))},
        {"kv_format": "FP8"},
    ],
)
def test_whatever_makes_a_variant_another_changes_its_hash(change: dict[str, Any]) -> None:
    assert hashed(**change) != hashed()


def test_the_hash_of_a_layout_stays_what_it_is() -> None:
    """Another value would make every running variant anew at the next upgrade of the operator."""
    assert hashed() == "mfk2icrm"
    assert hashed(engine_flags=(("--max-num-batched-tokens", "2048"), ("--tensor-parallel-size", "1"))) == hashed()


def test_a_long_name_is_cut_before_its_hash() -> None:
    name = variant_object_name(service="a" * 50, variant="b" * 24, layout="abcdefgh")
    assert (len(name), name[-9:]) == (63, "-abcdefgh")
    assert variant_object_name(service="a" * 53, variant="b", layout="abcdefgh") == f"{'a' * 53}-abcdefgh"


@pytest.mark.parametrize(
    ("reference", "uid"),
    [
        ({"apiVersion": "medley.dev/v1alpha1", "kind": "LLMService", "controller": True}, "u"),
        ({"apiVersion": "medley.dev/v1beta1", "kind": "LLMService", "controller": True}, "u"),
        ({"apiVersion": "example.com/v1", "kind": "LLMService", "controller": True}, ""),
        ({"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}, ""),
        ({"apiVersion": "medley.dev/v1alpha1", "kind": "LLMService"}, ""),
    ],
)
def test_only_an_llmservice_that_controls_is_an_owner(reference: dict[str, Any], uid: str) -> None:
    assert owner_uid({"metadata": {"ownerReferences": [reference | {"uid": "u"}]}}) == uid
