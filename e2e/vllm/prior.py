"""The data sheet of the CPU that the engine runs on, as if it were a GPU type: what a fit or a calibration starts from.

Nothing here is measured on the machine. Peaks are generous, since a measurement that beats them would be refused.
"""

from __future__ import annotations

from medley_planner.catalog import Gpu

# A server core at 3 GHz with two 512-bit units for BF16 pairs: 3e9 * 2 * 64 operations per second.
_TFLOPS_PER_CORE = 0.4
# A virtual machine's share of the memory channels of its server.
_GB_PER_SECOND = 40.0


def cpu(cores: int) -> Gpu:
    """`cores`: those that the engine computes on."""
    return Gpu(
        name=f"CPU-{cores}",
        aliases=(),
        bf16_tflops=cores * _TFLOPS_PER_CORE,
        fp8_tflops=None,
        memory_gb=8.0,
        usable_gib=7.0,
        memory_gb_per_second=_GB_PER_SECOND,
        watts=100.0,
        link_gb_per_second=10.0,
        gemm_bf16=0.5,
        gemm_fp8=0.5,
        memory=0.6,
        kv=0.3,
        source="typical of server CPUs with AVX-512 BF16",
    )
