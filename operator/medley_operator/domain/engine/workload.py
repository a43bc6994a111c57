"""The protocol of the kinds of objects that run replicas: rendered, observed, rescaled, and how much they take. Pure.

A replica of a Deployment is one pod on one node. A kind whose replicas are groups of pods over several nodes renders
its own object and says so by its footprint; nothing else asks what the object is.

Apart: the protocol, so that who uses a kind does not load how it is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from medley_operator.domain.engine.deployment import DeploymentInput
from medley_operator.domain.values.running import RunningVariant
from medley_operator.domain.values.snapshot import Manifest


@dataclass(frozen=True, slots=True)
class Footprint:
    """The GPUs of one replica: as many on each of its nodes."""

    nodes: int
    gpus_per_node: int

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node


class WorkloadKind(Protocol):
    """One kind of object that runs the replicas of a variant."""

    @property
    def kind(self) -> str:
        """As the API server names it."""

    def render(self, given: DeploymentInput) -> Manifest:
        """The object that runs that variant."""

    def rescaled(self, observed: Manifest, replicas: int) -> Manifest:
        """An object as it was observed, to be applied with other replicas, where it cannot be rendered any more."""

    def footprint(self, observed: Manifest) -> Footprint:
        """The GPUs of one replica of the object."""

    def observe(self, observed: Manifest) -> RunningVariant:
        """The replicas that run."""
