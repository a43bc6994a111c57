"""`GPUPool`: GPUs of one type that the platform team offers, with their price, stock and nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, Rule
from medley_operator.api.v1alpha1.fields import LabelKey, LabelValue, Money, ResourceName


class TolerationOperator(StrEnum):
    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    """A toleration that the engine pods of this pool carry."""

    key: LabelKey
    operator: TolerationOperator = TolerationOperator.EXISTS
    value: LabelValue = ""
    effect: TaintEffect = TaintEffect.NO_SCHEDULE

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.operator != 'Exists' || self.value == ''",
            message="value is compared only with operator Equal; set operator: Equal or leave value out",
            holds=lambda self: self.operator != TolerationOperator.EXISTS or self.value == "",
        ),
    )


class CapacityType(StrEnum):
    FIXED = "Fixed"
    ELASTIC = "Elastic"


class PoolCapacity(ApiModel):
    """How many GPUs the pool holds: nodes x GPUs per node."""

    type: CapacityType = Field(
        CapacityType.FIXED,
        description="Fixed: the nodes there are. Elastic: nodes are made on demand, up to `nodes` where it is given.",
    )
    nodes: int | None = Field(
        None,
        ge=0,
        le=10000,
        description="Number of nodes. Fixed without it: the Ready nodes that match nodeSelector are counted. "
        "Elastic without it: no limit.",
    )
    gpus_per_node: int = Field(ge=1, le=64, description="GPUs on each node; bounds the tensor-parallel degree.")


class PoolCost(ApiModel):
    """What the pool's GPUs cost."""

    per_hour: Money = Field(description='Price of one GPU for one hour in US dollars, as a decimal string ("0.805").')


class GPUPoolSpec(ApiModel):
    """What the pool offers."""

    gpu: str = Field(
        min_length=1,
        max_length=63,
        description="GPU type as in Medley's catalogue, such as L4, A10G, L40S, A100-40, A100-80, H100, H200, B200, "
        "MI300X (or the product name that GPU feature discovery writes).",
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        min_length=1, max_length=16, description="Labels of the pool's nodes; engine pods select them."
    )
    tolerations: list[Toleration] = Field(
        default_factory=list, max_length=16, description="Tolerations that engine pods need on these nodes."
    )
    resource_name: ResourceName = Field(
        "nvidia.com/gpu", description="Extended resource that a pod asks for, such as nvidia.com/gpu or amd.com/gpu."
    )
    capacity: PoolCapacity
    cost: PoolCost
