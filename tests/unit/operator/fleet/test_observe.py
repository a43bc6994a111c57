"""A look is whole or an error; what does not parse is reported to its owner; what a cluster may lack is not an
error."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, MetricsReason, ObjectKey, Observation
from medley_operator.domain.values.views import Autoscaler
from medley_operator.fleet.observe import Observer
from medley_operator.kube.errors import Forbidden, NotFound
from medley_operator.kube.resources import (
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    GPU_POOLS,
    HTTP_ROUTES,
    INFERENCE_POOLS,
    LLM_SERVICES,
    MODEL_PROFILES,
    RESIZERS,
)
from medley_operator.metrics.observe import ServiceQuery
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.looks import following, look
from tests.unit.operator.fleet.objects import child, service_manifest


class Metrics:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, float]] = []
        self.served: list[str] = []

    async def observe(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, Observation]:
        self.asked += [(query.namespace, query.name, query.window_seconds) for query in services]
        self.served += [query.served_model for query in services]
        return {query.key: Observation(MetricsReason.MISSING) for query in services}


async def test_children_are_only_those_with_our_label() -> None:
    client = FakeKubeClient()
    client.put(child("Deployment", "chat-l4"))
    client.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"}})
    children = (await look(client)).snapshot.children
    assert set(children) == {ObjectKey("Deployment", "demo", "chat-l4")}


async def test_an_object_that_does_not_parse_is_rejected_with_field_value_and_way_out() -> None:
    client = FakeKubeClient()
    client.put(service_manifest("good"))
    bad = client.put(service_manifest("bad", uid="uid-bad", drain={"timeout": "soon"}))
    bad["status"] = {"mix": "kept"}
    seen = (await look(client)).snapshot
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
    observed = await look(client)
    assert [each.metadata.name for each in observed.snapshot.model_profiles] == ["good"]
    (rejected,) = observed.snapshot.rejected
    assert rejected.key == ObjectKey("ModelProfile", "", "bad")
    assert "kubectl edit modelprofiles bad" in rejected.refusal.message
    assert MODEL_PROFILES in observed.available


async def test_a_cluster_without_the_gateway_api_is_told_apart_from_one_without_gateways() -> None:
    client = FakeKubeClient()
    without = await look(client)
    assert without.snapshot.gateways is None
    assert not {GATEWAYS, HTTP_ROUTES} & without.available
    client.missing.clear()
    empty = await look(client)
    assert empty.snapshot.gateways == frozenset()
    client.put({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"name": "edge", "namespace": "demo"}})  # fmt: skip
    one = await look(client)
    assert one.snapshot.gateways == frozenset({("demo", "edge")})
    assert {GATEWAYS, HTTP_ROUTES, LLM_SERVICES} <= one.available


async def test_a_cluster_without_pools_of_endpoints_is_whole_all_the_same() -> None:
    client = FakeKubeClient(missing={INFERENCE_POOLS})
    without = await look(client)
    assert without.snapshot.lacking == without.snapshot.lacking == {"InferencePool"}
    assert (without.degraded, without.snapshot.unreadable) == ("", {})
    client.missing.clear()
    assert (await look(client)).snapshot.lacking == frozenset()


async def test_the_configuration_of_pickers_is_a_child_and_the_operators_memory_is_not() -> None:
    client = FakeKubeClient(missing=set())
    for name in ("medley-endpoint-picker", "medley-calibration"):
        client.put(child("Service", name) | {"apiVersion": "v1", "kind": "ConfigMap"})
    view = (await look(client)).snapshot
    assert set(view.children) == {ObjectKey("ConfigMap", "demo", "medley-endpoint-picker")}


async def test_missing_crds_are_an_error_that_says_how_to_install_them() -> None:
    client = FakeKubeClient()
    client.missing.add(LLM_SERVICES)
    with pytest.raises(
        NotFound, match=r"CRDs of medley\.dev are not installed.*kubectl apply --server-side -f crds/"
    ) as caught:
        await look(client)
    assert caught.value.reason == "CrdsNotInstalled"


async def test_autoscalers_of_deployments_are_seen_and_may_be_forbidden() -> None:
    client = FakeKubeClient()
    keda = {"labels": {"scaledobject.keda.sh/name": "mine"}}
    targets = [
        ("hpa", {}, {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-l4"}),
        ("keda", keda, {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-h100"}),
        ("other", {}, {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "chat-l4"}),
        ("strange", {}, {"apiVersion": "example.com/v1", "kind": "Deployment", "name": "web"}),
    ]
    for name, metadata, target in targets:
        client.put(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": name, "namespace": "demo", **metadata},
                "spec": {"scaleTargetRef": target},
            }
        )
    modes = {"off": "Off", "vpa": "Initial", "default": None}
    for name, mode in modes.items():
        policy = {"updatePolicy": {"updateMode": mode}} if mode else {}
        client.put(
            {
                "apiVersion": "autoscaling.k8s.io/v1",
                "kind": "VerticalPodAutoscaler",
                "metadata": {"name": name, "namespace": "demo"},
                "spec": {"targetRef": {**targets[0][2], "name": f"chat-{'l4' if name == 'vpa' else name}"}, **policy},
            }
        )
    assert (await look(client)).snapshot.autoscalers == {
        ObjectKey("Deployment", "demo", "chat-l4"): Autoscaler(
            "HorizontalPodAutoscaler demo/hpa", "VerticalPodAutoscaler demo/vpa"
        ),
        ObjectKey("Deployment", "demo", "chat-h100"): Autoscaler(
            "HorizontalPodAutoscaler demo/keda of KEDA ScaledObject mine"
        ),
        ObjectKey("Deployment", "demo", "chat-default"): Autoscaler(resources="VerticalPodAutoscaler demo/default"),
    }
    client.failing["list", AUTOSCALERS.plural] = Forbidden("no right")
    client.missing.add(RESIZERS)
    observed = await look(client)
    assert (observed.snapshot.autoscalers, observed.degraded) == ({}, "")


async def test_disruption_budgets_that_may_not_be_listed_are_told_and_the_look_goes_on() -> None:
    """An operator that is upgraded before its ClusterRole must not stop."""
    client = FakeKubeClient()
    client.put(service_manifest())
    client.failing["list", DISRUPTION_BUDGETS.plural] = Forbidden("no right to poddisruptionbudgets")
    observed = await look(client)
    assert [each.metadata.name for each in observed.snapshot.services] == ["chat"]
    assert observed.degraded == "no right to poddisruptionbudgets"
    assert not observed.snapshot.budgets
    async with following(client) as cluster:
        assert not Observer(cluster=cluster, metrics=None, clock=lambda: 0.0).look().budgets


async def test_a_missing_crd_of_ours_is_empty_and_told_and_stops_nothing_else() -> None:
    """Case 12: one list that fails must not end all rounds."""
    client = FakeKubeClient()
    client.put(service_manifest())
    client.missing |= {MODEL_PROFILES, GPU_POOLS}
    observed = await look(client)
    assert [each.metadata.name for each in observed.snapshot.services] == ["chat"]
    assert (observed.snapshot.model_profiles, observed.snapshot.pools) == ((), ())
    assert "no modelprofiles in medley.dev/v1alpha1" in observed.degraded
    assert "no gpupools in medley.dev/v1alpha1" in observed.degraded
    assert not {MODEL_PROFILES, GPU_POOLS} & observed.available


async def test_nodes_that_cannot_be_listed_are_told_and_the_look_goes_on() -> None:
    """M6, case 12: no right to list nodes stopped the fleet."""
    client = FakeKubeClient()
    client.put(service_manifest())
    client.failing["list", "nodes"] = Forbidden("cannot list nodes: no right")
    observed = await look(client)
    assert observed.snapshot.nodes == ()
    assert observed.snapshot.unreadable == {"Node": "cannot list nodes: no right"}
    assert observed.degraded == "cannot list nodes: no right"
    assert len(observed.snapshot.services) == 1


@pytest.mark.parametrize("plural", ["llmservices", "gpupools", "runtimeprofiles", "deployments", "httproutes", "pods"])
async def test_a_look_without_what_decisions_rest_on_is_an_error(plural: str) -> None:
    client = FakeKubeClient()
    client.failing["list", plural] = Forbidden(f"cannot list {plural}")
    with pytest.raises(Forbidden, match=f"cannot list {plural}"):
        await look(client)


async def test_a_gateway_that_a_service_names_is_taken_to_be_there_where_none_can_be_listed() -> None:
    client = FakeKubeClient()
    client.missing.clear()
    client.put(service_manifest(routing={"gatewayRef": {"name": "edge"}}))
    client.failing["list", "gateways"] = Forbidden("cannot list gateways")
    observed = await look(client)
    assert observed.snapshot.gateways == frozenset({("demo", "edge")})
    assert observed.degraded == "cannot list gateways"


def policy_manifest(*, labels: dict[str, str] | None = None, **limits: object) -> Manifest:
    spec: Manifest = {"namespaceSelector": {"matchLabels": labels or {}}, "limits": limits}
    return {"apiVersion": API_VERSION, "kind": "MedleyPolicy", "metadata": {"name": "tenants"}, "spec": spec}


async def test_policies_and_the_labels_of_namespaces_are_seen_and_what_they_refuse_costs_no_query() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    client.put(service_manifest("other", uid="uid-other", workload={"window": "7m"}))
    client.put(policy_manifest(labels={"team": "a"}, allowedWindows=["5m"]))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": {"team": "a"}}}
    client.put(namespace)
    seen = (await look(client)).snapshot
    assert [each.metadata.name for each in seen.policies] == ["tenants"]
    assert seen.namespaces == {"demo": {"team": "a"}}
    assert set(seen.observations) == {ServiceKey("demo", "chat")}


async def test_namespaces_that_end_are_seen_until_another_of_the_name_comes() -> None:
    client = FakeKubeClient()
    client.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
    gone = {"name": "old", "deletionTimestamp": "2026-11-24T12:00:00Z"}
    client.put({"apiVersion": "v1", "kind": "Namespace", "metadata": gone})
    assert (await look(client)).snapshot.ending == {"old"}
    client.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "old", "uid": "another"}})
    assert (await look(client)).snapshot.ending == frozenset()


async def test_where_namespaces_cannot_be_listed_the_look_goes_on_and_says_so() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    client.put(policy_manifest(maxGpus=4))
    client.failing["list", "namespaces"] = Forbidden("cannot list namespaces")
    observed = await look(client)
    assert observed.degraded == "cannot list namespaces"
    assert set(observed.snapshot.observations) == {ServiceKey("demo", "chat")}


async def test_a_policy_that_does_not_parse_is_rejected_and_stays_known() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    client.put(policy_manifest(maxGpus="many"))
    seen = (await look(client)).snapshot
    assert seen.policies == ()
    assert [each.key for each in seen.rejected] == [ObjectKey("MedleyPolicy", "", "tenants")]
    assert seen.observations == {}


async def test_without_prometheus_the_way_out_is_named_and_no_error_counted() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    seen = await look(client)
    observation = seen.snapshot.observations[ServiceKey("demo", "chat")]
    assert observation.reason is MetricsReason.UNAVAILABLE
    assert "--prometheus-url" in observation.message
    assert not seen.metrics_failed


async def test_prometheus_is_asked_only_for_services_that_want_it() -> None:
    client, metrics = FakeKubeClient(), Metrics()
    client.put(service_manifest("live", workload={"window": "15m"}))
    static = {"requestsPerSecond": "1", "promptTokens": 10, "generationTokens": 10}
    client.put(service_manifest("fixed", workload={"source": "Static", "static": static}))
    client.put({"apiVersion": API_VERSION, "kind": "GPUPool", "metadata": {"name": "bad", "uid": "u"}, "spec": {}})
    seen = await look(client, metrics=metrics)
    assert metrics.asked == [("demo", "live", 900)]
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
    async with following(client) as cache:
        observer = Observer(cluster=cache, metrics=Metrics(), clock=lambda: 1000.0, history=History())
        first, second = [(await observer.observe()).snapshot.histories for _ in range(2)]
    assert first == {("demo", "live"): ((760.0, 3.0), (880.0, 4.0))}
    assert second == {}


async def test_seasons_are_told_on_the_clock_of_the_snapshot() -> None:
    class Seasons:
        async def read(self, services: Sequence[ServiceQuery]) -> dict[ServiceKey, tuple[tuple[float, float], ...]]:
            return {query.key: ((4000.0, 3.0), (4600.0, 4.0)) for query in services}

    client = FakeKubeClient()
    client.put(service_manifest("live"))
    async with following(client) as cache:
        observer = Observer(
            cluster=cache, metrics=Metrics(), clock=lambda: 1000.0, wall_clock=lambda: 5000.0, seasons=Seasons()
        )
        seasons = (await observer.observe()).snapshot.seasons
    assert seasons == {("demo", "live"): ((0.0, 3.0), (600.0, 4.0))}
