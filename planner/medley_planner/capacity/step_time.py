"""How long one engine step takes: a smooth-maximum roofline of one iteration of continuous batching. Pure.

A step runs the linear layers over all its tokens (prefill tokens and one token of each decoding sequence), attention
over what those tokens attend to, and, with several GPUs, two all-reduces per layer. Constants for (model, GPU, tensor
parallel degree, precision) are folded once, so that `seconds` costs about a microsecond.
"""

from __future__ import annotations

from medley_planner.catalog import Gpu
from medley_planner.shapes import ModelShape, Precision

_BYTES = 2.0
"""Bytes of a BF16 element: activations, KV cache, head."""

# Fitted on vLLM with CUDA graphs on H100 (Llama-3.1-70B FP8, TP 2/4/8, 45 points), used for all GPUs.
_STEP_SECONDS = 4.2e-3
_SEQUENCE_SECONDS = 10e-6
_ALL_REDUCE_SECONDS = 5e-6
_LINK_EFFICIENCY = 0.39
# Prefill attention reaches 0.17-0.3 of peak at 512-1k tokens, 0.5-0.65 from 8k on (measured kernel tables).
_ATTENTION_EFFICIENCY = 0.45


class StepTime:
    """Step time of one replica of `shape` on `tensor_parallel` of `gpu`.

    FP8 weights on a GPU without FP8 arithmetic run weight-only: read at one byte, multiplied at BF16 speed.
    """

    __slots__ = (
        "_attended",
        "_compute_base",
        "_constant",
        "_expert_miss",
        "_experts",
        "_head_memory",
        "_head_sequence",
        "_kv_token",
        "_read_base",
        "_read_expert",
        "_token_link",
    )

    def __init__(self, shape: ModelShape, gpu: Gpu, *, tensor_parallel: int, precision: Precision) -> None:
        fp8 = precision is Precision.FP8
        peak_tflops, efficiency = gpu.bf16_tflops, gpu.gemm_bf16
        if fp8 and gpu.fp8_tflops is not None:
            peak_tflops, efficiency = gpu.fp8_tflops, gpu.gemm_fp8
        bandwidth = tensor_parallel * gpu.memory_gb_per_second * 1e9
        flops = tensor_parallel * peak_tflops * 1e12 * efficiency
        bf16_flops = tensor_parallel * gpu.bf16_tflops * 1e12
        weight_bandwidth = bandwidth * gpu.memory

        experts = shape.moe_layers * shape.expert_parameters
        self._experts = float(shape.experts)
        self._expert_miss = 1.0 - shape.experts_per_token / shape.experts if shape.experts else 0.0
        self._compute_base = 2.0 * (shape.dense_parameters() + shape.experts_per_token * experts) / flops
        self._read_base = shape.dense_parameters() * precision.weight_bytes / weight_bandwidth
        self._read_expert = experts * precision.weight_bytes / weight_bandwidth

        head = shape.hidden * shape.vocab
        self._head_sequence = 2.0 * head / (bf16_flops * gpu.gemm_bf16)
        self._head_memory = _BYTES * head / (bandwidth * gpu.memory)
        self._kv_token = shape.kv_bytes_per_token(tensor_parallel) / (bandwidth * gpu.kv)
        self._attended = 4.0 * shape.layers * shape.heads * shape.head_size / (bf16_flops * _ATTENTION_EFFICIENCY)
        self._constant = _STEP_SECONDS
        self._token_link = 0.0
        if tensor_parallel > 1:
            self._constant += 2.0 * shape.layers * _ALL_REDUCE_SECONDS
            moved = 2.0 * (tensor_parallel - 1) / tensor_parallel * shape.hidden * _BYTES
            self._token_link = 2.0 * shape.layers * moved / (gpu.link_gb_per_second * 1e9 * _LINK_EFFICIENCY)

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
        return (
            linear
            + (head_compute if head_compute > self._head_memory else self._head_memory)
            + self._kv_token * kv_tokens
            + self._attended * prefill_attended
            + self._token_link * tokens
            + self._constant
            + _SEQUENCE_SECONDS * decode_sequences
        )
