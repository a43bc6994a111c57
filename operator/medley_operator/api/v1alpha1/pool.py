"""`GPUPool`: GPUs of one type that the platform team offers, with their price, stock and nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import ApiModel, CelRule
from medley_operator.api.v1alpha1.fields import (
    Dns1123Label,
    Dns1123Subdomain,
    LabelKey,
    LabelValue,
    Money,
    ResourceName,
    ZoneName,
)


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
    """Number of GPUs in the pool: nodes x GPUs per node."""

    type: CapacityType = Field(
        CapacityType.FIXED,
        description="Fixed: the pool has a fixed number of nodes. Elastic: nodes are created on demand, up to `nodes` "
        "if it is set.",
    )
    nodes: int | None = Field(
        None,
        ge=0,
        le=10000,
        description="Number of nodes. Default: with Fixed, the number of Ready nodes that match nodeSelector; with "
        "Elastic, no limit.",
    )
    gpus_per_node: int = Field(ge=1, le=64, description="GPUs on each node; the largest number of GPUs of one replica.")


class Provisioning(StrEnum):
    ON_DEMAND = "OnDemand"
    SPOT = "Spot"


class PoolCost(ApiModel):
    """Price per GPU, or per node if whole nodes are paid. Default: the price of a GPU by Karpenter's or OpenCost's
    metrics, as `status.price` shows it."""

    per_hour: Money | None = Field(
        None, description='Price of one GPU for one hour in US dollars, as a decimal string ("0.805").'
    )
    per_node_hour: Money | None = Field(
        None,
        description="Price of one node with gpusPerNode GPUs for one hour in US dollars; replaces perHour. Whole "
        "nodes are then planned and paid, and a replica costs its GPUs' part of the node. Tensor parallel degrees are "
        "limited to 1, 2, 4, 8, ..., so that replicas pack onto nodes.",
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel="!has(self.perHour) || !has(self.perNodeHour)",
            message="give either perHour (of one GPU) or perNodeHour (of one node)",
            holds=lambda self: self.per_hour is None or self.per_node_hour is None,
        ),
    )

    @property
    def is_given(self) -> bool:
        return self.per_hour is not None or self.per_node_hour is not None

    @property
    def per_hour_usd(self) -> float | None:
        return None if self.per_hour is None else float(self.per_hour)

    @property
    def per_node_hour_usd(self) -> float | None:
        return None if self.per_node_hour is None else float(self.per_node_hour)


class PoolPower(ApiModel):
    """Power of the pool's GPUs, and the pool's power budget."""

    watts_per_gpu: int | None = Field(
        None,
        ge=1,
        le=100000,
        description="Watts of one GPU at its power limit. Default: the board power of the GPU type.",
    )
    budget_watts: int | None = Field(
        None,
        ge=1,
        le=1000000000,
        description="Watts that all replicas of the pool may draw together. Default: no limit.",
    )


class PoolQueue(ApiModel):
    """The queue of Kueue that admits the pool's pods, and the quota that bounds its stock."""

    name: Dns1123Label = Field(
        description="LocalQueue in each namespace (label kueue.x-k8s.io/queue-name of Deployments and pods); replaces "
        "the queueName of the RuntimeProfile."
    )
    cluster_queue: Dns1123Subdomain | None = Field(
        None, description="ClusterQueue that these LocalQueues are of. Default: the one of the same name."
    )
    flavor: Dns1123Subdomain | None = Field(
        None,
        description="ResourceFlavor of the pool's nodes, whose quota counts. Default: all flavors of the ClusterQueue "
        "that have resourceName.",
    )

    @property
    def cluster_queue_name(self) -> str:
        return self.cluster_queue or self.name


class GPUPoolSpec(ApiModel):
    """GPUs, price and limits of the pool."""

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
        "nvidia.com/gpu",
        description="Extended resource that engine pods request, such as nvidia.com/gpu or amd.com/gpu.",
    )
    capacity: PoolCapacity
    cost: PoolCost = Field(default_factory=PoolCost)
    provisioning: Provisioning = Field(
        Provisioning.ON_DEMAND,
        description="Spot: the provider may take nodes back at any time; spec.budget of LLMServices limits their use.",
    )
    zones: list[ZoneName] = Field(
        default_factory=list,
        max_length=16,
        description="Zones of the nodes. Empty: the label topology.kubernetes.io/zone of nodeSelector or, without it, "
        "of the Ready nodes.",
    )
    power: PoolPower | None = None
    queue: PoolQueue | None = Field(None, description="Default: pods wait for no queue, or for the RuntimeProfile's.")

    def own_watts_per_gpu(self) -> float | None:
        """Watts of one GPU at its power limit; None where the pool does not set them."""
        if self.power is None or self.power.watts_per_gpu is None:
            return None
        return float(self.power.watts_per_gpu)

    def gpu_cost_per_hour(self) -> float:
        """Price of one GPU in US dollars per hour: its part of the node's where the pool is paid by the node."""
        if self.cost.per_node_hour_usd is not None:
            return self.cost.per_node_hour_usd / self.capacity.gpus_per_node
        return self.cost.per_hour_usd or 0.0
