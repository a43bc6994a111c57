"""Reads quantization_config: what format each weight of a checkpoint has, by the modules that it names or leaves out.

Formats and keys are those that vLLM 0.32 loads. Widths are bits of a weight with its share of scales and zero points:
FP8 in blocks has 4 bytes for each block, NVFP4 a byte for each 16 weights, MXFP4 a byte for each 32, INT4 two bytes
(and a zero point) for each group. Norms, routers, convolutions, embeddings, the head and towers keep their own width.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medley_planner.bad_input import MISSING
from medley_planner.shapes.checkpoint import Checkpoint
from medley_planner.shapes.layer import FeedForward, ModelLayer
from medley_planner.shapes.module_names import ModuleNames, UnreadablePattern
from medley_planner.shapes.precision import BF16_BYTES, Precision
from medley_planner.shapes.reader import Reader

_KEY = "quantization_config"
_LEFT_OUT = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "llm_int8_skip_modules")
_MXFP4_BYTES = 0.5 + 1 / 32
_NVFP4_BYTES = 0.5 + 1 / 16
_MXFP8_BYTES = 1.0 + 1 / 32
_DOUBLE_QUANTIZED_BYTES = 0.5 + 1 / 64 + 1 / 4096
_ALL = "Linear"
_EXPERT_WEIGHTS = ("gate_proj", "up_proj", "w1")


@dataclass(frozen=True, slots=True)
class _Format:
    """`experts_only`: of experts alone."""

    precision: Precision
    bytes: float
    block: int = 0
    group: int = 0
    experts_only: bool = False


@dataclass(frozen=True, slots=True)
class _Formatted:
    """Weights of one format: those that `targets` names, None for all."""

    format: _Format
    targets: ModuleNames | None


def checkpoint_of(config: Reader, layers: Sequence[ModelLayer]) -> Checkpoint | None:
    """The format that `config` says the layers have; None where it says none. Raises BadConfig."""
    given = config.inner(_KEY)
    if given is None or not given.config:
        return None
    method = given.text("quant_method") or _unnamed(given)
    if method not in _METHODS:
        raise config.bad(
            f"{_KEY}.quant_method",
            method or MISSING,
            f"it is not a format that is planned (known are {', '.join(_METHODS)}); give the model's sizes in "
            "spec.model.capacity instead of its config.json",
        )
    groups = _METHODS[method](given)
    expert_dtype = config.text("expert_dtype") or given.text("expert_dtype")
    if expert_dtype == "fp4":
        groups = [_Formatted(_Format(Precision.FP4, _MXFP4_BYTES, experts_only=True), None), *groups]
    left_out = _names(given, [name for key in _LEFT_OUT for name in given.items(key) or ()])
    return _summed(method, groups, left_out, layers)


def _summed(
    method: str, groups: Sequence[_Formatted], left_out: ModuleNames, layers: Sequence[ModelLayer]
) -> Checkpoint | None:
    dense: dict[Precision, int] = {}
    experts: dict[Precision, int] = {}
    dense_bytes = expert_bytes = 0.0
    splits: dict[tuple[str, int], None] = {}
    block = group = 0
    for index, layer in enumerate(layers):
        for weights in layer.parts:
            found = None if weights.kept else _format(groups, left_out, f"layers.{index}.{weights.name}", expert=False)
            precision, each = _width(found)
            dense[precision] = dense.get(precision, 0) + weights.parameters
            dense_bytes += weights.parameters * each
            if found is not None and weights.split:
                splits[weights.name, weights.split] = None
                block, group = max(block, found.block), max(group, found.group)
        part = layer.feed_forward
        if part is not None and part.experts:
            found = _format(groups, left_out, f"layers.{index}.{part.expert_name}", expert=True)
            precision, each = _width(found)
            experts[precision] = experts.get(precision, 0) + layer.in_experts
            expert_bytes += layer.in_experts * each
            if found is not None:
                splits[_expert(part)] = None
                block, group = max(block, found.block), max(group, found.group)
    if set(dense) | set(experts) <= {Precision.BF16}:
        return None
    most_dense = max(dense, key=lambda precision: dense[precision])
    most = max(experts, key=lambda precision: experts[precision]) if experts else most_dense
    return Checkpoint(
        method=method,
        precision=most if most is not Precision.BF16 else most_dense,
        dense_precision=most_dense,
        dense_bytes=dense_bytes / max(sum(dense.values()), 1),
        expert_bytes=expert_bytes / sum(experts.values()) if experts else BF16_BYTES,
        block=block,
        group=group,
        splits=tuple(splits),
    )


def _expert(part: FeedForward) -> tuple[str, int]:
    return part.expert_name, part.expert_split


def _width(found: _Format | None) -> tuple[Precision, float]:
    return (Precision.BF16, BF16_BYTES) if found is None else (found.precision, found.bytes)


def _format(groups: Sequence[_Formatted], left_out: ModuleNames, name: str, *, expert: bool) -> _Format | None:
    names = (name, *(f"{name}.0.{each}" for each in _EXPERT_WEIGHTS)) if expert else (name,)
    if any(each in left_out for each in names):
        return None
    for group in groups:
        if group.format.experts_only and not expert:
            continue
        if group.targets is None or any(each in group.targets for each in names):
            return group.format
    return None


def _names(given: Reader, patterns: Sequence[object]) -> ModuleNames:
    texts = [pattern for pattern in patterns if isinstance(pattern, str)]
    try:
        return ModuleNames.of(texts)
    except UnreadablePattern as error:
        raise given.bad(
            f"{_KEY}.ignore", str(error), 'give names, names with "*", or "re:" with texts and ".*" between them'
        ) from None


def _unnamed(given: Reader) -> str:
    """ModelOpt writes quant_algo, and config.json of older ones no quant_method."""
    return "modelopt" if given.has("quant_algo") else ""


def _fp8(given: Reader) -> list[_Formatted]:
    block = 0
    sides = given.items("weight_block_size")
    if sides is not None:
        block = max(given.whole("weight_block_size", side) for side in sides) if sides else 0
    return [_Formatted(_eight_bits(block), None)]


def _eight_bits(block: int = 0) -> _Format:
    return _Format(Precision.FP8, 1.0 + (4.0 / block**2 if block else 0.0), block=block)


def _awq(given: Reader) -> list[_Formatted]:
    bits = given.size("bits", "w_bit", default=4)
    return [
        _Formatted(
            _integers(bits, given.config.get("group_size", given.config.get("q_group_size")), zero_point=True), None
        )
    ]


def _gptq(given: Reader) -> list[_Formatted]:
    return [_Formatted(_integers(given.size("bits"), given.config.get("group_size"), zero_point=True), None)]


def _integers(bits: int, group: object, *, zero_point: bool) -> _Format:
    size = group if isinstance(group, int) and not isinstance(group, bool) and group > 0 else 0
    scales = (2.0 + (bits / 8 if zero_point else 0.0)) / size if size else 0.0
    precision = Precision.INT4 if bits <= 4 else Precision.INT8
    return _Format(precision, bits / 8 + scales, group=size)


def _bitsandbytes(given: Reader) -> list[_Formatted]:
    if given.flag("load_in_4bit", default=False):
        return [_Formatted(_Format(Precision.INT4, _DOUBLE_QUANTIZED_BYTES), None)]
    return [_Formatted(_Format(Precision.INT8, 1.0), None)]


def _mxfp4(_: Reader) -> list[_Formatted]:
    return [_Formatted(_Format(Precision.FP4, _MXFP4_BYTES, experts_only=True), None)]


def _mxfp8(_: Reader) -> list[_Formatted]:
    return [_Formatted(_Format(Precision.FP8, _MXFP8_BYTES), None)]


def _compressed_tensors(given: Reader) -> list[_Formatted]:
    """Groups that name modules go before those that name the class of all linear layers."""
    groups = given.inner("config_groups")
    if groups is None or not groups.config:
        raise given.bad(f"{_KEY}.config_groups", MISSING, "add it as the model's own config.json has it")
    named, rest = [], []
    for key in groups.config:
        one = groups.inner(key)
        weights = None if one is None else one.inner("weights")
        if one is None or weights is None:
            continue
        targets = [str(target) for target in one.items("targets") or [_ALL]]
        found = _weights(weights)
        if any(target in (_ALL, "FusedMoE") for target in targets):
            rest.append(_Formatted(found, None))
        else:
            named.append(_Formatted(found, _names(given, targets)))
    return named + rest


def _weights(given: Reader) -> _Format:
    """A group's weights: bits, kind and what shares a scale."""
    bits = given.size("num_bits", most=16)
    size = given.config.get("group_size")
    if given.text("type", default="int") == "int":
        return _integers(bits, size, zero_point=not given.flag("symmetric", default=True))
    if bits == 4:
        return _Format(Precision.FP4, _MXFP4_BYTES if size == 32 else _NVFP4_BYTES)
    block = given.items("block_structure") if given.text("strategy") == "block" else None
    return _eight_bits(max((given.whole("block_structure", side) for side in block or ()), default=0))


def _modelopt(given: Reader) -> list[_Formatted]:
    """Groups, an algorithm for each layer, or one for all."""
    if given.has("config_groups"):
        return _compressed_tensors(given)
    layered = given.inner("quantized_layers")
    if layered is not None:
        by_algorithm: dict[str, list[str]] = {}
        for name in layered.config:
            one = layered.inner(name)
            by_algorithm.setdefault("" if one is None else one.text("quant_algo"), []).append(name)
        return [_Formatted(_algorithm(given, each), _names(given, names)) for each, names in by_algorithm.items()]
    return [_Formatted(_algorithm(given, given.text("quant_algo")), None)]


def _algorithm(given: Reader, name: str) -> _Format:
    if "MXFP8" in name:
        return _Format(Precision.FP8, _MXFP8_BYTES)
    if "NVFP4" in name or "FP4" in name:
        return _Format(Precision.FP4, _MXFP4_BYTES if "MXFP4" in name else _NVFP4_BYTES)
    if "FP8" in name:
        return _eight_bits()
    if "W4A16" in name or "INT4" in name:
        return _integers(4, 128, zero_point=False)
    raise given.bad(
        f"{_KEY}.quant_algo", name or MISSING, "it is not an algorithm that is planned: FP8, NVFP4, MXFP4, MXFP8, W4A16"
    )


_METHODS: Mapping[str, Callable[[Reader], list[_Formatted]]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "modelopt_mixed": _modelopt,
    "mxfp4": _mxfp4,
    "mxfp8": _mxfp8,
    "awq": _awq,
    "awq_marlin": _awq,
    "gptq": _gptq,
    "gptq_marlin": _gptq,
    "auto-round": _gptq,
    "bitsandbytes": _bitsandbytes,
}
