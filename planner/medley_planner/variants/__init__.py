"""The ways to run one replica of a model: generated from pools, model and engine, then pruned."""

from medley_planner.variants.axes import AXES, ENGINE_FLAGS, PRECISION, TENSOR_PARALLEL, TOKEN_BUDGET, RunAs, run_as
from medley_planner.variants.budget import choose_budgets
from medley_planner.variants.generate import Generated, Row, Source, generate
from medley_planner.variants.limit import limit
from medley_planner.variants.prune import Pruned, prune
from medley_planner.variants.replica import Axis, Choice, Engine, Facts, Replica

__all__ = [
    "AXES",
    "ENGINE_FLAGS",
    "PRECISION",
    "TENSOR_PARALLEL",
    "TOKEN_BUDGET",
    "Axis",
    "Choice",
    "Engine",
    "Facts",
    "Generated",
    "Pruned",
    "Replica",
    "Row",
    "RunAs",
    "Source",
    "choose_budgets",
    "generate",
    "limit",
    "prune",
    "run_as",
]
