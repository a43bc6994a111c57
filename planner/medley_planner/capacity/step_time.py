"""How long one engine step takes: a smooth-maximum roofline of one iteration of continuous batching. Pure.

A step runs the linear layers over all its tokens (prefill tokens and one token of each decoding sequence), attention
over what those tokens attend to, and, with several GPUs, two all-reduces per layer. Constants for a model and a layout
are folded once, so that `seconds` costs about a microsecond.
"""

from __future__ import annotations

import math

from medley_planner.capacity.speed import UNCORRECTED, StepFactors
from medley_planner.catalog import Gpu
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape, Precision

_BYTES = 2.0
"""Bytes of a BF16 element: activations and head."""

# Fitted on vLLM with CUDA graphs on H100 (Llama-3.1-70B FP8, TP 2/4/8, 45 points), used for all GPUs.
# Its 80 layers took 4.2 ms that neither reads nor products explain: 52.5 us of kernel launches for each layer, which
# holds for 16 to 48 layers too (mean inter-token latency of vLLM 0.15 with 8B and 34B models on H100 within 6 %).
_FITTED_LAYERS, _FITTED_SECONDS = 80, 4.2e-3
_SEQUENCE_SECONDS = 10e-6
_ALL_REDUCE_SECONDS = 5e-6
_LINK_EFFICIENCY = 0.39
# Prefill attention reaches 0.17-0.3 of peak at 512-1k tokens, 0.5-0.65 from 8k on (measured kernel tables).
_ATTENTION_EFFICIENCY = 0.45
# Mixtures: what the experts' grouped products reach of the efficiency of dense ones (MiniMax-M2.5 FP8 on H200, TP 8, 54
# points: 0.2 to 0.4), and the fixed cost of a layer, which rises with the experts that are sorted and launched: that of
# a dense layer at 8, 90 us from 128 on (all measured mixtures in view, so that none of them is held out). GPUs with FP4
# arithmetic run routing and both products of FP4 experts in one kernel, which costs no more than a dense layer.
_EXPERT_COMPUTE = 0.3
_EXPERT_LAYER_SECONDS = 90e-6
_FEW_EXPERTS, _MANY_EXPERTS = 8, 128


class StepTime:
    """Step time of one replica of `shape` that runs as `layout` says. `factors`: what measurements say of its parts.

    FP8 or FP4 weights on a GPU without that arithmetic run weight-only: read at their size, multiplied at BF16 speed.
    """

    __slots__ = (
        "_attended",
        "_attended_window",
        "_compute_base",
        "_constant",
        "_expert_miss",
        "_experts",
        "_head_memory",
        "_head_sequence",
        "_kv_token",
        "_kv_window_token",
        "_read_base",
        "_read_expert",
        "_sequence",
        "_token_link",
        "_window",
    )

    def __init__(self, shape: ModelShape, layout: Layout, *, factors: StepFactors = UNCORRECTED) -> None:
        gpu, precision, tensor_parallel = layout.gpu, layout.precision, layout.tensor_parallel
        group = tensor_parallel // layout.attention_data_parallel
        bandwidth = tensor_parallel * gpu.memory_gb_per_second * 1e9
        bf16_flops = tensor_parallel * gpu.bf16_tflops * 1e12
        weight_bandwidth = bandwidth * gpu.memory

        experts = shape.moe_layers * shape.expert_parameters
        self._experts = float(shape.experts)
        self._expert_miss = 1.0 - shape.experts_per_token / shape.experts if shape.experts else 0.0
        dense_flops = tensor_parallel * _flops(gpu, shape.dense_precision(precision))
        expert_flops = tensor_parallel * _flops(gpu, precision) * _EXPERT_COMPUTE
        self._compute_base = 2.0 * shape.dense_parameters() / dense_flops
        self._compute_base += 2.0 * shape.experts_per_token * experts / expert_flops
        dense_bytes = layout.attention_data_parallel * shape.dense_parameters() * shape.dense_weight_bytes(precision)
        self._read_base = dense_bytes / weight_bandwidth
        self._read_expert = experts * shape.expert_weight_bytes(precision) / weight_bandwidth

        head = shape.hidden * shape.vocab
        self._head_sequence = 2.0 * head / (bf16_flops * gpu.gemm_bf16)
        self._head_memory = layout.attention_data_parallel * _BYTES * head / (bandwidth * gpu.memory)
        kv_bandwidth = bandwidth * gpu.kv
        self._window, whole, cut = _folded(shape.read_bytes(group, element_bytes=layout.kv_format.element_bytes))
        self._kv_token, self._kv_window_token = whole / kv_bandwidth, cut / kv_bandwidth
        attention_flops = bf16_flops * _ATTENTION_EFFICIENCY
        span, whole, cut = _folded(shape.attention_flops())
        self._attended = whole / attention_flops
        # Both are cut at the same span: a shorter one counts with its operations spread over it.
        self._attended_window = cut / attention_flops * (span / self._window if self._window else 0.0)
        self._constant = shape.layers * _layer_seconds(shape, layout)
        self._token_link = 0.0
        if tensor_parallel > 1:
            self._constant += 2.0 * shape.layers * _ALL_REDUCE_SECONDS
            moved = 2.0 * (tensor_parallel - 1) / tensor_parallel * shape.hidden * _BYTES
            self._token_link = 2.0 * shape.layers * moved / (gpu.link_between(layout.gpus) * 1e9 * _LINK_EFFICIENCY)
        # Each sequence's state is read and written in each step.
        self._sequence = _SEQUENCE_SECONDS + 2.0 * shape.state_bytes_per_sequence() / kv_bandwidth
        self._multiply(factors)

    def _multiply(self, factors: StepFactors) -> None:
        parts = (
            (factors.fixed, ("_constant", "_read_base", "_read_expert", "_head_memory")),
            (factors.compute, ("_compute_base", "_attended", "_attended_window", "_token_link")),
            (factors.sequence, ("_sequence", "_head_sequence")),
            (factors.kv, ("_kv_token", "_kv_window_token")),
        )
        for factor, names in parts:
            for name in names:
                setattr(self, name, getattr(self, name) * factor)

    @property
    def constants(self) -> dict[str, float]:
        """The folded figures by name for `batch`."""
        return {name: getattr(self, name) for name in self.__slots__}

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float:
        """Seconds of one step.

        `prefill_tokens` prompt tokens are processed, `prefill_attended` is the sum over them of the tokens that each
        attends to (a whole prompt of n: n * n / 2); `decode_sequences` sequences generate one token each and read
        `kv_tokens` cached tokens in all. Fractions are fine: expected values are passed by the closed form.
        """
        tokens = prefill_tokens + decode_sequences
        read = self._read_base
        if self._experts:
            # Expected number of distinct experts that a step touches when tokens choose independently.
            read += self._read_expert * self._experts * (1.0 - self._expert_miss**tokens)
        compute = self._compute_base * tokens
        head_compute = self._head_sequence * decode_sequences
        # A cubic mean stands between the soft knee of A100 (2) and the sharp one of H100 (4 to 8).
        linear: float = (compute * compute * compute + read * read * read) ** (1.0 / 3.0)
        seconds = (
            linear
            + (head_compute if head_compute > self._head_memory else self._head_memory)
            + self._kv_token * kv_tokens
            + self._attended * prefill_attended
            + self._token_link * tokens
            + self._constant
            + self._sequence * decode_sequences
        )
        if self._window:
            seconds += self._kv_window_token * min(kv_tokens, self._window * decode_sequences)
            seconds += self._attended_window * min(prefill_attended, self._window * prefill_tokens)
        return seconds


def _layer_seconds(shape: ModelShape, layout: Layout) -> float:
    """Fixed cost of a layer in a step."""
    dense = _FITTED_SECONDS / _FITTED_LAYERS
    if not shape.experts or (layout.precision is Precision.FP4 and layout.gpu.fp4_tflops is not None):
        return dense
    crowd = math.log2(shape.experts / _FEW_EXPERTS) / math.log2(_MANY_EXPERTS / _FEW_EXPERTS)
    return dense + min(max(crowd, 0.0), 1.0) * (_EXPERT_LAYER_SECONDS - dense)


def _folded(spans: tuple[tuple[int, float], ...]) -> tuple[float, float, float]:
    """The longest span, what is without one, and what is cut at it: shorter spans are spread over the longest."""
    longest = max((span for span, _ in spans), default=0)
    whole = sum(amount for span, amount in spans if not span)
    cut = sum(amount * span / longest for span, amount in spans if span)
    return float(longest), float(whole), float(cut)


def _flops(gpu: Gpu, precision: Precision) -> float:
    """Operations per second that one GPU reaches in matrix products of `precision`."""
    if precision in (Precision.FP8, Precision.INT8) and gpu.fp8_tflops is not None:
        return gpu.fp8_tflops * 1e12 * gpu.gemm_fp8
    if precision is Precision.FP4 and gpu.fp4_tflops is not None:
        return gpu.fp4_tflops * 1e12 * gpu.gemm_fp4
    return gpu.bf16_tflops * 1e12 * gpu.gemm_bf16
