"""The kinds of objects that run replicas: `WORKLOADS`. A further one is a module and its line in this file. Pure.

Apart: the registry, which the modules of the kinds do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medley_operator.domain.engine.deployment import DeploymentInput, known_deployment, rescaled
from medley_operator.domain.engine.deployment_seen import footprint_of, running_variant
from medley_operator.domain.engine.workload import Footprint, WorkloadKind
from medley_operator.domain.values import labels
from medley_operator.domain.values.running import RunningVariant
from medley_operator.domain.values.snapshot import Manifest


@dataclass(frozen=True, slots=True)
class DeploymentKind:
    """A Deployment: each replica is one pod."""

    kind: str = labels.DEPLOYMENT

    def render(self, given: DeploymentInput) -> Manifest:
        return known_deployment(given)

    def rescaled(self, observed: Manifest, replicas: int) -> Manifest:
        return rescaled(observed, replicas)

    def footprint(self, observed: Manifest) -> Footprint:
        return footprint_of(observed)

    def observe(self, observed: Manifest) -> RunningVariant:
        return running_variant(observed)


_DEPLOYMENT = DeploymentKind()
WORKLOADS: Mapping[str, WorkloadKind] = {_DEPLOYMENT.kind: _DEPLOYMENT}


def rendered(given: DeploymentInput) -> Manifest:
    """The workload of a variant, of the kind that its replicas need: all fit one node today."""
    return _DEPLOYMENT.render(given)


def observed(manifest: Manifest) -> RunningVariant:
    """The replicas of a workload of any kind."""
    return WORKLOADS[manifest["kind"]].observe(manifest)
