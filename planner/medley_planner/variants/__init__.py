"""The variants of a model: generated from pools, model and engine, then pruned."""

from medley_planner.variants.axes import (
    AXES,
    KV_FORMAT,
    PRECISION,
    TENSOR_PARALLEL,
    TOKEN_BUDGET,
    kv_format_of,
    layout_flags,
    run_as,
    unreadable_argument,
    variant_flags,
)
from medley_planner.variants.budget import choose_budgets
from medley_planner.variants.generate import Generated, Row, Source, generate
from medley_planner.variants.limit import limit
from medley_planner.variants.prune import Pruned, prune
from medley_planner.variants.replica import Axis, Changes, Choice, Engine, Facts, Flags, Replica, RunAs

__all__ = [
    "AXES",
    "KV_FORMAT",
    "PRECISION",
    "TENSOR_PARALLEL",
    "TOKEN_BUDGET",
    "Axis",
    "Changes",
    "Choice",
    "Engine",
    "Facts",
    "Flags",
    "Generated",
    "Pruned",
    "Replica",
    "Row",
    "RunAs",
    "Source",
    "choose_budgets",
    "generate",
    "kv_format_of",
    "layout_flags",
    "limit",
    "prune",
    "run_as",
    "unreadable_argument",
    "variant_flags",
]
