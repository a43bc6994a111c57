"""Plans the cheapest mix of GPUs for LLM services: values in, a checked and verified plan out.

This is the front door of the library. A plan needs three things: what arrives, how one replica can be run, and what the
replicas run on.

>>> import medley_planner as mp
>>> demand = mp.demand_from_means(27.0, prompt_tokens=600, generation_tokens=180)  # requests per second, tokens
>>> engine = mp.Engine(
...     shape=mp.bundled_shape("meta-llama/Llama-3.1-8B-Instruct"),
...     precisions=(mp.Precision.BF16,),
...     token_budgets=(2048,),
...     max_model_len=8192,
...     max_sequences=256,
...     utilisation=0.9,
...     ttft_seconds=2.0,
...     tpot_seconds=0.1,
...     percentile=95,
... )
>>> sources = (
...     mp.Source("l4", mp.gpu("L4"), gpus_per_node=1, cost_per_gpu_hour=0.8),
...     mp.Source("h100", mp.gpu("H100"), gpus_per_node=8, cost_per_gpu_hour=6.9),
... )
>>> rows = mp.generate(engine, sources, demand.buckets, longest_name=40).rows  # a row for each way to run one replica
>>> variants = tuple(row.variant() for row in rows)
>>> chat = mp.Service("chat", demand, variants, mp.RoutingMode.HTTP_ROUTE, utilisation_limit=0.85)
>>> problem = mp.Problem(services=(chat,), pools=(mp.Pool("l4", stock_gpus=4), mp.Pool("h100", stock_gpus=16)))
>>> plan = mp.plan_fleet(problem, deadline_seconds=10.0)
>>> assert isinstance(plan, mp.FleetPlan), plan.message  # else a PlanFailure, which says why
>>> print(plan.status, mp.verify(problem, plan))
Optimal ()
>>> {name: count for name, count in plan.services[0].replicas().items() if count}
{'l4': 3, 'h100': 1}

Names are loaded when they are first used, so that a process that only holds values never loads the optimiser. What is
not here is in the packages: `explain` says why a plan is as it is, `check` simulates it, `capacity` estimates replicas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medley_planner.bad_input import BadInput
    from medley_planner.catalog import gpu, known_gpus
    from medley_planner.fleet_plan import FleetPlan, PlanFailure
    from medley_planner.layout import EngineKind, KvFormat, Layout
    from medley_planner.model import (
        Bucket,
        Demand,
        NodePrice,
        PlanStatus,
        Pool,
        PowerBudget,
        Priority,
        Problem,
        Provenance,
        RoutingMode,
        Service,
        ServicePlan,
        SizeSource,
        Variant,
    )
    from medley_planner.optimize import InvalidProblem, verify
    from medley_planner.planning import plan_fleet
    from medley_planner.shapes import Precision, bundled_shape, shape_from_config
    from medley_planner.variants import Engine, Source, generate
    from medley_planner.workload import demand_from_means

__all__ = [
    "BadInput",
    "Bucket",
    "Demand",
    "Engine",
    "EngineKind",
    "FleetPlan",
    "InvalidProblem",
    "KvFormat",
    "Layout",
    "NodePrice",
    "PlanFailure",
    "PlanStatus",
    "Pool",
    "PowerBudget",
    "Precision",
    "Priority",
    "Problem",
    "Provenance",
    "RoutingMode",
    "Service",
    "ServicePlan",
    "SizeSource",
    "Source",
    "Variant",
    "bundled_shape",
    "demand_from_means",
    "generate",
    "gpu",
    "known_gpus",
    "plan_fleet",
    "shape_from_config",
    "verify",
]

_HOMES = (
    "bad_input",
    "model",
    "fleet_plan",
    "catalog",
    "layout",
    "shapes",
    "workload",
    "variants",
    "optimize",
    "planning",
)
"""Where the names come from, in the order in which they are looked for: what loads least is first."""

if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> Any:
        """Loads a name when it is first used (PEP 562)."""
        if name in __all__:
            for home in _HOMES:
                module = import_module(f"{__name__}.{home}")
                if name in getattr(module, "__all__", vars(module)):
                    globals()[name] = getattr(module, name)
                    return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """The names of the front door, loaded or not."""
        return sorted({*globals(), *__all__})
