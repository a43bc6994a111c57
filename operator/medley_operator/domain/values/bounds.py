"""The bounds of what LLMServices of one namespace may ask for, as the MedleyPolicies that are for it say. Values only.

All policies that are for a namespace hold at once: of each ceiling the lowest counts, and what a service names must be
in every list that is not empty. What none of them sets has the default of this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from medley_operator.api.v1alpha1 import LLMServiceSpec, PolicyLimits, ServicePriority
from medley_planner.refusal import Refusal
from medley_planner.units import per_hour

DEFAULT_MAX_PRIORITY = ServicePriority.NORMAL
"""Who may go before others is for the platform to say, and never for the one who goes first."""
DEFAULT_MAX_SERVICES = 200
DEFAULT_LEAST_MARGIN, DEFAULT_MOST_MARGIN = 0.05, 1.0
_ORDER = (ServicePriority.LOW, ServicePriority.NORMAL, ServicePriority.HIGH)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Ceiling(Generic[Value]):
    """The most that is allowed, and the MedleyPolicy that says so; an empty name: the default."""

    value: Value
    policy: str = ""

    def source(self, field: str) -> str:
        """Who says so, for a message."""
        if not self.policy:
            return f"the default where no MedleyPolicy sets spec.limits.{field} for this namespace"
        return f'MedleyPolicy "{self.policy}" spec.limits.{field}'


@dataclass(frozen=True, slots=True)
class Listed:
    """The limits of one policy, for what it lists."""

    policy: str
    limits: PolicyLimits


@dataclass(frozen=True, slots=True)
class NamespaceBounds:
    """The bounds of one namespace. `policies` are all that are for it, by name.

    `surplus`: names of its newest LLMServices, beyond `max_services`. `unknown`: why it cannot be said what it may ask
    for; None where it can.
    """

    namespace: str = ""
    policies: tuple[Listed, ...] = ()
    max_priority: Ceiling[ServicePriority] = Ceiling(DEFAULT_MAX_PRIORITY)
    max_services: Ceiling[int] = Ceiling(DEFAULT_MAX_SERVICES)
    max_gpus: Ceiling[int] | None = None
    max_cost_per_hour: Ceiling[float] | None = None
    max_replicas: Ceiling[int] | None = None
    least_margin: float | None = None
    most_margin: float | None = None
    """Between these margins are learned, as shares of the planned load. None: no policy sets it."""
    surplus: frozenset[str] = frozenset()
    unknown: Refusal | None = None

    @property
    def quota_name(self) -> str:
        """The name of the planner's quota; a space keeps it apart from the names of pools."""
        return f"namespace {self.namespace}"

    @property
    def limits_what_is_planned(self) -> bool:
        """Whether its services share a quota."""
        return self.max_gpus is not None or self.max_cost_per_hour is not None

    def priority(self, asked: ServicePriority) -> ServicePriority:
        """The priority that is planned."""
        return min(asked, self.max_priority.value, key=_ORDER.index)

    def replicas(self, asked: int) -> int:
        """The most replicas that are planned."""
        return asked if self.max_replicas is None else min(asked, self.max_replicas.value)

    def margins(self, fixed: float) -> tuple[float, float]:
        """The least and the largest margin that is learned where headroom and derating come to `fixed`.

        A default never moves where learning begins: who sets a large headroom or a low derating is believed.
        """
        least, most = self.least_margin, self.most_margin
        if most is None:
            most = max(DEFAULT_MOST_MARGIN, fixed, least or 0.0)
        if least is None:
            least = min(DEFAULT_LEAST_MARGIN, fixed, most)
        # Where policies contradict each other, safety counts.
        return least, max(least, most)

    def clamped(self, spec: LLMServiceSpec) -> Iterator[str]:
        """The fields that are planned with less than the spec asks for, in words."""
        priority = self.priority(spec.priority)
        if priority is not spec.priority:
            yield (
                f"spec.priority {spec.priority.value} is planned as {priority.value} "
                f"({self.max_priority.source('maxPriority')})"
            )
        most = self.replicas(spec.scaling.max_replicas)
        if self.max_replicas is not None and most < spec.scaling.max_replicas:
            yield (
                f"spec.scaling.maxReplicas {spec.scaling.max_replicas} is planned as {most} "
                f"({self.max_replicas.source('maxReplicas')})"
            )

    def quota_words(self) -> str:
        """The most that all LLMServices of the namespace may take together, and who says so; "" without a limit."""
        parts = []
        if self.max_gpus is not None:
            parts.append(f"{self.max_gpus.value} GPUs ({self.max_gpus.source('maxGpus')})")
        if self.max_cost_per_hour is not None:
            allowed = self.max_cost_per_hour
            parts.append(f"{per_hour(allowed.value)} ({allowed.source('maxCostPerHour')})")
        return f"namespace {self.namespace} may take {' and '.join(parts)}" if parts else ""


def bounds_of(namespace: str, policies: tuple[Listed, ...]) -> NamespaceBounds:
    """The strictest of these policies, which are for the namespace."""
    bounds = NamespaceBounds(namespace=namespace, policies=policies)
    priorities = [Ceiling(p.limits.max_priority, p.policy) for p in policies if p.limits.max_priority is not None]
    services = [Ceiling(p.limits.max_services, p.policy) for p in policies if p.limits.max_services is not None]
    gpus = [Ceiling(p.limits.max_gpus, p.policy) for p in policies if p.limits.max_gpus is not None]
    costs = [(p.limits.max_cost_per_hour_usd, p.policy) for p in policies]
    replicas = [Ceiling(p.limits.max_replicas, p.policy) for p in policies if p.limits.max_replicas is not None]
    margins = [p.limits.min_margin_percent / 100.0 for p in policies if p.limits.min_margin_percent is not None]
    largest = [p.limits.max_margin_percent / 100.0 for p in policies if p.limits.max_margin_percent is not None]
    return replace(
        bounds,
        least_margin=max(margins, default=None),
        most_margin=min(largest, default=None),
        max_priority=min(priorities, key=lambda each: _ORDER.index(each.value), default=bounds.max_priority),
        max_services=min(services, key=lambda each: each.value, default=bounds.max_services),
        max_gpus=min(gpus, key=lambda each: each.value, default=None),
        max_cost_per_hour=min(
            (Ceiling(cost, policy) for cost, policy in costs if cost is not None),
            key=lambda each: each.value,
            default=None,
        ),
        max_replicas=min(replicas, key=lambda each: each.value, default=None),
    )
