"""`RuntimeProfile`: an engine image with the arguments and resources that the platform team allows for it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import (
    BinaryQuantity,
    CpuQuantity,
    Duration,
    EngineArgument,
    EngineFlag,
    TokenBudget,
    mebibytes,
)
from medley_operator.api.v1alpha1.profile_pod import CacheSpec, PodOverlay
from medley_planner.catalog import Vendor
from medley_planner.layout import EngineKind
from medley_planner.units import duration_seconds

Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]*$")]


class VendorImage(ApiModel):
    """The image of an engine for the GPUs of one vendor."""

    vendor: Vendor = Field(description="Vendor of the GPUs that the image runs on.")
    image: Image = Field(description="Engine image, pinned by tag or digest.")


class ProfileResources(ApiModel):
    """CPU and memory of one engine pod, per GPU of the replica, and its share of the node's disk."""

    cpu: CpuQuantity = "4"
    memory: BinaryQuantity = "16Gi"
    memory_limit: BinaryQuantity | None = Field(
        None, description="Most memory, per GPU of the replica; /dev/shm counts. Default: no limit."
    )
    ephemeral_storage: BinaryQuantity | None = Field(
        None,
        description="Request of the node's disk, for the pod. Default: the weights where they are downloaded onto it, "
        "and 2Gi.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.memoryLimit) || quantity(self.memoryLimit).compareTo(quantity(self.memory)) >= 0",
            message="memoryLimit must not be below memory",
            holds=lambda self: self.memory_limit is None or mebibytes(self.memory_limit) >= mebibytes(self.memory),
        ),
    )


class RuntimeProfileSpec(ApiModel):
    """Image, arguments and resources of an engine."""

    image: Image | None = Field(
        None, description="Engine image for NVIDIA GPUs, pinned by tag or digest. Absent: images has all."
    )
    images: list[VendorImage] = Field(
        default_factory=list,
        max_length=3,
        description="Engine images by vendor of the GPU, of the same engine and version. Pools of a vendor that has no "
        "image are not planned with.",
    )
    engine: EngineKind = Field(EngineKind.VLLM, description="Inference server in the image.")
    version: str = Field(
        pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$",
        max_length=16,
        description='Version of the engine in the image ("0.32.0"); it decides which engine flags are set.',
    )
    args: list[EngineArgument] = Field(
        default_factory=list, max_length=64, description="Engine arguments of every pod, as --flag=value."
    )
    allowed_args: list[EngineFlag] = Field(
        default_factory=list, max_length=64, description="Flags that an LLMService may set in spec.runtime.args."
    )
    token_budget: TokenBudget | None = Field(
        None,
        description="Tokens in one engine step (--max-num-batched-tokens). Default: the best of 512, 2048 and 8192 "
        "for GPU, targets and load.",
    )
    token_budgets: list[TokenBudget] = Field(
        default_factory=list,
        max_length=4,
        description="Token budgets to plan with; each makes a variant. Empty: tokenBudget decides.",
    )
    max_sequences: int = Field(256, ge=1, le=4096, description="Requests in one engine step (--max-num-seqs).")
    gpu_memory_utilization_percent: int = Field(
        90, ge=10, le=99, description="Share of each GPU's memory for the engine, in percent."
    )
    startup_timeout: Duration = Field(
        "30m", description="Longest time from the start of an engine until it is healthy; at most 24h."
    )
    shared_memory: BinaryQuantity = Field("8Gi", description="Size of /dev/shm.")
    resources: ProfileResources = Field(default_factory=ProfileResources)
    cache: CacheSpec | None = Field(
        None, description="Where downloaded weights are kept. Default: on the node's disk, as large as the model needs."
    )
    pod: PodOverlay = Field(default_factory=PodOverlay, description="Additions to every engine pod.")

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="has(self.image) || (has(self.images) && self.images.size() > 0)",
            message="give image, or images by vendor",
            holds=lambda self: self.image is not None or bool(self.images),
        ),
        CelRule(
            cel="!has(self.images) || self.images.all(a, self.images.exists_one(b, a.vendor == b.vendor)"
            " && !(has(self.image) && a.vendor == 'NVIDIA'))",
            message="each vendor has one image; image is that of NVIDIA",
            holds=lambda self: len(self.by_vendor) == len(self.images) + (self.image is not None),
        ),
        CelRule(
            cel="duration(self.startupTimeout) <= duration('24h')",
            message="startupTimeout must be at most 24h",
            holds=lambda self: self.startup_timeout_seconds <= 86400,
        ),
    )

    @property
    def by_vendor(self) -> dict[Vendor, str]:
        """The image for the GPUs of each vendor that has one."""
        own = {} if self.image is None else {Vendor.NVIDIA: self.image}
        return own | {each.vendor: each.image for each in self.images}

    @property
    def startup_timeout_seconds(self) -> float:
        return duration_seconds(self.startup_timeout)
