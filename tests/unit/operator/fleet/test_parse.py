"""Objects of the API server become values, whatever others wrote into them."""

from __future__ import annotations

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.api.v1alpha1.base import CelRule
from medley_operator.domain.values.snapshot import InvalidObject
from medley_operator.fleet.parse import parse_object
from tests.unit.operator.fleet.objects import service_manifest


def test_an_object_that_the_operator_fails_to_read_is_left_out_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(self: LLMService) -> bool:
        if self.metadata.name == "broken":
            raise OverflowError("int too large to convert to float")
        return True

    monkeypatch.setattr(LLMService, "rules", (CelRule(cel="true", message="never", holds=overflow),))
    parse = parse_object(LLMService)
    assert isinstance(parse(service_manifest("chat")), LLMService)
    found = parse(service_manifest("broken"))
    assert isinstance(found, InvalidObject)
    assert (found.key.name, found.refusal.reason) == ("broken", "InternalError")
    assert "OverflowError" in found.refusal.message
