"""One look at all kinds: parsed, projected, in order, and with what is missing; own writes show at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.fleet.cluster import KINDS, ClusterCache
from medley_operator.kube.client import Page
from medley_operator.kube.errors import Conflict, Forbidden, NotFound
from medley_operator.kube.layer import Noted
from medley_operator.kube.resources import (
    AUTOSCALERS,
    CHILDREN,
    CONFIG_MAPS,
    GATEWAY_API,
    GATEWAYS,
    LLM_SERVICES,
    NAMESPACES,
    NODES,
    OWN,
    PODS,
    POWER,
    RESIZERS,
    RUNTIME_PROFILES,
    SUPPLY,
    Resource,
)
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.looks import following
from tests.unit.operator.fleet.objects import child, service_manifest
from tests.unit.operator.fleet.test_project import node, pod


def test_children_are_chosen_by_label_and_pods_that_succeeded_are_not_sent() -> None:
    others = {NODES, NAMESPACES, PODS, GATEWAYS, AUTOSCALERS, RESIZERS, CONFIG_MAPS, *SUPPLY}
    assert {kind.resource for kind in KINDS} == {*OWN, *POWER, *CHILDREN, *others}
    chosen = {kind.resource: (kind.label_selector, kind.field_selector) for kind in KINDS}
    for resource in CHILDREN:
        assert chosen[resource] == (f"{MANAGED_BY}={MANAGED_BY_VALUE}", "")
    assert chosen[CONFIG_MAPS] == (f"{MANAGED_BY}={MANAGED_BY_VALUE}", "metadata.name=medley-endpoint-picker")
    assert chosen[PODS] == ("", "status.phase!=Succeeded")


async def test_a_view_holds_every_kind_in_the_order_of_its_names() -> None:
    client = FakeKubeClient(missing=set())
    for name in ("b", "a"):
        client.put(service_manifest(name, uid=name))
        client.put(node() | {"metadata": {"name": f"node-{name}"}})
    client.put(service_manifest("bad", uid="bad", drain={"timeout": "soon"}))
    client.put(child("Deployment", "b-l4"))
    client.put(pod())
    client.put({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"name": "edge", "namespace": "demo"}})  # fmt: skip
    async with following(client) as cache:
        view = cache.view()
    assert [each.metadata.name for each in view.services] == ["a", "b"]
    assert [each.key.name for each in view.rejected] == ["bad"]
    assert [each.name for each in view.nodes] == ["node-a", "node-b"]
    assert [each.name for each in view.pods] == ["p"]
    assert set(view.children) == {ObjectKey("Deployment", "demo", "b-l4")}
    assert set(view.gateways) == {ObjectKey("Gateway", "demo", "edge")}
    assert view.missing == {}
    assert view.available == {kind.resource for kind in KINDS}
    assert set(cache.ages()) == view.available


async def test_kinds_that_cannot_be_listed_are_told_with_the_reason() -> None:
    client = FakeKubeClient()
    client.missing.add(RUNTIME_PROFILES)
    client.failing["list", "nodes"] = Forbidden("no right")
    async with following(client) as cache:
        view = cache.view()
    assert {kind: type(error) for kind, error in view.missing.items()} == {
        RUNTIME_PROFILES: NotFound,
        NODES: Forbidden,
        **dict.fromkeys(GATEWAY_API, NotFound),
    }
    assert not view.available & view.missing.keys()
    assert set(cache.ages()) == view.available


async def test_a_view_does_not_change_any_more() -> None:
    client = FakeKubeClient()
    async with following(client) as cache:
        before = cache.view()
        cache.put(client.put(child("Deployment", "chat-l4")))
        assert before.children == {}
        assert set(cache.view().children) == {ObjectKey("Deployment", "demo", "chat-l4")}


async def test_what_is_written_is_seen_at_once_and_wakes_nobody() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    told: list[str] = []
    async with following(client) as cache:
        cache.subscribe(lambda kind, key, old, new: told.append(kind))
        writer = Noted(client, put=cache.put)
        written = await writer.apply(child("Deployment", "chat-l4"))
        key = ObjectKey("Deployment", "demo", "chat-l4")
        assert cache.view().children[key]["metadata"]["uid"] == written["metadata"]["uid"]
        assert await writer.get(key) is not None
        await writer.apply({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "demo"}})
        with pytest.raises(Conflict):
            await writer.delete(key, uid="other")
        await writer.create_event({"reason": "Seen", "regarding": {"name": "chat"}})
    assert told == []
    assert client.writes() == [
        ("apply", "Deployment chat-l4"), ("apply", "ConfigMap c"), ("delete", "Deployment chat-l4"), ("event", "Seen")
    ]  # fmt: skip


async def test_changes_reach_each_subscriber() -> None:
    client = FakeKubeClient()
    client.put(service_manifest())
    told: list[tuple[str, str]] = []
    cache = ClusterCache(client)
    cache.subscribe(lambda kind, key, old, new: told.append((kind, key.name)))
    cache.start()
    await cache.ready()
    await cache.close()
    assert ("LLMService", "chat") in told
    assert ("LLMService", "") in told, "the kind can be listed from now on"


async def test_ready_waits_for_the_slowest_kind() -> None:
    class Slow(FakeKubeClient):
        released = asyncio.Event()

        async def pages(
            self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
        ) -> AsyncGenerator[Page, None]:
            if resource == LLM_SERVICES:
                await self.released.wait()
            async for page in super().pages(resource, label_selector=label_selector):
                yield page

    client = Slow()
    cache = ClusterCache(client)
    cache.start()
    waiting = asyncio.create_task(cache.ready())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert LLM_SERVICES in cache.view().missing
    client.released.set()
    await waiting
    assert LLM_SERVICES not in cache.view().missing
    await cache.close()


async def test_with_namespaces_only_what_is_in_them_is_looked_at() -> None:
    client = FakeKubeClient()
    for namespace in ("b", "a", "kube-system"):
        made = service_manifest(f"chat-{namespace}", uid=namespace)
        client.put(made | {"metadata": made["metadata"] | {"namespace": namespace}})
        client.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    client.put(node())
    async with following(client, namespaces=("b", "a")) as cache:
        view = cache.view()
        assert [each.metadata.name for each in view.services] == ["chat-a", "chat-b"]
        assert view.watched == ("a", "b")
        assert len(view.nodes) == 1
        assert sorted(view.namespaces) == ["a", "b", "kube-system"]
        for namespace, seen in (("a", 1), ("kube-system", 1), ("b", 2)):
            made = child("Deployment", "chat-l4")
            cache.put(client.put(made | {"metadata": made["metadata"] | {"namespace": namespace}}))
            assert len(cache.view().children) == seen
    assert set(cache.ages()) == view.available


async def test_a_namespace_that_cannot_be_read_is_told() -> None:
    class Denied(FakeKubeClient):
        async def pages(
            self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
        ) -> AsyncGenerator[Page, None]:
            if namespace == "b":
                raise Forbidden(f"no right in {namespace}")
            async for page in super().pages(resource, label_selector=label_selector):
                yield page

    async with following(Denied(), namespaces=("a", "b")) as cache:
        view = cache.view()
    assert "no right in b" in str(view.missing[PODS])
    assert NODES not in view.missing
