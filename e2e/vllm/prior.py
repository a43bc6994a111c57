"""The data sheet of the CPU that the engine runs on, as if it were a GPU type: what a fit or a calibration starts from.

Nothing here is measured on the machine. Peaks are generous, since a measurement that beats them would be refused.
"""

from __future__ import annotations

import os

from medley_planner.catalog import Gpu

# A server core at 3 GHz with two 512-bit units for BF16 pairs: 3e9 * 2 * 64 operations per second.
_TFLOPS_PER_CORE = 0.4
# A virtual machine's share of the memory channels of its server.
_GB_PER_SECOND = 40.0


def cpu(*, cores: int | None = None, slower: float = 1.0) -> Gpu:
    """`slower` divides all rates: a data sheet that is wrong on purpose."""
    count = cores or os.cpu_count() or 1
    return Gpu(
        name=f"CPU-{count}",
        aliases=(),
        bf16_tflops=count * _TFLOPS_PER_CORE / slower,
        fp8_tflops=None,
        memory_gb=8.0,
        usable_gib=7.0,
        memory_gb_per_second=_GB_PER_SECOND / slower,
        watts=100.0,
        link_gb_per_second=10.0 / slower,
        gemm_bf16=0.5,
        gemm_fp8=0.5,
        memory=0.6,
        kv=0.3,
        source="typical of server CPUs with AVX-512 BF16",
    )
