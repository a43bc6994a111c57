"""The facts of one GPU type that capacity is computed from. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Vendor(StrEnum):
    """Maker of a GPU, by which engines have images of their own."""

    NVIDIA = "NVIDIA"
    AMD = "AMD"
    INTEL = "Intel"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU type.

    `bf16_tflops`, `fp8_tflops`, `fp4_tflops`: dense tensor-core peak (no sparsity); None where the format is lacking.
    `memory_gb`: name-plate memory, 1e9 bytes. `usable_gib`: what the driver reports to a process, 2**30 bytes; memory
    fit uses this. `memory_gb_per_second`: memory bandwidth, 1e9 bytes/s. `link_gb_per_second`: GPU to GPU, one way
    (NVLink, xGMI, else PCIe), 1e9 bytes/s. `watts`: board power limit.
    `compute_capability`: NVIDIA's, which kernels ask for; None for other vendors.
    `linked_gpus`: how many GPUs of a node the link joins, as a bridge joins pairs; beyond them, `pcie_gb_per_second`
    counts; 0: all. `mig_slices`: parts that MIG cuts its compute into; 0: it has no MIG. `part`: it is such a part,
    which has no link to any other.

    Efficiencies are the shares of the peak that engines reach: `gemm_bf16`, `gemm_fp8`, `gemm_fp4` of compute at 512 to
    4096 tokens a step, `memory` of bandwidth when a small batch reads the weights, `kv` of bandwidth when decode
    attention reads the KV cache. `source` names where each comes from, `note` says what is guessed (empty: nothing).
    """

    name: str
    aliases: tuple[str, ...]
    bf16_tflops: float
    fp8_tflops: float | None
    memory_gb: float
    usable_gib: float
    memory_gb_per_second: float
    watts: float
    link_gb_per_second: float
    gemm_bf16: float
    gemm_fp8: float
    memory: float
    kv: float
    source: str
    note: str = ""
    compute_capability: float | None = None
    fp4_tflops: float | None = None
    gemm_fp4: float = 0.0
    vendor: Vendor = Vendor.NVIDIA
    linked_gpus: int = 0
    pcie_gb_per_second: float = 0.0
    mig_slices: int = 0
    part: bool = False

    def link_between(self, gpus: int) -> float:
        """GB per second, one way, between so many GPUs of a node."""
        beyond = 0 < self.linked_gpus < gpus
        return self.pcie_gb_per_second if beyond else self.link_gb_per_second
