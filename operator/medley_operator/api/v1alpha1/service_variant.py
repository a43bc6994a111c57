"""Entries of `spec.variants` of an LLMService: which pools it may run on, and how."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import PoolName, TokenBudget, VariantName


class VariantPrecision(StrEnum):
    BF16 = "BF16"
    FP8 = "FP8"
    INT4 = "INT4"
    FP4 = "FP4"


class VariantSpec(ApiModel):
    """A pool that may be used, and what is fixed in it.

    An entry with name, tensorParallel, minReplicas or maxReplicas stands for one variant, any other entry for all
    variants of the pool. Without entries, every layout that fits is considered in every pool.
    """

    name: VariantName | None = Field(
        None, description="Name of the variant. Default: made from the pool's name, such as l4-tp2-fp8-b4096."
    )
    pool_ref: PoolName = Field(description="Name of the GPUPool.")
    tensor_parallel: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Tensor parallel degree of a replica. Default: every one of 1, 2, 4, 8 that fits; for an entry "
        "that stands for one variant, the smallest one that fits and keeps the TPOT target.",
    )
    precision: VariantPrecision | None = Field(
        None, description="Number format of the weights; model.precision must allow it."
    )
    token_budget: TokenBudget | None = Field(
        None, description="Tokens in one engine step; must be one of the RuntimeProfile's token budgets."
    )
    min_replicas: int = Field(0, ge=0, le=1000, description="Fewest replicas of this variant.")
    max_replicas: int | None = Field(
        None, ge=0, le=1000, description="Most replicas of this variant. Default: no limit."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            message="minReplicas must not exceed maxReplicas",
            holds=lambda self: self.max_replicas is None or self.min_replicas <= self.max_replicas,
        ),
    )


def _unique(values: list[object]) -> bool:
    return len(set(values)) == len(values)


VARIANT_RULES: tuple[CelRule, ...] = (
    CelRule(
        cel="!has(self.variants) || self.variants.all(a, !has(a.name) || "
        "self.variants.exists_one(b, has(b.name) && b.name == a.name))",
        message="variants: each name may be used once",
        holds=lambda self: _unique([v.name for v in self.variants if v.name is not None]),
    ),
    CelRule(
        cel="!has(self.variants) || self.variants.all(a, has(a.name) || "
        "self.variants.exists_one(b, !has(b.name) && b.poolRef == a.poolRef && "
        "has(b.tensorParallel) == has(a.tensorParallel) && "
        "(!has(a.tensorParallel) || b.tensorParallel == a.tensorParallel) && "
        "has(b.precision) == has(a.precision) && (!has(a.precision) || b.precision == a.precision) && "
        "has(b.tokenBudget) == has(a.tokenBudget) && (!has(a.tokenBudget) || b.tokenBudget == a.tokenBudget)))",
        message="variants: two of the same poolRef, tensorParallel, precision and tokenBudget need a name each",
        holds=lambda self: _unique(
            [(v.pool_ref, v.tensor_parallel, v.precision, v.token_budget) for v in self.variants if v.name is None]
        ),
    ),
)
"""Rules on the list of entries, for the spec that contains it."""
