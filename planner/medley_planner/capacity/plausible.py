"""The physical limit that a measured latency cannot beat: rows that do were served from a prefix cache. Pure."""

from __future__ import annotations

from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape, Precision


def beats_the_limit(
    shape: ModelShape,
    layout: Layout,
    *,
    prompt_tokens: float,
    generation_tokens: float,
    concurrency: float,
    ttft_seconds: float,
    tpot_seconds: float,
) -> str:
    """Why the measurement is impossible without cached prompts; empty where it is possible.

    At the full data-sheet peak and bandwidth, with nothing else to do: a first token takes the products of its prompt,
    a further one the reading of the weights that it uses, and a client's cycle the products of all clients' tokens.
    """
    gpu, precision = layout.gpu, layout.precision
    peak = gpu.bf16_tflops
    if precision is Precision.FP8:
        peak = gpu.fp8_tflops or peak
    elif precision is Precision.FP4:
        peak = gpu.fp4_tflops or peak
    flops = layout.tensor_parallel * peak * 1e12
    bandwidth = layout.tensor_parallel * gpu.memory_gb_per_second * 1e9
    linear = shape.active_parameters() - shape.embedding_parameters()
    prompt_seconds = 2.0 * linear * prompt_tokens / flops
    if ttft_seconds < prompt_seconds:
        return (
            f"TTFT {ttft_seconds * 1e3:.1f} ms is below the {prompt_seconds * 1e3:.1f} ms of the prompt's matrix "
            "products"
        )
    read_seconds = linear * precision.weight_bytes / bandwidth
    if tpot_seconds < read_seconds:
        return f"TPOT {tpot_seconds * 1e3:.2f} ms is below the {read_seconds * 1e3:.2f} ms of reading the weights"
    # A client's cycle must have room for every client's prompt and tokens.
    cycle = ttft_seconds + generation_tokens * tpot_seconds
    work = concurrency * 2.0 * linear * (prompt_tokens + generation_tokens) / flops
    if cycle < work:
        return f"a cycle of {cycle:.2f} s is below the {work:.2f} s of the products of all prompts"
    return ""
