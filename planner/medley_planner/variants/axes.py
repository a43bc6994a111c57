"""The ways in which variants differ: each says how it is chosen and how it is read back, and is an entry of `AXES`.

This is the one file that a further axis touches: a choice says how it is named, what it changes of the replica and
which flags start the engine so; `read` says what such flags mean. Names, memory fit, capacity, pruning, rendering and
the keys of calibration follow from that. Only where a replica differs in what no field of `Layout` says, is there a
field to add. What flags are called stands beside each axis, by engine. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable

from medley_planner.capacity.engine_rules import precision_refusal
from medley_planner.layout import EngineKind, KvFormat, Layout
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.shapes import Precision
from medley_planner.variants.replica import Axis, Changes, Choice, Facts, Flags, RunAs

TENSOR_PARALLEL = "tensorParallel"
PRECISION = "precision"
KV_FORMAT = "kvFormat"
TOKEN_BUDGET = "tokenBudget"  # noqa: S105 - tokens of text

DEGREES = (1, 2, 4, 8)
"""Tensor parallel degrees to consider unless one is requested: engines are tuned for powers of two."""

_TENSOR_PARALLEL_FLAG = {EngineKind.VLLM: "--tensor-parallel-size"}
_PRECISION_FLAG = {EngineKind.VLLM: "--quantization"}
_QUANTIZED = {EngineKind.VLLM: {Precision.FP8: "fp8"}}
"""Precisions that the engine makes of a BF16 checkpoint when it loads it, by what the flag says for them."""
_KV_FORMAT_FLAG = {EngineKind.VLLM: "--kv-cache-dtype"}
_KV_FORMATS = {
    EngineKind.VLLM: {
        "auto": KvFormat.BF16,
        "bfloat16": KvFormat.BF16,
        "fp8": KvFormat.FP8,
        "fp8_e4m3": KvFormat.FP8,
        "fp8_e5m2": KvFormat.FP8,
    }
}
_TOKEN_BUDGET_FLAG = {EngineKind.VLLM: "--max-num-batched-tokens"}


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
            engine_flags=((_TENSOR_PARALLEL_FLAG[facts.engine.kind], str(degree)),),
        )
        for degree in within
    )


def _read_tensor_parallel(engine: EngineKind, flags: Flags) -> Changes | None:
    degree = _count(flags.get(_TENSOR_PARALLEL_FLAG[engine], "1"))
    return None if degree is None else {"tensor_parallel": degree}


def _precision(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    """Precisions that the engine runs on the GPU, if only weight-only. The checkpoint's own takes no flag."""
    precisions, kind = facts.engine.precisions, facts.engine.kind
    quantized = _QUANTIZED[kind]
    wanted = [precision for precision in precisions if asked in (None, precision)]
    refused = {each: precision_refusal(facts.gpu, each, facts.engine.version) for each in wanted}
    supported = [precision for precision in wanted if not refused[precision]]
    if not supported:
        named = " or ".join(wanted) or str(asked)
        return facts.omitted(
            OmittedReason.PRECISION_NOT_SUPPORTED,
            next(iter(refused.values()), f"{named} is not what spec.model.precision allows"),
        )
    return tuple(
        Choice(
            value=precision,
            suffix=f"-{precision.lower()}" if precision is not precisions[0] else "",
            changes={"precision": precision},
            engine_flags=((_PRECISION_FLAG[kind], quantized[precision]),)
            if precision in quantized and precision is not facts.engine.shape.precision
            else (),
        )
        for precision in supported
    )


def _read_precision(engine: EngineKind, flags: Flags) -> Changes | None:
    """Without a flag the engine runs the checkpoint's own precision, which the base layout has."""
    quantization = flags.get(_PRECISION_FLAG[engine])
    if quantization is None:
        return {}
    named = {text: precision for precision, text in _QUANTIZED[engine].items()}
    return {"precision": named[quantization]} if quantization in named else None


def _kv_format(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    """The one that the owners of the engine start it with: it is theirs to choose, and the flag stays theirs."""
    kind, arguments = facts.engine.kind, dict(facts.engine.arguments)
    given = _read_kv_format(kind, arguments)
    if given is None:
        return facts.omitted(OmittedReason.KV_FORMAT_NOT_OFFERED, unreadable_argument(kind, arguments) or "")
    kv_format = given["kv_format"]
    if asked not in (None, kv_format):
        return facts.omitted(
            OmittedReason.KV_FORMAT_NOT_OFFERED, f"kvFormat {asked} differs from the engine's {kv_format}"
        )
    return (Choice(value=kv_format, suffix="", changes=given, engine_flags=()),)


def _read_kv_format(engine: EngineKind, flags: Flags) -> Changes | None:
    kv_format = kv_format_of(engine, flags)
    return None if kv_format is None else {"kv_format": kv_format}


def kv_format_of(engine: EngineKind, flags: Flags) -> KvFormat | None:
    """The format of the cache of an engine that is started so; None where it is not known."""
    return _KV_FORMATS[engine].get(flags.get(_KV_FORMAT_FLAG[engine], "auto"))


def _token_budget(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    """Tokens in one engine step: more prefill faster, fewer disturb decoding less."""
    budgets = facts.engine.token_budgets
    wanted = [budget for budget in budgets if asked in (None, budget)]
    if not wanted:
        return facts.omitted(
            OmittedReason.TOKEN_BUDGET_NOT_OFFERED, f"tokenBudget {asked} is not one of {', '.join(map(str, budgets))}"
        )
    return tuple(
        Choice(
            value=budget,
            suffix=f"-b{budget}" if budget != budgets[0] else "",
            changes={"token_budget": budget},
            engine_flags=((_TOKEN_BUDGET_FLAG[facts.engine.kind], str(budget)),),
        )
        for budget in wanted
    )


def _read_token_budget(engine: EngineKind, flags: Flags) -> Changes | None:
    text = flags.get(_TOKEN_BUDGET_FLAG[engine])
    if text is None:
        return {"token_budget": None}
    budget = _count(text)
    return None if budget is None else {"token_budget": budget}


def _count(text: str) -> int | None:
    try:
        value = int(text)
    except ValueError:
        return None
    return value if value >= 1 else None


AXES: tuple[Axis, ...] = (
    Axis(TENSOR_PARALLEL, _tensor_parallel, _read_tensor_parallel, tuple(_TENSOR_PARALLEL_FLAG.items())),
    Axis(PRECISION, _precision, _read_precision, tuple(_PRECISION_FLAG.items())),
    Axis(KV_FORMAT, _kv_format, _read_kv_format, ()),
    Axis(TOKEN_BUDGET, _token_budget, _read_token_budget, tuple(_TOKEN_BUDGET_FLAG.items())),
)
"""In the order of the suffixes of a name. Where one variant is to be picked, an earlier axis is varied first."""


def unreadable_argument(engine: EngineKind, arguments: Flags) -> str | None:
    """Why an engine with these arguments of its owners cannot be planned with; None where it can."""
    if _read_kv_format(engine, arguments) is not None:
        return None
    flag = _KV_FORMAT_FLAG[engine]
    return (
        f'"{flag}={arguments[flag]}": {arguments[flag] or "no value"} is not a KV cache format that Medley plans with; '
        f"use one of {', '.join(_KV_FORMATS[engine])}"
    )


def variant_flags(engine: EngineKind, *, axes: tuple[Axis, ...] = AXES) -> frozenset[str]:
    """Flags that variants set: no one else may."""
    return frozenset(flag for axis in axes for kind, flag in axis.engine_flags if kind is engine)


def layout_flags(engine: EngineKind, *, axes: tuple[Axis, ...] = AXES) -> frozenset[str]:
    """Flags whose values a `RunAs` holds: those that variants set, and that of the KV cache's format."""
    return variant_flags(engine, axes=axes) | {_KV_FORMAT_FLAG[engine]}


def run_as(flags: Flags, base: Layout, *, axes: tuple[Axis, ...] = AXES) -> RunAs | None:
    """How an engine runs, from all its flags and from what they do not say (`base`: GPU, engine, version).

    None where an axis cannot read them: it is like no variant.
    """
    found = RunAs(base)
    for axis in axes:
        changes = axis.read(base.engine, flags)
        if changes is None:
            return None
        found = found.changed(changes)
    return found
