"""The models as readers of objects: rules, round trip, durations, and the examples that users start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

import medley_operator.api.v1alpha1 as api
from medley_operator.api.v1alpha1 import (
    ActingMode,
    GPUPool,
    GPUType,
    LLMService,
    MedleyPolicy,
    ModelProfile,
    RuntimeProfile,
    ServiceRoutingMode,
    effective_mode,
)
from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent

EXAMPLES = Path(__file__).parents[4] / "examples"
MODELS: dict[str, type[BaseModel]] = {
    "LLMService": LLMService,
    "GPUPool": GPUPool,
    "RuntimeProfile": RuntimeProfile,
    "ModelProfile": ModelProfile,
    "MedleyPolicy": MedleyPolicy,
    "GPUType": GPUType,
    "PowerDomain": PowerDomain,
    "PowerEvent": PowerEvent,
}
MODEL = {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}
POOL = {"gpu": "L4", "nodeSelector": {"gpu": "l4"}, "capacity": {"gpusPerNode": 1}, "cost": {"perHour": "0.8"}}


def service(name: str = "chat", **spec: Any) -> LLMService:
    return LLMService.model_validate({"metadata": {"name": name}, "spec": {"model": MODEL, **spec}})


def pool(name: str = "l4", **spec: Any) -> GPUPool:
    return GPUPool.model_validate({"metadata": {"name": name}, "spec": {**POOL, **spec}})


def example_objects() -> list[Any]:
    files = sorted(EXAMPLES.rglob("*.yaml"))
    objects = [o for f in files for o in yaml.safe_load_all(f.read_text()) if o]
    return [o for o in objects if o.get("apiVersion") == api.API_VERSION]


def test_every_public_name_is_exported() -> None:
    assert all(hasattr(api, name) for name in api.__all__)
    assert {"LLMService", "GPUPool", "RuntimeProfile", "KINDS", "Condition", "API_VERSION"} <= set(api.__all__)


def test_examples_parse_and_survive_a_round_trip() -> None:
    objects = example_objects()
    assert {o["kind"] for o in objects} >= {"LLMService", "GPUPool"}
    for obj in objects:
        model = MODELS[obj["kind"]]
        parsed = model.model_validate(obj)
        written = parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert model.model_validate(written) == parsed


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "scaling": ({"scaling": {"minReplicas": 3, "maxReplicas": 2}}, "minReplicas must not exceed maxReplicas"),
    "variant": ({"variants": [{"poolRef": "l4", "minReplicas": 3, "maxReplicas": 2}]}, "must not exceed"),
    "static": ({"workload": {"source": "Static"}}, "needs workload.static"),
    "window": ({"workload": {"window": "2m"}}, "window must be one of 30s, 1m, 5m, 15m, 1h"),
    "endless window": ({"workload": {"window": "999999h"}}, "window must be one of"),
    "static rate": (
        {"workload": {"static": {"requestsPerSecond": "9999999", "promptTokens": 1, "generationTokens": 1}}},
        "requestsPerSecond must be at most 100000",
    ),
    "drain of a hundred years": ({"drain": {"preStop": "900000h", "timeout": "900000h"}}, "add up to at most 1h"),
    "drain": ({"drain": {"timeout": "3586s"}}, "preStop and timeout must add up to at most 1h"),
    "replicas": ({"scaling": {"maxReplicas": 1001}}, "less than or equal to 1000"),
    "long variants": ({"variants": [{"name": f"v{i}", "poolRef": "l4"} for i in range(17)]}, "at most 16"),
    "long config": ({"model": {"uri": "hf://a/b", "configJson": "x" * 32769}}, "at most 32768"),
    "route": ({"routing": {"mode": "HTTPRoute"}}, "needs routing.gatewayRef"),
    "targets": ({"slo": {"ttft": "0s"}}, "must be more than 0"),
    "variant names": ({"variants": [{"name": "a", "poolRef": "l4"}, {"name": "a", "poolRef": "h100"}]}, "used once"),
    "variant pools": ({"variants": [{"poolRef": "l4"}, {"poolRef": "l4"}]}, "need a name each"),
    "replica loss": ({"scaling": {"maxReplicas": 1, "tolerateReplicaLoss": True}}, "maxReplicas of 2 or more"),
    "burst headroom": ({"scaling": {"burstHeadroom": "-1"}}, "write a decimal number in quotes"),
    "budget": ({"budget": {"maxCostPerHour": "0.00"}}, "maxCostPerHour must be more than 0"),
    "spot share": ({"budget": {"spotMaxPercent": 101}}, "less than or equal to 100"),
    "on demand": (
        {"budget": {"onDemandMinReplicas": 3}, "scaling": {"maxReplicas": 2}},
        r"budget\.onDemandMinReplicas must not exceed scaling\.maxReplicas",
    ),
    "priority": ({"priority": "Highest"}, "'High', 'Normal' or 'Low'"),
    "unknown field": ({"podTemplate": {}}, "Extra inputs are not permitted"),
    "unit": ({"slo": {"tpot": "50"}}, "write a duration with its unit"),
}


@pytest.mark.parametrize(("spec", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_rules_hold_without_an_api_server(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        service(**spec)


@pytest.mark.parametrize("name", ["1chat", "chat.v2", "c" * 37, "Chat", "chat-"])
def test_service_name_must_do_for_its_services(name: str) -> None:
    with pytest.raises(ValidationError, match=r"metadata\.name must have at most 36"):
        service(name)


@pytest.mark.parametrize("name", ["l4.spot", "l" * 21])
def test_pool_name_must_do_for_deployments(name: str) -> None:
    with pytest.raises(ValidationError, match=r"metadata\.name must have at most 20"):
        pool(name)


def test_toleration_value_needs_equal() -> None:
    with pytest.raises(ValidationError, match="only with operator Equal"):
        pool(tolerations=[{"key": "gpu", "value": "l4"}])
    assert pool(tolerations=[{"key": "gpu", "operator": "Equal", "value": "l4"}]).spec.tolerations[0].value == "l4"


def test_a_pool_has_at_most_one_price() -> None:
    with pytest.raises(ValidationError, match="give either perHour"):
        pool(cost={"perHour": "1", "perNodeHour": "8"})
    assert not pool(cost={}).spec.cost.is_given


def test_the_price_of_a_gpu_is_its_part_of_the_node() -> None:
    capacity = {"gpusPerNode": 8}
    assert pool(cost={"perNodeHour": "55.04"}, capacity=capacity).spec.gpu_cost_per_hour() == pytest.approx(6.88)
    assert pool(cost={"perHour": "6.88"}, capacity=capacity).spec.gpu_cost_per_hour() == 6.88


def test_defaults_ask_for_nothing_beyond_the_targets() -> None:
    spec = service().spec
    assert (spec.priority, spec.budget.max_cost_per_hour, spec.scaling.burst_headroom) == ("Normal", None, "0")
    assert (spec.budget.spot_max_percent, spec.budget.on_demand_min_replicas) == (100, 0)
    assert not spec.scaling.zone_spread
    assert not spec.scaling.tolerate_replica_loss
    assert (pool().spec.provisioning, pool().spec.zones, pool().spec.power) == ("OnDemand", [], None)


def test_variants_of_one_pool_may_differ_in_degree_or_name() -> None:
    variants = [{"poolRef": "l4"}, {"poolRef": "l4", "tensorParallel": 2}, {"name": "x", "poolRef": "l4"}]
    assert len(service(variants=variants).spec.variants) == 3


def test_mode_follows_the_gateway() -> None:
    gateway = {"gatewayRef": {"name": "gw"}}
    assert service().spec.routing.effective_mode() is ServiceRoutingMode.SERVICE
    assert service(routing=gateway).spec.routing.effective_mode() is ServiceRoutingMode.HTTP_ROUTE
    assert service(routing={**gateway, "mode": "Service"}).spec.routing.effective_mode() is ServiceRoutingMode.SERVICE


def test_the_more_careful_of_two_modes_counts_in_either_order() -> None:
    careful = [ActingMode.PAUSED, ActingMode.ADVISORY, ActingMode.APPROVE, ActingMode.AUTO]
    for place, mode in enumerate(careful):
        for bolder in careful[place:]:
            assert effective_mode(mode, bolder) is effective_mode(bolder, mode) is mode
    assert service().spec.scaling.mode is ActingMode.AUTO


def test_status_of_a_later_version_is_read() -> None:
    obj = {"metadata": {"name": "chat", "labels": {}}, "spec": {"model": MODEL}, "status": {"mix": "l4:1/1", "new": 1}}
    assert LLMService.model_validate(obj).status.mix == "l4:1/1"
