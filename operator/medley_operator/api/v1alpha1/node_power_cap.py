"""`NodePowerCap`: the limits of one node's GPUs, and what its agent made of them.

The controller of power writes the spec, the agent of the node the status; each is the only writer of its part. The
object is named as its node. Watts are those of one GPU; clocks are fractions of a GPU's highest clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.config import JsonDict

from medley_operator.api.v1alpha1.base import ApiModel, CelRule, ObservedModel
from medley_operator.api.v1alpha1.fields import Dns1123Subdomain, Timestamp, written_as
from medley_operator.api.v1alpha1.service import ServicePriority
from medley_operator.api.v1alpha1.status import Conditions

MAX_NODE_GPUS = 64
LEAST_CLOCK_FRACTION = 0.05
LEVEL_TEXT = "Deepest level of the domains above the GPU when its limit last changed. 0: uncapped."

Fraction = Annotated[
    str,
    Field(pattern=r"^(0\.[0-9]{1,3}|1(\.0{1,3})?)$", max_length=5),
    written_as('a fraction from 0 to 1 in quotes, such as "0.84"'),
]
GpuUuid = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", min_length=1, max_length=96)]
_BY_UUID: JsonDict = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uuid"]}


class CapMode(StrEnum):
    """How an agent takes a spec."""

    ENFORCE = "Enforce"
    SHADOW = "Shadow"
    RELEASE = "Release"


class GpuLimit(ApiModel):
    """A limit on a GPU; an agent applies both parts."""

    clock_fraction: Fraction = Field(
        "1", description="Highest clock, as a fraction of the GPU's highest graphics clock. 1: the clock is not locked."
    )
    cap_watts: int | None = Field(
        None, ge=1, le=100000, description="Power limit of the GPU in watts. Absent: the board's default limit."
    )

    rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            cel=f"double(self.clockFraction) >= {LEAST_CLOCK_FRACTION}",
            message=f"clockFraction must be at least {LEAST_CLOCK_FRACTION}",
            holds=lambda self: self.fraction >= LEAST_CLOCK_FRACTION,
        ),
    )

    @property
    def fraction(self) -> float:
        return float(self.clock_fraction)


class CapLease(ApiModel):
    """How long the caps count without a word from the controller."""

    holder: str = Field(min_length=1, max_length=253, description="Replica of the controller that wrote the spec.")
    renew_time: Timestamp = Field(description="Time of the last renewal, in UTC.")
    duration_seconds: int = Field(
        ge=5,
        le=600,
        description="When this time has passed since the last renewal, the agent holds each GPU to its safe limit, or "
        "to the deeper of it and the limit in force. It never removes a cap.",
    )


class GpuCap(ApiModel):
    """The limit of one GPU."""

    uuid: GpuUuid = Field(description="UUID of the GPU, as NVML gives it.")
    priority: ServicePriority = Field(ServicePriority.NORMAL, description="Priority of the services on the GPU.")
    level: int = Field(0, ge=0, le=16, description=LEVEL_TEXT)
    limit: GpuLimit = Field(default_factory=GpuLimit, description="Limit while the lease is held.")
    safe: GpuLimit = Field(default_factory=GpuLimit, description="Limit when the lease is over.")


class OtherGpuCap(ApiModel):
    """The limit of each GPU of the node that gpus does not list, such as before the first status of the agent."""

    level: int = Field(0, ge=0, le=16, description=LEVEL_TEXT)
    limit: GpuLimit = Field(default_factory=GpuLimit, description="Limit while the lease is held.")
    safe: GpuLimit = Field(default_factory=GpuLimit, description="Limit when the lease is over.")


class NodePowerCapSpec(ApiModel):
    """The limits of a node's GPUs; written by the controller."""

    mode: CapMode = Field(
        CapMode.ENFORCE,
        description="Enforce: the agent applies the limits. Shadow: it applies nothing, and reports its GPUs only. "
        "Release: it restores the boards' default limits once; the node is in no domain that caps.",
    )
    revision: int = Field(
        0,
        ge=0,
        description="Number of this set of mode and limits. It rises when one of them changes, not with a renewal.",
    )
    lease: CapLease
    domains: list[Dns1123Subdomain] = Field(
        default_factory=list, max_length=16, description="PowerDomains above the node, the nearest first."
    )
    gpus: list[GpuCap] = Field(
        default_factory=list,
        max_length=MAX_NODE_GPUS,
        json_schema_extra=_BY_UUID,
        description="Limits by GPU.",
    )
    others: OtherGpuCap = Field(
        default_factory=OtherGpuCap, description="Limit of each GPU of the node that gpus does not list."
    )


class AgentState(StrEnum):
    """The limits that an agent applies now."""

    ENFORCING = "Enforcing"
    SHADOW = "Shadow"
    SAFE = "Safe"
    """The lease is over: the safe limits."""
    RELEASED = "Released"


class GpuState(StrEnum):
    """Whether an agent can hold a GPU to its limit."""

    OK = "Ok"
    LIMITED = "Limited"
    """In force is another limit than was asked for, such as one that the node's own controller sets."""
    NOT_SUPPORTED = "NotSupported"
    NO_PERMISSION = "NoPermission"
    LOST = "Lost"
    FAILED = "Failed"


class GpuPowerStatus(ObservedModel):
    """One GPU, as its driver answers; what it does not answer is absent."""

    uuid: str
    product: str = Field("", description="Product name, as the driver gives it.")
    state: str = Field(json_schema_extra={"enum": list(GpuState)})
    message: str = ""
    min_cap_watts: int | None = Field(None, description="Least power limit that the board takes.")
    max_cap_watts: int | None = Field(None, description="Highest power limit that the board takes.")
    default_cap_watts: int | None = Field(None, description="Power limit of the board without any setting.")
    max_clock_mhz: int | None = Field(None, description="Highest graphics clock.")
    requested_watts: int | None = Field(None, description="Power limit that the agent set last.")
    enforced_watts: int | None = Field(None, description="Power limit in force, read back.")
    requested_clock_mhz: int | None = Field(None, description="Clock that the agent locked last. Absent: no lock.")
    enforced_clock_mhz: int | None = Field(None, description="Lock in force. Absent: no lock.")
    watts: int | None = Field(None, description="Power drawn when the status was written.")
    reasons: list[str] = Field(
        default_factory=list, description="Reasons of the driver for lower clocks, such as SwPowerCap or HwPowerBrake."
    )
    mig: bool = Field(False, description="The GPU is partitioned; limits count for all its parts.")
    pods: list[str] = Field(
        default_factory=list,
        description="Pods on the GPU as namespace/name. Empty: none, or not known to the agent.",
    )
    applied_at: str | None = Field(
        None, json_schema_extra={"format": "date-time"}, description="Time of the last change of the GPU."
    )


class NodePowerCapStatus(ObservedModel):
    """The state of the node's agent, and the GPUs that it found."""

    observed_generation: int = 0
    observed_revision: int = Field(0, description="spec.revision that the agent acts on.")
    state: str = Field("", json_schema_extra={"enum": ["", *AgentState]}, description="What the agent does now.")
    message: str = ""
    gpus: list[GpuPowerStatus] = Field(default_factory=list, json_schema_extra=_BY_UUID)
    capped_gpus: int = Field(0, description="GPUs with a limit below their default in force.")
    conditions: Conditions
