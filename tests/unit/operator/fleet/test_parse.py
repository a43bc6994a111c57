"""Objects of the API server become values, whatever others wrote into them."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.api.v1alpha1.base import CelRule
from medley_operator.fleet.parse import parse_objects, ready_nodes
from tests.unit.operator.fleet.objects import service_manifest


def node(allocatable: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": "a"}, "status": {"conditions": conditions, "allocatable": allocatable}}


def test_devices_of_a_node_are_quantities_as_the_api_server_stores_them() -> None:
    (found,) = ready_nodes(
        [node({"nvidia.com/gpu": "1k", "a.b/c": 8, "a.b/odd": "²", "a.b/endless": "9" * 5000, "cpu": "4"})]
    )
    assert dict(found.allocatable) == {"nvidia.com/gpu": 1000, "a.b/c": 8}


def test_an_object_that_the_operator_fails_to_read_is_left_out_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(self: LLMService) -> bool:
        if self.metadata.name == "broken":
            raise OverflowError("int too large to convert to float")
        return True

    monkeypatch.setattr(LLMService, "rules", (CelRule(cel="true", message="never", holds=overflow),))
    parsed, rejected = parse_objects(LLMService, [service_manifest("broken"), service_manifest("chat")])
    assert [each.metadata.name for each in parsed] == ["chat"]
    (found,) = rejected
    assert (found.key.name, found.refusal.reason) == ("broken", "InternalError")
    assert "OverflowError" in found.refusal.message
