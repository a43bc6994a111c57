"""A look is whole or an error; what does not parse is reported to its owner; what a cluster may lack is not an
error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, MetricsReason, ObjectKey, Observation
from medley_operator.domain.values.views import Taint
from medley_operator.fleet.observe import Observer
from medley_operator.fleet.startups import StartupWatch
from medley_operator.kube.errors import NotFound, Unavailable
from medley_operator.kube.resources import GATEWAYS, GPU_POOLS, HTTP_ROUTES, LLM_SERVICES, MODEL_PROFILES
from medley_operator.metrics.observe import ServiceQuery
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child, service_manifest


def node(name: str, *, ready: str = "True", **spec: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"gpu": "l4"}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "15500m", "memory": "1Gi", "nvidia.com/gpu": "8", "hugepages-2Mi": "0"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
        },
    }


class Metrics:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, float]] = []
        self.served: list[str] = []

    async def observe(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Observation]:
        self.asked += [(query.namespace, query.name, query.window_seconds) for query in services]
        self.served += [query.served_model for query in services]
        return {query.key: Observation(MetricsReason.MISSING) for query in services}


async def test_all_nodes_are_seen_as_they_are_and_only_extended_resources() -> None:
    client = FakeKubeClient()
    taints = [{"key": "gpu", "effect": "NoSchedule"}, {"key": "team", "value": "ml", "effect": "NoExecute"}]
    leaving = node("d")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    for each in (node("a", taints=taints), node("b", ready="Unknown"), node("c", unschedulable=True), leaving):
        client.put(each)
    nodes = (await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()).snapshot.nodes
    assert [(each.name, each.ready, each.cordoned, each.leaving) for each in nodes] == [
        ("a", True, False, False),
        ("b", False, False, False),
        ("c", True, True, False),
        ("d", True, False, True),
    ]
    assert [each.usable for each in nodes] == [True, False, False, False]
    assert nodes[0].allocatable == {"nvidia.com/gpu": 8}
    assert nodes[0].labels == {"gpu": "l4"}
    assert nodes[0].taints == (Taint("gpu", "", "NoSchedule"), Taint("team", "ml", "NoExecute"))


async def test_children_are_only_those_with_our_label() -> None:
    client = FakeKubeClient()
    client.put(child("Deployment", "chat-l4"))
    client.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"}})
    children = (await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()).snapshot.children
    assert set(children) == {ObjectKey("Deployment", "demo", "chat-l4")}


async def test_an_object_that_does_not_parse_is_rejected_with_field_value_and_way_out() -> None:
    client = FakeKubeClient()
    client.put(service_manifest("good"))
    bad = client.put(service_manifest("bad", uid="uid-bad", drain={"timeout": "soon"}))
    bad["status"] = {"mix": "kept"}
    seen = (await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()).snapshot
    assert [each.metadata.name for each in seen.services] == ["good"]
    (rejected,) = seen.rejected
    assert (rejected.key, rejected.uid, rejected.status) == (
        ObjectKey("LLMService", "demo", "bad"),
        "uid-bad",
        {"mix": "kept"},
    )
    for part in (
        "LLMService demo/bad",
        "spec.drain.timeout",
        '"soon": write a duration',
        "kubectl edit llmservices -n demo bad",
    ):
        assert part in rejected.refusal.message


async def test_measured_profiles_are_seen_and_broken_ones_rejected() -> None:
    client = FakeKubeClient()
    spec: Manifest = {"model": "org/model", "gpu": "H100", "engineVersion": "0.32.0", "stepFactors": {}}
    for name, body in (("good", spec), ("bad", spec | {"points": [{"promptTokens": "1"}]})):
        manifest = {"apiVersion": API_VERSION, "kind": "ModelProfile", "metadata": {"name": name}, "spec": body}
        client.put(manifest)
    observed = await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()
    assert [each.metadata.name for each in observed.snapshot.model_profiles] == ["good"]
    (rejected,) = observed.snapshot.rejected
    assert rejected.key == ObjectKey("ModelProfile", "", "bad")
    assert "kubectl edit modelprofiles bad" in rejected.refusal.message
    assert MODEL_PROFILES in observed.available


async def test_a_cluster_without_the_gateway_api_is_told_apart_from_one_without_gateways() -> None:
    client = FakeKubeClient()
    without = await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()
    assert without.snapshot.gateways is None
    assert not {GATEWAYS, HTTP_ROUTES} & without.available
    client.missing.clear()
    empty = await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()
    assert empty.snapshot.gateways == frozenset()
    client.put({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"name": "edge", "namespace": "demo"}})  # fmt: skip
    one = await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()
    assert one.snapshot.gateways == frozenset({("demo", "edge")})
    assert {GATEWAYS, HTTP_ROUTES, LLM_SERVICES} <= one.available


async def test_missing_crds_are_an_error_that_says_how_to_install_them() -> None:
    client = FakeKubeClient()
    client.missing.add(GPU_POOLS)
    with pytest.raises(NotFound, match=r"CRDs of medley\.dev are not installed.*kubectl apply -f crds/") as caught:
        await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()
    assert caught.value.reason == "CrdsNotInstalled"


async def test_one_list_that_fails_fails_the_look() -> None:
    client = FakeKubeClient()
    client.failing["list", "nodes"] = Unavailable("cannot list nodes: no answer")
    with pytest.raises(Unavailable, match="cannot list nodes"):
        await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()


async def test_without_prometheus_the_way_out_is_named_and_no_error_counted() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    seen = await Observer(client=client, metrics=None, clock=lambda: 7.0).observe()
    observation = seen.snapshot.observations[ServiceKey("demo", "chat")]
    assert observation.reason is MetricsReason.UNAVAILABLE
    assert "--prometheus-url" in observation.message
    assert not seen.metrics_failed


async def test_prometheus_is_asked_only_for_services_that_want_it() -> None:
    client, metrics = FakeKubeClient(), Metrics()
    client.put(service_manifest("live", workload={"window": "2m"}))
    static = {"requestsPerSecond": "1", "promptTokens": 10, "generationTokens": 10}
    client.put(service_manifest("fixed", workload={"source": "Static", "static": static}))
    client.put({"apiVersion": API_VERSION, "kind": "GPUPool", "metadata": {"name": "bad", "uid": "u"}, "spec": {}})
    seen = await Observer(client=client, metrics=metrics, clock=lambda: 7.0).observe()
    assert metrics.asked == [("demo", "live", 120)]
    assert metrics.served == ["live"], "the name that its engines serve under, where the spec gives no other"
    assert set(seen.snapshot.observations) == {("demo", "live")}


class History:
    """Tells once what was."""

    def __init__(self) -> None:
        self.left: list[dict[ServiceKey, tuple[tuple[float, float], ...]]] = [
            {ServiceKey("demo", "live"): ((240.0, 3.0), (120.0, 4.0))}
        ]

    async def once(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, tuple[tuple[float, float], ...]]:
        assert [query.name for query in services] == ["live"]
        return self.left.pop() if self.left else {}


async def test_history_is_told_on_the_clock_of_the_snapshot() -> None:
    client = FakeKubeClient()
    client.put(service_manifest("live"))
    observer = Observer(client=client, metrics=Metrics(), clock=lambda: 1000.0, history=History())
    first, second = [(await observer.observe()).snapshot.histories for _ in range(2)]
    assert first == {("demo", "live"): ((760.0, 3.0), (880.0, 4.0))}
    assert second == {}


async def test_pods_come_with_a_look_that_sees_more_of_them_ready() -> None:
    client = FakeKubeClient()
    deployment = child("Deployment", "chat-l4")
    client.put({**deployment, "status": {"readyReplicas": 1}})
    labels = deployment["metadata"]["labels"]
    client.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "demo", "labels": labels}})
    observer = Observer(client=client, metrics=None, clock=lambda: 7.0, startups=StartupWatch(client))
    looks = [(await observer.observe()).snapshot for _ in range(2)]
    assert [[pod["metadata"]["name"] for pod in each.pods] for each in looks] == [["p"], []]
