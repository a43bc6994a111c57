"""The fleet of the scale suite: its sizes, and that the operator's own models take its objects."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from e2e.scale.fleet import GPU_LABEL, POOLS, VARIANTS, FleetShape, gpu_pool, node, runtime_profile
from medley_operator.api.v1alpha1 import GPUPool, LLMService, RuntimeProfile
from medley_operator.fleet.project import node_view

WHOLE = FleetShape(500)


def read(manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "uid": "uid", "generation": 1}}


def test_the_whole_fleet_has_the_size_of_its_goals() -> None:
    nodes = [node_view(each) for each in WHOLE.nodes()]
    assert (len(nodes), WHOLE.gpus) == (1000, 10_000)
    assert sum(sum(each.allocatable.values()) for each in nodes) == WHOLE.gpus
    services = WHOLE.service_list()
    assert len({(each.namespace, each.name) for each in services}) == 500
    assert sum(len(each.pools) for each in services) == 2000
    assert {each.namespace for each in services} == set(WHOLE.namespaces())


def test_a_small_form_keeps_the_proportions() -> None:
    small = FleetShape(50)
    assert small.nodes_per_pool * 10 == 120
    assert len(small.service_list()) == 50


def test_a_node_is_as_large_as_a_real_one() -> None:
    assert 6_000 < len(json.dumps(node(POOLS[0], 1))) < 20_000


def test_equal_seeds_give_equal_loads_and_services_differ() -> None:
    loads = [each.load for each in WHOLE.service_list()]
    assert loads == [each.load for each in FleetShape(500).service_list()]
    assert len(set(loads)) == 500
    assert loads != [each.load for each in FleetShape(500, seed=1).service_list()]


def test_the_operators_models_take_the_objects() -> None:
    for service in FleetShape(8).service_list():
        parsed = LLMService.model_validate(read(service.manifest()))
        assert len(parsed.spec.variants) == VARIANTS
    for pool in POOLS:
        GPUPool.model_validate(read(gpu_pool(pool)))
    RuntimeProfile.model_validate(read(runtime_profile()))


def test_each_pool_selects_its_own_nodes() -> None:
    by_pool = Counter(node_view(each).labels[GPU_LABEL] for each in FleetShape(16).nodes())
    assert by_pool == {pool.name: 4 for pool in POOLS}
    assert all(gpu_pool(pool)["spec"]["nodeSelector"] == {GPU_LABEL: pool.name} for pool in POOLS)
