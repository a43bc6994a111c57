"""The protocol between clients and the replicas of a service, which each routing mode implements. Pure.

A mode says which objects it wants, what of them must be seen before which write, what the data path was seen to do, and
what keeps requests from arriving. Whoever plans, shrinks or reports asks these questions and knows no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.cluster.children import Children, RunningVariant
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_operator.domain.values.decision import Apply, Delete
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.refusal import Refusal

ApplyCondition = Callable[[Apply, Children], bool]
DeleteCondition = Callable[[Delete, Children], bool]
"""Whether a write may be made now, by the children that the service was seen to control."""


@dataclass(frozen=True, slots=True)
class RoutedService:
    """The sight of a router: the service with what runs of it and its children, and what the cluster has for routing.

    `gateways`: (namespace, name) of each Gateway; None where the cluster has no Gateway API. `unlisted`: kinds of
    routing objects that the cluster lacks or that cannot be listed, and why.
    """

    candidate: ServiceCandidate
    running: Mapping[str, RunningVariant]
    own: Children
    gateways: frozenset[tuple[str, str]] | None = None
    unlisted: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> LLMService:
        return self.candidate.service

    @property
    def ready(self) -> dict[str, int]:
        """Ready replicas by variant."""
        return {name: variant.ready for name, variant in self.running.items()}


class Router(Protocol):
    """One way in which requests reach the replicas of a service."""

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of children that it makes beside those that every service has. A service whose mode changes loses
        those that its new router does not make."""

    @property
    def shared(self) -> frozenset[str]:
        """Kinds of which one object serves all services of a namespace: the first that needs it makes it."""

    @property
    def weighs(self) -> bool:
        """Whether requests are split by a weight for each variant, which Medley sets."""

    @property
    def apply_conditions(self) -> Mapping[str, ApplyCondition]:
        """Conditions on applying an object of a kind, by kind; they hold also while the service has another router."""

    @property
    def delete_conditions(self) -> Mapping[str, DeleteCondition]:
        """Conditions on deleting an object of a kind, as `apply_conditions`."""

    def url(self, service: LLMService) -> str:
        """Where clients send requests."""

    def wanted(
        self, given: RoutedService, weights: Mapping[str, int] | None, usable: Collection[str]
    ) -> tuple[Manifest, ...]:
        """The objects that are to be there; none where they cannot be made now. `weights` by variant, None without any;
        `usable`: names of the Services that are the service's own."""

    def weights(self, given: RoutedService) -> dict[str, int] | None:
        """Weights by variant as the objects have them; None where they do not show."""

    def asked(self, given: RoutedService, weights: Mapping[str, int] | None) -> Mapping[str, int] | None:
        """Weights that must be `accepted` before Ready replicas go, by object that gets requests; None: do not wait."""

    def accepted(self, given: RoutedService) -> Mapping[str, int] | None:
        """Where the data path sends requests, by object, as its controller has accepted it; None where it has not."""

    def problem(self, given: RoutedService, *, planned: bool) -> Refusal | None:
        """Why requests do not arrive, as far as can be seen. `planned`: replicas run or are to run."""
