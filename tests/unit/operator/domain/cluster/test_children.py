"""Deployments are read whatever others wrote into them: what is no number counts as nothing, and stops nothing."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.cluster.children import RunningVariant, gpus_by_pool, running_variant
from medley_operator.domain.values.labels import LAYOUT, MANAGED_BY, MANAGED_BY_VALUE, POOL, VARIANT, key_of
from medley_operator.domain.values.snapshot import Manifest


def deployment(limits: dict[str, Any], *, replicas: object = 2, **status: object) -> Manifest:
    labels = {MANAGED_BY: MANAGED_BY_VALUE, POOL: "l4", VARIANT: "l4", LAYOUT: "abcdefgh"}
    return {
        "kind": "Deployment",
        "metadata": {"name": "made-by-hand", "namespace": "other", "labels": labels, "generation": 1},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"resources": {"limits": limits}}]}}},
        "status": status,
    }


@pytest.mark.parametrize(
    ("limit", "gpus"),
    [("1k", 1000), ("1", 1), (2, 2), ("2000m", 2), ("many", 0), ("1.5", 0), ("-1", 0), ("1e99999999", 0), (None, 0)],
)
def test_gpus_of_a_deployment_are_quantities_as_the_api_server_stores_them(limit: object, gpus: int) -> None:
    manifest = deployment({"nvidia.com/gpu": limit, "memory": "16Gi", "cpu": "x"})
    assert running_variant(manifest).gpus_per_replica == gpus
    assert gpus_by_pool({"uid": {key_of(manifest): manifest}}, except_uids=frozenset()) == {"l4": 2 * gpus}


def test_counts_that_are_no_numbers_are_the_apis_defaults() -> None:
    odd = deployment({}, replicas=None, observedGeneration="x", readyReplicas=[1])
    assert running_variant(odd) == RunningVariant("l4", "abcdefgh", "made-by-hand", "l4", 1, 0, 0, drained=False)
