"""`GPUType`: the data sheet of a GPU that Medley's catalogue lacks. Numbers with a fraction are decimal strings."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule, ObservedModel
from medley_operator.api.v1alpha1.fields import DECIMAL, written_as
from medley_operator.api.v1alpha1.kind import ObjectMeta
from medley_operator.api.v1alpha1.status import GPUTypeStatus
from medley_planner.catalog import GEMM_LOW_PERCENT, GEMM_PERCENT, KV_PERCENT, MEMORY_PERCENT, Vendor

Figure = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?$", max_length=10), written_as(DECIMAL)]
Capability = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]$", max_length=4), written_as('a version such as "9.0"')]
ProductName = Annotated[str, Field(min_length=1, max_length=63)]
Percent = Annotated[int, Field(ge=1, le=100)]


class GPUTypeSpec(ApiModel):
    """A data sheet; `metadata.name` is the type's name in GPUPools and ModelProfiles."""

    vendor: Vendor = Field(Vendor.NVIDIA, description="Maker of the GPU; RuntimeProfiles have an image for each.")
    product_names: list[ProductName] = Field(
        default_factory=list,
        max_length=16,
        description="Other names of the type, such as the product name that GPU feature discovery writes.",
    )
    memory_gb: Figure = Field(description="Name-plate memory, in units of 1e9 bytes.")
    usable_gib: Figure | None = Field(
        None, description="Memory that the driver reports to a process, in GiB. Default: 97 % of memoryGb."
    )
    memory_gb_per_second: Figure = Field(description="Bandwidth of the memory, in units of 1e9 bytes per second.")
    bf16_tflops: Figure = Field(description="Dense peak in BF16 (in FP16 where the GPU has no BF16), without sparsity.")
    fp8_tflops: Figure | None = Field(None, description="Dense peak in FP8. Absent: the GPU has no FP8 arithmetic.")
    fp4_tflops: Figure | None = Field(None, description="Dense peak in FP4. Absent: the GPU has no FP4 arithmetic.")
    watts: Figure = Field(description="Board power limit.")
    link_gb_per_second: Figure = Field(
        description="Bandwidth between GPUs of a node, one way, in units of 1e9 bytes per second, by NVLink, "
        "xGMI, else PCIe."
    )
    linked_gpus: int | None = Field(
        None,
        ge=2,
        le=64,
        description="GPUs that this link joins, as NVLink bridges join pairs. Default: all of a node.",
    )
    pcie_gb_per_second: Figure | None = Field(None, description="Bandwidth between more GPUs than linkedGpus, one way.")
    compute_capability: Capability | None = Field(
        None, description='NVIDIA compute capability, such as "9.0", which decides which formats run.'
    )
    gemm_bf16_percent: Percent = Field(GEMM_PERCENT, description="Share of the BF16 peak that engines reach.")
    gemm_fp8_percent: Percent = Field(GEMM_LOW_PERCENT, description="Share of the FP8 peak that engines reach.")
    gemm_fp4_percent: Percent = Field(GEMM_LOW_PERCENT, description="Share of the FP4 peak that engines reach.")
    memory_percent: Percent = Field(
        MEMORY_PERCENT, description="Share of the bandwidth that engines reach when they read weights."
    )
    kv_percent: Percent = Field(
        KV_PERCENT, description="Share of the bandwidth that engines reach when they read the KV cache."
    )
    part_of_gpu: bool = Field(
        False, description="It is a part of a GPU, such as a MIG device or a share; parts are not joined."
    )
    source: str = Field("", max_length=256, description="Where the figures are from, for human readers.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="self.vendor != 'NVIDIA' || has(self.computeCapability)",
            message='an NVIDIA GPU needs computeCapability, such as "9.0"',
            holds=lambda self: self.vendor is not Vendor.NVIDIA or self.compute_capability is not None,
        ),
        CelRule(
            cel="!has(self.linkedGpus) || has(self.pcieGbPerSecond)",
            message="linkedGpus needs pcieGbPerSecond, which counts between more GPUs than those",
            holds=lambda self: self.linked_gpus is None or self.pcie_gb_per_second is not None,
        ),
    )


class GPUType(ObservedModel):
    """The data sheet of a GPU that the catalogue lacks."""

    metadata: ObjectMeta
    spec: GPUTypeSpec
    status: GPUTypeStatus = Field(default_factory=GPUTypeStatus)
