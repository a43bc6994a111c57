"""`medley diff`: replicas, GPUs and cost before and after."""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.cli.diff import diff_lines
from tests.unit.operator.cli.waiting import waiting_service


def test_what_the_waiting_plan_changes() -> None:
    assert list(diff_lines(LLMService.model_validate(waiting_service()))) == [
        "demo/llama: plan 1a2b3c4d (Optimal) is not in force",
        "  h100-tp1  0 → 1 replicas (+1)",
        "  l4-tp2    1 → 3 replicas (+2)",
        "  GPUs of pool h100: 0 → 1",
        "  GPUs of pool l4: 2 → 6",
        "  cost: $1.61/h → $9.30/h (+$7.69/h)",
    ]


def test_what_the_plan_gives_up_is_shown_too() -> None:
    manifest = waiting_service()
    manifest["status"]["variants"][0]["costPerHour"] = "12.5"
    manifest["status"]["plan"]["replicas"] = manifest["status"]["plan"]["replicas"][:1]
    lines = list(diff_lines(LLMService.model_validate(manifest)))
    assert "  l4-tp2    1 → 0 replicas (-1)" in lines
    assert lines[-1] == "  cost: $12.50/h → $9.30/h (-$3.20/h)"


def test_a_plan_in_force_changes_nothing() -> None:
    manifest = waiting_service()
    del manifest["status"]["plan"]["replicas"]
    assert list(diff_lines(LLMService.model_validate(manifest))) == [
        "demo/llama: no plan waits; plan 1a2b3c4d is in force"
    ]
    del manifest["status"]
    assert list(diff_lines(LLMService.model_validate(manifest))) == ["demo/llama: no plan waits"]
