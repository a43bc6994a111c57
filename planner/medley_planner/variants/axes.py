"""The kinds of choice that make variants: each is a function from what is known to its choices, and an entry of `AXES`.

This is the one file that a further kind of variant touches: a choice says how it is named, what it changes of the
replica and which flags start the engine so; names, memory fit, capacity, pruning and rendering follow from that. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.shapes import Precision
from medley_planner.variants.replica import Axis, Choice, Facts

TENSOR_PARALLEL = "tensorParallel"
PRECISION = "precision"
TOKEN_BUDGET = "tokenBudget"  # noqa: S105 - tokens of text

DEGREES = (1, 2, 4, 8)
"""Tensor-parallel degrees that are looked at unless one is asked for: engines are tuned for powers of two."""

_TENSOR_PARALLEL_FLAG = "--tensor-parallel-size"
_PRECISION_FLAG = "--quantization"
_TOKEN_BUDGET_FLAG = "--max-num-batched-tokens"  # noqa: S105 - tokens of text


def _tensor_parallel(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    """Degrees up to the GPUs of one node, since a replica's GPUs sit on one."""
    degrees = DEGREES if asked is None else (asked,)
    within = [degree for degree in degrees if isinstance(degree, int) and degree <= facts.gpus_per_node]
    if not within:
        return facts.omitted(
            OmittedReason.DOES_NOT_FIT,
            f"tensorParallel {asked} is more than the {facts.gpus_per_node} GPUs of one node; lower it",
        )
    return tuple(
        Choice(
            value=degree,
            suffix=f"-tp{degree}" if degree > 1 else "",
            changes={"tensor_parallel": degree},
            engine_flags=((_TENSOR_PARALLEL_FLAG, str(degree)),),
        )
        for degree in within
    )


def _precision(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    """Precisions that the GPU has arithmetic for."""
    precisions = facts.engine.precisions
    wanted = [precision for precision in precisions if asked in (None, precision)]
    supported = [
        precision for precision in wanted if precision is not Precision.FP8 or facts.gpu.fp8_tflops is not None
    ]
    if not supported:
        named = " or ".join(wanted) or str(asked)
        return facts.omitted(
            OmittedReason.PRECISION_NOT_SUPPORTED,
            f"{facts.gpu.name} has no {named} arithmetic, which spec.model.precision or its variant's asks for",
        )
    return tuple(
        Choice(
            value=precision,
            suffix=f"-{precision.lower()}" if precision is not precisions[0] else "",
            changes={"precision": precision},
            engine_flags=((_PRECISION_FLAG, "fp8"),) if precision is Precision.FP8 else (),
        )
        for precision in supported
    )


def _token_budget(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    """Tokens in one engine step: more prefill faster, fewer disturb decoding less."""
    budgets = facts.engine.token_budgets
    wanted = [budget for budget in budgets if asked in (None, budget)]
    if not wanted:
        return facts.omitted(
            OmittedReason.TOKEN_BUDGET_NOT_OFFERED, f"tokenBudget {asked} is none of {', '.join(map(str, budgets))}"
        )
    return tuple(
        Choice(
            value=budget,
            suffix=f"-b{budget}" if budget != budgets[0] else "",
            changes={"token_budget": budget},
            engine_flags=((_TOKEN_BUDGET_FLAG, str(budget)),),
        )
        for budget in wanted
    )


AXES: tuple[Axis, ...] = (
    Axis(TENSOR_PARALLEL, _tensor_parallel, (_TENSOR_PARALLEL_FLAG,)),
    Axis(PRECISION, _precision, (_PRECISION_FLAG,)),
    Axis(TOKEN_BUDGET, _token_budget, (_TOKEN_BUDGET_FLAG,)),
)
"""In the order of the suffixes of a name. Where one variant is to be picked, an earlier axis is varied first."""

ENGINE_FLAGS = frozenset(flag for axis in AXES for flag in axis.engine_flags)
"""Flags that variants set: no one else may."""


@dataclass(frozen=True, slots=True)
class RunAs:
    """How an engine that runs was started, as far as variants differ in it. `token_budget`: None where not told."""

    tensor_parallel: int
    precision: Precision
    token_budget: int | None


def run_as(flags: Mapping[str, str]) -> RunAs | None:
    """The reverse of the choices above, from all flags of an engine; None where they are none that a variant sets."""
    try:
        degree = int(flags.get(_TENSOR_PARALLEL_FLAG, "1"))
        budget = int(flags[_TOKEN_BUDGET_FLAG]) if _TOKEN_BUDGET_FLAG in flags else None
    except ValueError:
        return None
    quantization = flags.get(_PRECISION_FLAG)
    if quantization not in (None, "fp8") or degree < 1 or (budget is not None and budget < 1):
        return None
    return RunAs(degree, Precision.BF16 if quantization is None else Precision.FP8, budget)
