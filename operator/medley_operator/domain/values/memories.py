"""The memory of services between rounds, as values. Part of it outlives the operator in `status.memory`.

`domain.prepare` reads it and `domain.conclude` makes the next; nothing in here touches the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from medley_operator.domain.values.leadtime import LeadTimes
from medley_operator.domain.values.margins import Margin
from medley_operator.domain.values.power import CountedLevel
from medley_operator.domain.values.service_key import ServiceKey
from medley_planner.model import Demand, ServicePlan
from medley_planner.regret import Regret
from medley_planner.workload import Forecaster, SizeTrend


@dataclass(frozen=True, slots=True)
class LoadBasis:
    """The origin of a demand's rate: requests per second as measured, and the margin of the forecast.

    `forecast_margin` is a part of the rate forecast; None where what was measured is planned. `season`: Daily, Weekly.
    """

    measured_rps: float
    forecast_margin: float | None = None
    season: str | None = None


class TargetReason(StrEnum):
    """Why a plan is in force."""

    PLANNED = "Planned"
    APPROVED = "Approved"


@dataclass(frozen=True, slots=True)
class Target:
    """The target in force: the replicas that children are held to, by variant, and the plan that set them.

    `since` is RFC 3339 in UTC; `reason` is one of `TargetReason`.
    """

    plan_id: str
    since: str
    reason: str
    replicas: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LoadJump:
    """A load that became many times that of the plan: since when it is seen, and the load of the plan before it, in
    prompt and generated tokens per second."""

    since: float
    from_tokens_per_second: float


@dataclass(frozen=True, slots=True)
class ServiceMemory:
    """The memory of one service between rounds.

    The demand and what was doubted of it outlive the operator in `status.memory` (`load.remembered`).
    """

    uid: str
    demand: Demand | None = None
    """The demand that its newest plan was made for."""
    plan: ServicePlan | None = None
    """That plan."""
    had_metrics: bool = False
    """Whether Prometheus ever had series of its pods."""
    drifting_since: float | None = None
    """The time of the first of an unbroken row of snapshots whose load lay off that demand by more than the band,
    though within noise; None where the last one did not."""
    falling_since: float | None = None
    """The same for a demand that is larger than what is forecast by more than the band."""
    basis: LoadBasis | None = None
    """The origin of that demand's rate."""
    forecaster: Forecaster = field(default_factory=Forecaster)
    """Holds the rates that were measured."""
    sizes: SizeTrend = field(default_factory=SizeTrend)
    """Holds the mean sizes that were measured lately."""
    waiting_since: float | None = None
    """Since when simulated capacities of the plan are missing; None where none are."""
    target: Target | None = None
    """The target in force, which a newer plan may wait to replace."""
    jump: LoadJump | None = None
    """A jump that is not believed yet."""
    ready_lately: tuple[tuple[float, int], ...] = ()
    """(Since when, Ready replicas), oldest first."""
    regret: Regret = field(default_factory=Regret)
    """The account of what it has cost to stay on a fleet though another was cheaper."""
    margins: Mapping[str, Margin] = field(default_factory=dict)
    """Learned margins by variant."""


@dataclass(frozen=True, slots=True)
class FleetMemory:
    """The memory between rounds. Losing it costs nothing but one fresh plan."""

    services: Mapping[ServiceKey, ServiceMemory] = field(default_factory=dict)
    leads: LeadTimes = field(default_factory=LeadTimes)
    """How long replicas took to start."""
    power_levels: Mapping[str, CountedLevel] = field(default_factory=dict)
    """Those of power domains that plans count with, by name."""
