"""Checks of what an LLMService asks for against the bounds of its namespace: `POLICY_CHECKS`, asked in this order.

Each answers None or a Refusal that names the policy, the field, the value and the way out. They refuse what cannot be
planned with less; a ceiling of priority or replicas is planned at the ceiling instead (`values/bounds.py`). They need
nothing but the two, so that a service that is refused here costs no query either. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.routing.gateway import gateway_of
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.refusal import Refusal


class Bounded(Protocol):
    """The two things that these checks look at."""

    @property
    def service(self) -> LLMService: ...

    @property
    def bounds(self) -> NamespaceBounds: ...


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """A service with the bounds of its namespace."""

    service: LLMService
    bounds: NamespaceBounds


def bounds_are_known(given: Bounded) -> Refusal | None:
    """A policy that does not parse, or a namespace whose labels are not known, opens nothing."""
    return given.bounds.unknown


def service_is_not_one_too_many(given: Bounded) -> Refusal | None:
    """The newest services of a namespace beyond its number are not planned; the older ones go on."""
    if given.service.metadata.name not in given.bounds.surplus:
        return None
    most = given.bounds.max_services
    return _denied(
        f"namespace {given.bounds.namespace} has more than {most.value} LLMServices ({most.source('maxServices')}), "
        "and this is one of the newest; delete others, or ask the platform team for more"
    )


def model_source_is_allowed(given: Bounded) -> Refusal | None:
    """Weights come from where the platform lets them come from."""
    uri = given.service.spec.model.uri
    for listed in given.bounds.policies:
        allowed = listed.limits.model_sources
        if allowed and not any(_is_below(uri, prefix) for prefix in allowed):
            return _denied(
                f'spec.model.uri "{uri}" is not below a source that MedleyPolicy "{listed.policy}" '
                f"spec.limits.modelSources allows ({', '.join(allowed)}); name a model there, or ask the platform team "
                "to add the source"
            )
    return None


def window_is_allowed(given: Bounded) -> Refusal | None:
    """Services of one window share their queries; each window more costs Prometheus more."""
    window, seconds = given.service.spec.workload.window, given.service.spec.workload.window_seconds
    for listed in given.bounds.policies:
        allowed = listed.limits.allowed_window_seconds
        if allowed and seconds not in allowed:
            return _denied(
                f'spec.workload.window "{window}" is not one that MedleyPolicy "{listed.policy}" '
                f"spec.limits.allowedWindows lists ({', '.join(listed.limits.allowed_windows)}); use one of them"
            )
    return None


def gateway_is_allowed(given: Bounded) -> Refusal | None:
    """A Gateway of another namespace is the platform's to give: each policy that lists Gateways has to list it."""
    namespace, name = gateway_of(given.service) or ("", "")
    if not name or namespace == given.service.metadata.namespace:
        return None
    field = f'spec.routing.gatewayRef "{namespace}/{name}"'
    lists = [listed for listed in given.bounds.policies if listed.limits.gateways]
    if not lists:
        return _denied(
            f"{field} is in another namespace, and no MedleyPolicy for this one lists Gateways (spec.limits.gateways); "
            "name a Gateway of this namespace, or ask the platform team to list it"
        )
    for listed in lists:
        allowed = [f"{each.namespace}/{each.name}" for each in listed.limits.gateways]
        if f"{namespace}/{name}" not in allowed:
            return _denied(
                f'{field} is not in MedleyPolicy "{listed.policy}" spec.limits.gateways ({", ".join(allowed)}); name '
                "one of them, or ask the platform team to list it"
            )
    return None


def minima_are_within_the_ceiling(given: Bounded) -> Refusal | None:
    """Replicas that a service always keeps cannot be planned at a ceiling below them."""
    most, spec = given.bounds.max_replicas, given.service.spec
    if most is None:
        return None
    minima = {
        "spec.scaling.minReplicas": spec.scaling.min_replicas,
        "the sum of spec.variants[].minReplicas": sum(variant.min_replicas for variant in spec.variants),
        "spec.budget.onDemandMinReplicas": spec.budget.on_demand_min_replicas,
    }
    for field, least in minima.items():
        if least > most.value:
            return _denied(
                f"{field} is {least}, above the {most.value} replicas that a service may have "
                f"({most.source('maxReplicas')}); lower it, or ask the platform team for more"
            )
    if spec.scaling.tolerate_replica_loss and most.value < 2:
        return _denied(
            f"spec.scaling.tolerateReplicaLoss needs 2 replicas, and a service may have {most.value} "
            f"({most.source('maxReplicas')}); set it to false, or ask the platform team for more"
        )
    return None


POLICY_CHECKS: tuple[Callable[[Bounded], Refusal | None], ...] = (
    bounds_are_known,
    service_is_not_one_too_many,
    model_source_is_allowed,
    window_is_allowed,
    gateway_is_allowed,
    minima_are_within_the_ceiling,
)


def _is_below(uri: str, prefix: str) -> bool:
    """Compares whole parts of the path: hf://meta allows hf://meta/llama and not hf://meta-evil/llama."""
    return uri == prefix or uri.startswith(prefix if prefix.endswith("/") else f"{prefix}/")


def _denied(message: str) -> Refusal:
    return Refusal(PlanReason.POLICY_DENIED, message)
