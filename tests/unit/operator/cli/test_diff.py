"""`medley diff`: replicas, GPUs and cost before and after."""

from __future__ import annotations

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.cli.diff import diff_lines, diff_values
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
    assert diff_values(LLMService.model_validate(manifest))["plan"] is None


def test_programs_get_the_same_changes() -> None:
    values = diff_values(LLMService.model_validate(waiting_service()))
    assert values["plan"] == {"id": "1a2b3c4d", "state": "Optimal"}
    assert [(each["variant"], each["before"], each["after"]) for each in values["variants"]] == [
        ("h100-tp1", 0, 1),
        ("l4-tp2", 1, 3),
    ]
    assert values["pools"][1] == {"pool": "l4", "gpus_before": 2, "gpus_after": 6}
    assert (values["cost_per_hour_before"], values["cost_per_hour_after"]) == (1.61, 9.3)
