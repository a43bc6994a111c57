"""`medley history`: a line for each change."""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.cli.history import history_lines
from tests.unit.operator.cli.waiting import waiting_service


def test_each_change_is_a_line_below_its_service() -> None:
    silent = waiting_service(history=[])
    services = [LLMService.model_validate(each) for each in (waiting_service(), silent)]
    assert list(history_lines(services)) == [
        "demo/llama",
        "  2026-11-24T12:00:00Z  0000000a  $1.61/h  l4-tp2:1: plan 0000000a was approved",
    ]
