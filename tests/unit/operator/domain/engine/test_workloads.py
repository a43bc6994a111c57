"""The kinds that run replicas, by one protocol: a further kind is taken up by all that asks them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from medley_operator.domain.cluster.children import running_variants
from medley_operator.domain.cluster.held import owned_deployments
from medley_operator.domain.engine import workloads
from medley_operator.domain.engine.deployment import DeploymentInput, rescaled
from medley_operator.domain.engine.deployment_seen import running_variant
from medley_operator.domain.engine.workload import Footprint
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.running import RunningVariant
from medley_operator.domain.values.snapshot import Manifest
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import deployment

GROUP = "Group"


@dataclass(frozen=True)
class Groups:
    """A made-up kind: a replica is two pods on two nodes."""

    kind: str = GROUP

    def render(self, given: DeploymentInput) -> Manifest:
        raise AssertionError("nothing is rendered here")

    def rescaled(self, observed: Manifest, replicas: int) -> Manifest:
        return rescaled(observed, replicas)

    def footprint(self, observed: Manifest) -> Footprint:
        return Footprint(nodes=2, gpus_per_node=running_variant(observed).gpus_per_replica)

    def observe(self, observed: Manifest) -> RunningVariant:
        return replace(running_variant(observed), kind=GROUP)


def test_a_replica_of_a_deployment_is_on_one_node() -> None:
    kind = workloads.WORKLOADS["Deployment"]
    manifest = deployment()
    assert kind.footprint(manifest) == Footprint(nodes=1, gpus_per_node=running_variant(manifest).gpus_per_replica)
    assert kind.rescaled(manifest, 7)["spec"]["replicas"] == 7


def test_a_further_kind_is_observed_and_counted_by_its_footprint(monkeypatch: pytest.MonkeyPatch) -> None:
    group = {**make.with_defaults(deployment(replicas=3)), "kind": GROUP}
    own = {key_of(group): group}
    snapshot = make.snapshot(make.service(), children=own)
    assert (running_variants(own), owned_deployments(snapshot)) == ({}, [])
    monkeypatch.setitem(workloads.WORKLOADS, GROUP, Groups())
    assert running_variants(own)["l4"].replicas == 3
    (owned,) = owned_deployments(snapshot)
    assert owned.workload.gpus == 2 * running_variant(group).gpus_per_replica
