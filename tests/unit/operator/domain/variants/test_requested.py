"""What a spec's entries ask for narrows the variants, or is refused by its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from medley_operator.domain.variants.requested import token_budgets_of
from medley_planner.refusal import Refusal
from tests.unit.operator import factories as make
from tests.unit.operator.domain.variants.test_choose import answer, found, names, one


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, ["l4-fp8", "l4-tp2-fp8", "l4-tp4-fp8"]),
        ({"precision": "BF16"}, ["l4", "l4-tp2", "l4-tp4"]),
        ({"tensorParallel": 4}, ["l4-tp4"]),
        ({"tensorParallel": 4, "precision": "FP8", "tokenBudget": 8192}, ["l4-tp4-fp8-b8192"]),
        ({"name": "mine"}, ["mine"]),
        ({"name": "mine", "precision": "FP8", "tokenBudget": 8192}, ["mine"]),
        ({"minReplicas": 2}, ["l4"]),
        ({"maxReplicas": 2, "precision": "FP8"}, ["l4-fp8"]),
    ],
    ids=str,
)
def test_an_entry_narrows_and_what_it_names_is_kept(wish: Mapping[str, Any], expected: list[str]) -> None:
    done = found(one(**wish), profile=make.profile(tokenBudgets=[2048, 8192]))
    assert [name for name in names(done) if "b8192" not in name or "tokenBudget" in wish] == expected


def test_limits_of_an_entry_are_those_of_its_variant() -> None:
    (candidate,) = found(one(minReplicas=1, maxReplicas=3)).variants
    assert (candidate.variant.min_replicas, candidate.variant.max_replicas) == (1, 3)


def test_an_entry_for_one_variant_counts_over_one_for_all() -> None:
    wishes = [{"poolRef": "l4"}, {"poolRef": "l4", "tensorParallel": 2, "minReplicas": 1}]
    for variants in (wishes, wishes[::-1]):
        done = found(make.service(spec={"variants": variants}))
        assert sorted(names(done)) == ["l4", "l4-tp2", "l4-tp4"]
        minima = {candidate.variant.name: candidate.variant.min_replicas for candidate in done.variants}
        assert minima == {"l4": 0, "l4-tp2": 1, "l4-tp4": 0}


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ([{"poolRef": "l4", "precision": "FP8"}], ["spec.variants[0].precision FP8", "BF16", "Auto"]),
        (
            [{"poolRef": "l4", "tokenBudget": 512}],
            ["spec.variants[0].tokenBudget 512", '"vllm"', "2048", "tokenBudgets"],
        ),
        ([{"poolRef": "l4"}, {"poolRef": "h100", "name": "l4-tp2"}], ["spec.variants[1]", '"l4-tp2"', "name"]),
        (
            [{"poolRef": "l4", "minReplicas": 1}, {"poolRef": "l4", "tensorParallel": 1}],
            ["spec.variants[1]", '"l4"', "name"],
        ),
    ],
    ids=["precision", "budget", "name", "twice"],
)
def test_what_cannot_be_asked(variants: list[dict[str, Any]], words: list[str]) -> None:
    pools = make.pool(), make.pool("h100", gpu="H100", gpus_per_node=8)
    done = answer(make.service(spec={"variants": variants}), *pools)
    assert isinstance(done, Refusal)
    assert done.reason == "InvalidSpec"
    assert all(word in done.message for word in words), done.message


def test_no_budget_is_tried_that_the_engine_refuses() -> None:
    assert token_budgets_of(make.profile(tokenBudget=None)) == (2048, 512, 8192)
    assert token_budgets_of(make.profile(tokenBudget=None, maxSequences=1024)) == (2048, 8192)
    assert token_budgets_of(make.profile(tokenBudget=None, maxSequences=4096)) == (8192,)
    assert token_budgets_of(make.profile(tokenBudget=4096)) == (4096,)
    assert token_budgets_of(make.profile(tokenBudget=None, tokenBudgets=[512, 2048])) == (2048, 512)
