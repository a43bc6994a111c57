"""The front door of the kinds of power: PowerDomain, NodePowerCap and PowerEvent, and what they are made of."""

from __future__ import annotations

from medley_operator.api.v1alpha1.node_power_cap import (
    AgentState,
    CapLease,
    CapMode,
    Fraction,
    GpuCap,
    GpuLimit,
    GpuPowerStatus,
    GpuState,
    NodePowerCapSpec,
    NodePowerCapStatus,
    OtherGpuCap,
)
from medley_operator.api.v1alpha1.power_domain import (
    MeterSpec,
    PowerDomainSpec,
    PowerDomainStatus,
    PowerLevelSpec,
    PowerMode,
    PowerPreset,
)
from medley_operator.api.v1alpha1.power_event import EventPhase, PowerEventSpec, PowerEventStatus
from medley_operator.api.v1alpha1.power_kinds import NodePowerCap, PowerDomain, PowerEvent

__all__ = [
    "AgentState",
    "CapLease",
    "CapMode",
    "EventPhase",
    "Fraction",
    "GpuCap",
    "GpuLimit",
    "GpuPowerStatus",
    "GpuState",
    "MeterSpec",
    "NodePowerCap",
    "NodePowerCapSpec",
    "NodePowerCapStatus",
    "OtherGpuCap",
    "PowerDomain",
    "PowerDomainSpec",
    "PowerDomainStatus",
    "PowerEvent",
    "PowerEventSpec",
    "PowerEventStatus",
    "PowerLevelSpec",
    "PowerMode",
    "PowerPreset",
]
