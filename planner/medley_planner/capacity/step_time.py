"""How long one engine step takes: a smooth-maximum roofline of one iteration of continuous batching. Pure.

A step runs the linear layers over all its tokens (prefill tokens and one token of each decoding sequence), attention
over what those tokens attend to, and, with several GPUs, two all-reduces per layer. Constants for a model and a layout
are folded once, so that `seconds` costs about a microsecond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from medley_planner.capacity.engine_rules import version_of
from medley_planner.capacity.kernels import (
    expert_bytes_per_second,
    expert_share,
    flops,
    has_arithmetic,
    in_whole_tiles,
    link_bytes_per_second,
    memory_share,
)
from medley_planner.capacity.speed import UNCORRECTED, StepFactors
from medley_planner.layout import UNCAPPED_PERCENT, Layout
from medley_planner.shapes import ModelShape, Precision

_BYTES = 2.0
"""Bytes of a BF16 element: activations and head."""

# One set of figures for all GPUs and models, found together on measured vLLM of 2025 and 2026 with CUDA graphs: 0.5B
# to 70B dense, mixtures of 8 to 384 experts, on L4, H100, H200, B200 and B300 (`make bench-truth`).
_STEP_SECONDS = 1.15e-3
_LAYER_SECONDS = 38e-6
"""Kernel launches that neither reads nor products explain, of a dense layer in BF16."""
_QUANTIZED_LAYER_SECONDS = 12e-6
"""More for a layer whose activations are brought into 8 or 4 bits before its products."""
_LATENT_LAYER_SECONDS = 14e-6
"""More for the further projections of latent attention."""
_ROUTED_LAYER_SECONDS = 3e-6
"""More for sorting tokens by expert, from `_MANY_EXPERTS` on; none up to `_FEW_EXPERTS`."""
_UNFUSED_LAYER_SECONDS = 26e-6
"""More where experts in FP8 or INT4 take several kernels: quantize, align, two products, sum."""
_FEW_EXPERTS, _MANY_EXPERTS = 8, 128
_SEQUENCE_SECONDS = 8e-6
_GRAPH_TOKENS = 512
"""The tokens of the largest step that vLLM captures as a CUDA graph, of each group of data parallel attention."""
_LAUNCH_SECONDS = 400e-6
"""The CPU's time to launch the kernels of a layer with experts in a larger step. The GPU waits for it where it has less
to do, as with prompts of 1k on many GPUs. Dense layers, some ten kernels, take longer on the GPU."""
_SERIAL_SECONDS, _SINCE_STEPS_OVERLAP = 6.5e-3, (0, 8, 0)
"""Engines before that version plan, send to each GPU and sample between steps, while the GPUs wait. 13B on one A100
(DistServe's profile, 2024) and 405B on eight H100 (0.6) show the same time; vLLM's next engine does it meanwhile."""
_SINCE_EXPERTS_ARE_PICKED = (0, 14, 0)
"""Engine version. Before it the products of experts in FP8 took blocks of rows of every expert, whatever was routed:
with vLLM 0.12 the step of a mixture of 128 took as long for 4 sequences as for 20."""
# Each token's activations pass the memory of every GPU, tensor parallelism or not: norms, residuals, copies per expert.
_PASSES, _EXPERT_PASSES, _PASS_MEMORY = 6.0, 4.0, 0.9
_ALL_REDUCE_SECONDS = 5e-6
# Prefill attention reaches 0.17-0.3 of peak at 512-1k tokens, 0.5-0.65 from 8k on (measured kernel tables).
_ATTENTION_EFFICIENCY = 0.45
# Parts of the time of prompts and of decoding that grow as the clock falls, c in 1 - c + c / f: POLCA's servers, with
# which the capping policy is simulated too. Reads and launches hardly need the clock, products do.
_COMPUTE_BY_CLOCK, _MEMORY_BY_CLOCK = 0.9, 0.18


@dataclass(frozen=True, slots=True)
class WindowCost:
    """The share of a step of layers that attend to at most `window` tokens: seconds for each cached token within the
    window of a decoding sequence, and for each token that a prompt's token attends to within it. All 0: there are
    none."""

    window: int = 0
    kv_token: float = 0.0
    attended: float = 0.0

    def attended_tokens(self, start: int, chunk: int) -> float:
        """The tokens within the window that `chunk` tokens of a prompt attend to, of which `start` come before."""
        growing = min(max(self.window - start, 0), chunk)
        return growing * (start + (growing + 1) * 0.5) + (chunk - growing) * float(self.window)


NO_WINDOW = WindowCost()


class StepTime:
    """Step time of one replica of `shape` that runs as `layout` says. `factors`: what measurements say of its parts.

    FP8 or FP4 weights on a GPU without that arithmetic run weight-only: read at their size, multiplied at BF16 speed.
    """

    __slots__ = (
        "_attended",
        "_attended_window",
        "_compute_base",
        "_compute_expert",
        "_constant",
        "_expert_miss",
        "_experts",
        "_graph_tokens",
        "_head_memory",
        "_head_sequence",
        "_kv_token",
        "_kv_window_token",
        "_launch",
        "_read_base",
        "_read_expert",
        "_sequence",
        "_token",
        "_window",
    )

    def __init__(self, shape: ModelShape, layout: Layout, *, factors: StepFactors = UNCORRECTED) -> None:
        gpu, precision, tensor_parallel = layout.gpu, layout.precision, layout.tensor_parallel
        group = tensor_parallel // layout.attention_data_parallel
        bandwidth = tensor_parallel * gpu.memory_gb_per_second * 1e9
        bf16_flops = tensor_parallel * gpu.bf16_tflops * 1e12
        weight_bandwidth = bandwidth * memory_share(gpu)

        experts = shape.moe_layers * shape.expert_parameters
        self._experts = float(shape.experts)
        self._expert_miss = 1.0 - shape.experts_per_token / shape.experts if shape.experts else 0.0
        if precision is Precision.FP8 and version_of(layout.engine_version) < _SINCE_EXPERTS_ARE_PICKED:
            self._expert_miss = 0.0
        dense_precision = shape.dense_precision(precision)
        self._compute_base = 2.0 * shape.dense_parameters() / (tensor_parallel * flops(gpu, dense_precision))
        expert_flops = tensor_parallel * flops(gpu, precision) * expert_share(gpu, precision)
        self._compute_expert = 2.0 * shape.experts_per_token * experts * in_whole_tiles(shape, layout) / expert_flops
        dense_bytes = layout.attention_data_parallel * shape.dense_parameters() * shape.dense_weight_bytes(precision)
        self._read_base = dense_bytes / weight_bandwidth
        read = tensor_parallel * expert_bytes_per_second(gpu, precision)
        self._read_expert = experts * shape.expert_weight_bytes(precision) / read

        head = shape.hidden * shape.vocab
        self._head_sequence = 2.0 * head / (bf16_flops * gpu.gemm_bf16)
        self._head_memory = layout.attention_data_parallel * _BYTES * head / weight_bandwidth
        kv_bandwidth = bandwidth * gpu.kv
        self._window, whole, cut = _folded(shape.read_bytes(group, element_bytes=layout.kv_format.element_bytes))
        self._kv_token, self._kv_window_token = whole / kv_bandwidth, cut / kv_bandwidth
        attention_flops = bf16_flops * _ATTENTION_EFFICIENCY
        span, whole, cut = _folded(shape.attention_flops())
        self._attended = whole / attention_flops
        # Both are cut at the same span: a shorter one counts with its operations spread over it.
        self._attended_window = cut / attention_flops * (span / self._window if self._window else 0.0)
        self._constant = _STEP_SECONDS + shape.layers * _layer_seconds(shape, layout)
        if version_of(layout.engine_version) < _SINCE_STEPS_OVERLAP:
            self._constant += _SERIAL_SECONDS
        passes = shape.layers * _PASSES + shape.moe_layers * shape.experts_per_token * _EXPERT_PASSES
        self._token = passes * shape.hidden * _BYTES / (gpu.memory_gb_per_second * 1e9 * _PASS_MEMORY)
        if tensor_parallel > 1:
            self._constant += 2.0 * shape.layers * _ALL_REDUCE_SECONDS
            moved = 2.0 * (tensor_parallel - 1) / tensor_parallel * shape.hidden * _BYTES
            self._token += 2.0 * shape.layers * moved / link_bytes_per_second(gpu, layout.gpus)
        # Each sequence's state is read and written in each step. Groups plan and sample their own sequences, at once.
        self._sequence = _SEQUENCE_SECONDS / layout.attention_data_parallel
        self._sequence += 2.0 * shape.state_bytes_per_sequence() / kv_bandwidth
        self._graph_tokens = float(_GRAPH_TOKENS * layout.attention_data_parallel)
        self._launch = shape.moe_layers * _LAUNCH_SECONDS
        self._multiply(factors)
        if layout.clock_percent < UNCAPPED_PERCENT:
            self._multiply(_at_clock(layout.clock_percent / UNCAPPED_PERCENT))

    def _multiply(self, factors: StepFactors) -> None:
        parts = (
            (factors.fixed, ("_constant", "_launch", "_read_base", "_read_expert", "_head_memory")),
            (factors.compute, ("_compute_base", "_compute_expert", "_attended", "_attended_window", "_token")),
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

    @property
    def window_cost(self) -> WindowCost:
        """The part of layers that attend to a window or to selected tokens."""
        return WindowCost(int(self._window), self._kv_window_token, self._attended_window)

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float:
        """Seconds of one step.

        `prefill_tokens` prompt tokens are processed, `prefill_attended` is the sum over them of the tokens that each
        attends to (a whole prompt of n: n * n / 2); `decode_sequences` sequences generate one token each and read
        `kv_tokens` cached tokens in all. Fractions are fine: expected values are passed by the closed form.
        """
        tokens = prefill_tokens + decode_sequences
        compute, read = self._compute_base * tokens, self._read_base
        # A cubic mean stands between the soft knee of A100 (2) and the sharp one of H100 (4 to 8).
        linear: float = (compute * compute * compute + read * read * read) ** (1.0 / 3.0)
        if self._experts:
            # Expected number of distinct experts that a step touches when tokens choose independently.
            read = self._read_expert * self._experts * (1.0 - self._expert_miss**tokens)
            compute = self._compute_expert * tokens
            linear += (compute * compute * compute + read * read * read) ** (1.0 / 3.0)
        head_compute = self._head_sequence * decode_sequences
        seconds = (
            linear
            + (head_compute if head_compute > self._head_memory else self._head_memory)
            + self._kv_token * kv_tokens
            + self._attended * prefill_attended
            + self._token * tokens
            + self._constant
            + self._sequence * decode_sequences
        )
        if self._launch and tokens > self._graph_tokens:
            seconds += max(self._launch - linear - self._token * tokens - self._constant, 0.0)
        if self._window:
            seconds += self._kv_window_token * min(kv_tokens, self._window * decode_sequences)
            seconds += self._attended_window * min(prefill_attended, self._window * prefill_tokens)
        return seconds


def _at_clock(fraction: float) -> StepFactors:
    """Factors on the parts of a step for GPUs that are held to that fraction of their highest clock."""
    slower = 1.0 / fraction - 1.0
    memory = 1.0 + _MEMORY_BY_CLOCK * slower
    return StepFactors(fixed=memory, compute=1.0 + _COMPUTE_BY_CLOCK * slower, sequence=memory, kv=memory)


def _layer_seconds(shape: ModelShape, layout: Layout) -> float:
    """Fixed cost of a layer in a step."""
    gpu, precision = layout.gpu, layout.precision
    seconds = _LAYER_SECONDS
    if has_arithmetic(gpu, shape.dense_precision(precision)):
        seconds += _QUANTIZED_LAYER_SECONDS
    if any(kv_heads == 0 for _, kv_heads in shape.splits):
        seconds += _LATENT_LAYER_SECONDS
    if shape.experts:
        crowd = math.log2(shape.experts / _FEW_EXPERTS) / math.log2(_MANY_EXPERTS / _FEW_EXPERTS)
        routed = _ROUTED_LAYER_SECONDS
        if precision in (Precision.FP8, Precision.INT8, Precision.INT4):
            routed += _UNFUSED_LAYER_SECONDS
        seconds += min(max(crowd, 0.0), 1.0) * routed
    return seconds


def _folded(spans: tuple[tuple[int, float], ...]) -> tuple[float, float, float]:
    """The longest span, what is without one, and what is cut at it: shorter spans are spread over the longest."""
    longest = max((span for span, _ in spans), default=0)
    whole = sum(amount for span, amount in spans if not span)
    cut = sum(amount * span / longest for span, amount in spans if span)
    return float(longest), float(whole), float(cut)
