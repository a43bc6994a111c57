"""`GPUPool`: GPUs of one type that the platform team offers, with their price, stock and nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import LabelKey, LabelValue, Money, ResourceName, ZoneName


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

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
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


class Provisioning(StrEnum):
    ON_DEMAND = "OnDemand"
    SPOT = "Spot"


class PoolCost(ApiModel):
    """What the pool costs: by the GPU, or by the node where nodes are paid as a whole."""

    per_hour: Money | None = Field(
        None, description='Price of one GPU for one hour in US dollars, as a decimal string ("0.805").'
    )
    per_node_hour: Money | None = Field(
        None,
        description="Price of one node of gpusPerNode GPUs for one hour in US dollars, instead of perHour: whole nodes "
        "are then planned and paid, and a replica costs its GPUs' part. Tensor-parallel degrees are 1, 2, 4, 8, ... "
        "there, so that replicas pack.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="has(self.perHour) != has(self.perNodeHour)",
            message="give either perHour (of one GPU) or perNodeHour (of one node)",
            holds=lambda self: (self.per_hour is None) != (self.per_node_hour is None),
        ),
    )

    @property
    def per_hour_usd(self) -> float | None:
        return None if self.per_hour is None else float(self.per_hour)

    @property
    def per_node_hour_usd(self) -> float | None:
        return None if self.per_node_hour is None else float(self.per_node_hour)


class PoolPower(ApiModel):
    """What the pool's GPUs draw, and how much they may draw together."""

    watts_per_gpu: int | None = Field(
        None, ge=1, le=100000, description="Watts of one GPU at its limit; the board power of the type where absent."
    )
    budget_watts: int | None = Field(
        None,
        ge=1,
        le=1000000000,
        description="Watts that all replicas may draw together; absent: no limit.",
    )


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
    provisioning: Provisioning = Field(
        Provisioning.ON_DEMAND,
        description="Spot: nodes may be taken back at any time; LLMServices bound their use of them in spec.budget.",
    )
    zones: list[ZoneName] = Field(
        default_factory=list,
        max_length=16,
        description="Zones that the nodes are in. Empty: the label topology.kubernetes.io/zone of nodeSelector or, "
        "without it, of the Ready nodes.",
    )
    power: PoolPower | None = None

    def own_watts_per_gpu(self) -> float | None:
        """What one GPU draws at its limit, where the pool says so."""
        if self.power is None or self.power.watts_per_gpu is None:
            return None
        return float(self.power.watts_per_gpu)

    def gpu_cost_per_hour(self) -> float:
        """Price of one GPU in US dollars per hour: its part of the node's where the pool is paid by the node."""
        if self.cost.per_node_hour_usd is not None:
            return self.cost.per_node_hour_usd / self.capacity.gpus_per_node
        return self.cost.per_hour_usd or 0.0
