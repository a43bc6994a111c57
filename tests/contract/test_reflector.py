"""Reflectors against a real API server: gaps, refusals, kinds that come later, bookmarks, and writes that are seen.

On a separate control plane without controllers, since its API server is restarted with a compacted history.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.controlplane import ControlPlane
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.reflector import CALM_SECONDS
from medley_operator.kube import official
from medley_operator.kube.client import KubeReader, Page, WatchEvent, WatchType
from medley_operator.kube.errors import EXPIRED, Forbidden, KubeError, NotFound, Unavailable
from medley_operator.kube.official import OfficialKubeClient
from medley_operator.kube.resources import (
    GATEWAYS,
    HTTP_ROUTES,
    LLM_SERVICES,
    NODES,
    PODS,
    SERVICES,
    Resource,
)
from tests.contract.apiserver import Api
from tests.unit.operator.fleet.looks import following

pytestmark = pytest.mark.contract

OURS = f"{MANAGED_BY}={MANAGED_BY_VALUE}"
CRDS = Path(__file__).parents[2] / "crds"
WAIT_SECONDS = 40.0


@pytest.fixture(scope="module")
def plane(plane: ControlPlane) -> ControlPlane:
    plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    plane.kubectl("create", "namespace", "team")
    plane.kubectl("create", "serviceaccount", "default", "-n", "team")
    return plane


@pytest.fixture(autouse=True)
def _as_admin(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))


def endpoint(name: str, *, note: str = "") -> Manifest:
    metadata = {"name": name, "namespace": "team", "labels": {MANAGED_BY: MANAGED_BY_VALUE}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata | {"annotations": {"note": note}},
        "spec": {"ports": [{"port": 80}]},
    }


def node(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def pod(name: str) -> Manifest:
    resources = {"limits": {"nvidia.com/gpu": "1"}}
    spec = {"containers": [{"name": "c", "image": "i", "resources": resources}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "team"}, "spec": spec}


async def in_time(what: str, holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS:g} s: {what}"
        await asyncio.sleep(0.05)


class Gap:
    """A reader that can be cut off: watches end as the server ends them, and nothing is asked until `open` is set."""

    def __init__(self, reader: KubeReader) -> None:
        self._reader = reader
        self.open = asyncio.Event()
        self.open.set()
        self.errors: list[KubeError] = []

    async def pages(
        self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
    ) -> AsyncGenerator[Page, None]:
        await self.open.wait()
        async for page in self._reader.pages(
            resource, label_selector=label_selector, field_selector=field_selector, namespace=namespace
        ):
            yield page

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        await self.open.wait()
        events = self._reader.watch(
            resource,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            namespace=namespace,
        )
        following = asyncio.ensure_future(anext(events))
        try:
            while True:
                if self.open.is_set():
                    await asyncio.wait({following}, timeout=0.05)
                else:
                    return
                if following.done():
                    yield following.result()
                    following = asyncio.ensure_future(anext(events))
        except StopAsyncIteration:
            return
        except KubeError as error:
            self.errors.append(error)
            raise
        finally:
            following.cancel()
            await asyncio.wait({following})
            await events.aclose()


def etcd(plane: ControlPlane, path: str, body: dict[str, Any]) -> Any:
    arguments = [str(argument) for argument in plane.child("kube-apiserver").process.args]  # type: ignore[union-attr]
    (url,) = [each.partition("=")[2] for each in arguments if each.startswith("--etcd-servers=")]
    answer = httpx.post(f"{url}/v3/kv/{path}", json=body, trust_env=False)
    answer.raise_for_status()
    return answer.json()


def compact_and_restart(plane: ControlPlane) -> None:
    """Forgets all history, in etcd and in the API server's own cache of watches.

    Not in a thread: the kernel ends a child with the thread that started it.
    """
    found = etcd(plane, "range", {"key": base64.b64encode(b"a").decode()})
    etcd(plane, "compaction", {"revision": found["header"]["revision"]})
    server = plane.child("kube-apiserver")
    arguments = [str(argument) for argument in server.process.args]  # type: ignore[union-attr]
    server.stop(grace_seconds=0)
    plane._spawn("kube-apiserver", *arguments)
    deadline = time.monotonic() + WAIT_SECONDS
    while not plane._api_ready():
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def test_what_is_deleted_in_a_gap_of_a_compacted_history_leaves_no_ghost(plane: ControlPlane, admin: Api) -> None:
    """kopf's index kept 5 of 3 objects for ever; a planner fed from it plans for what is gone."""
    path = "/api/v1/namespaces/team/services"
    for index in range(5):
        assert admin.request("POST", path, endpoint(f"ghost-{index}"))[0] == 201
    async with OfficialKubeClient() as client:
        gap = Gap(client)
        async with following(gap) as cache:
            told: list[tuple[str, bool]] = []
            cache.subscribe(lambda kind, key, old, new: told.append((key.name, new is not None)))

            def names() -> list[str]:
                return sorted(key.name for key in cache.view().children if key.name.startswith("ghost"))

            await in_time("all are seen", lambda: len(names()) == 5)
            await asyncio.sleep(CALM_SECONDS + 1.0)
            gap.open.clear()
            await asyncio.sleep(0.2)
            for index in (1, 3):
                assert admin.request("DELETE", f"{path}/ghost-{index}")[0] == 200
            assert admin.request("POST", path, endpoint("ghost-9"))[0] == 201
            compact_and_restart(plane)
            gap.open.set()
            await in_time("no ghosts", lambda: names() == ["ghost-0", "ghost-2", "ghost-4", "ghost-9"])
            # Throttled: by an API server that has just started.
            assert EXPIRED in {error.reason for error in gap.errors} <= {EXPIRED, "Throttled"}
            assert {("ghost-1", False), ("ghost-3", False), ("ghost-9", True)} <= set(told)
            assert SERVICES in cache.view().available


def open_sockets() -> int:
    return sum(
        os.readlink(each.path).startswith("socket:") for each in os.scandir("/proc/self/fd") if each.is_symlink()
    )


async def test_a_watch_of_a_server_that_hangs_leaves_no_connection(plane: ControlPlane) -> None:
    server = plane.child("kube-apiserver").process
    before = open_sockets()
    async with OfficialKubeClient() as client:
        events = client.watch(SERVICES, resource_version="0")
        assert [(await anext(events)).type for _ in range(2)] == [WatchType.BOOKMARK, WatchType.ADDED]
        assert open_sockets() == before + 1
        server.send_signal(signal.SIGSTOP)
        try:
            await events.aclose()
            await client.close()
            assert open_sockets() == before
        finally:
            server.send_signal(signal.SIGCONT)


async def test_a_forgotten_version_is_told_as_expired(plane: ControlPlane) -> None:
    compact_and_restart(plane)
    async with OfficialKubeClient() as client:
        with pytest.raises(Unavailable, match="cannot watch services") as caught:
            [event async for event in client.watch(SERVICES, resource_version="1")]
        assert caught.value.reason == EXPIRED, caught.value.message


async def test_a_kind_that_is_forbidden_is_told_and_hides_no_other_until_the_right_is_there(
    plane: ControlPlane, admin: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.request("POST", "/api/v1/nodes", node("seen-later"))
    admin.kubectl("create", "serviceaccount", "half", "-n", "team")
    for verb, resources in (("everything", "llmservices,gpupools,runtimeprofiles,modelprofiles,pods,services"),):
        admin.kubectl("create", "clusterrole", verb, "--verb=list,watch", f"--resource={resources}")
        admin.kubectl("create", "clusterrolebinding", verb, f"--clusterrole={verb}", "--serviceaccount=team:half")
    monkeypatch.setenv("KUBECONFIG", str(plane.service_account_kubeconfig("team", "half")))
    async with OfficialKubeClient() as client, following(client) as cache:
        view = cache.view()
        assert isinstance(view.missing[NODES], Forbidden)
        assert "cannot list nodes" in view.missing[NODES].message
        assert {LLM_SERVICES, SERVICES, PODS} <= view.available
        admin.kubectl("create", "clusterrole", "nodes", "--verb=list,watch", "--resource=nodes")
        admin.kubectl("create", "clusterrolebinding", "nodes", "--clusterrole=nodes", "--serviceaccount=team:half")
        await in_time("nodes are listed", lambda: NODES in cache.view().available)
        assert "seen-later" in {each.name for each in cache.view().nodes}


async def test_a_right_to_list_without_one_to_watch_is_enough_to_see_what_is_there(
    plane: ControlPlane, admin: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.kubectl("create", "serviceaccount", "lister", "-n", "team")
    admin.kubectl("create", "clusterrole", "lister", "--verb=list", "--resource=nodes")
    admin.kubectl("create", "clusterrolebinding", "lister", "--clusterrole=lister", "--serviceaccount=team:lister")
    monkeypatch.setenv("KUBECONFIG", str(plane.service_account_kubeconfig("team", "lister")))
    async with OfficialKubeClient() as client, following(client) as cache:
        assert NODES in cache.view().available
        admin.request("POST", "/api/v1/nodes", node("listed-later"))
        await in_time("listed again", lambda: "listed-later" in {each.name for each in cache.view().nodes})


async def test_a_kind_that_comes_later_is_followed(plane: ControlPlane) -> None:
    async with OfficialKubeClient() as client, following(client) as cache:
        missing = cache.view().missing
        assert {type(missing[kind]) for kind in (HTTP_ROUTES, GATEWAYS)} == {NotFound}
        told: list[str] = []
        cache.subscribe(lambda kind, key, old, new: told.append(kind))
        await asyncio.to_thread(plane.apply_gateway_api_crds)
        await in_time("it is listed", lambda: {HTTP_ROUTES, GATEWAYS} <= cache.view().available)
        assert {"HTTPRoute", "Gateway"} <= set(told)


async def test_what_is_written_is_seen_at_once_and_no_older_event_takes_it_back(admin: Api) -> None:
    async with OfficialKubeClient() as client, following(client) as cache:
        key = ObjectKey("Service", "team", "busy")
        for turn in range(30):
            cache.put(await client.apply(endpoint("busy", note=str(turn))))
            for _ in range(3):
                assert cache.view().children[key]["metadata"]["annotations"]["note"] == str(turn)
                await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        assert cache.view().children[key]["metadata"]["annotations"]["note"] == "29"
        uid = cache.view().children[key]["metadata"]["uid"]
        await client.delete(key, uid=uid)
        await in_time("it is gone", lambda: key not in cache.view().children)


async def test_bookmarks_come_in_time_where_nothing_happens(admin: Api) -> None:
    """Each minute: less than the silence after which a watch is given up."""
    admin.request("POST", "/api/v1/namespaces/team/services", endpoint("before"))
    async with OfficialKubeClient() as client:
        pages = [page async for page in client.pages(SERVICES)]
        version = pages[-1].resource_version
        admin.request("POST", "/api/v1/nodes", node("elsewhere"))
        async with aclosing(client.watch(SERVICES, resource_version=version)) as events:
            opened = await anext(events)
            assert (opened.type, opened.manifest["metadata"]["resourceVersion"]) == (WatchType.BOOKMARK, version)
            began = time.monotonic()
            later = await anext(events)
        assert time.monotonic() - began < official.SILENT_SECONDS - 10.0
        assert later.type is WatchType.BOOKMARK
        assert int(later.manifest["metadata"]["resourceVersion"]) > int(version)


async def test_a_watch_ends_when_the_server_says(admin: Api) -> None:
    async with OfficialKubeClient(watch_seconds=2) as client, asyncio.timeout(10.0):
        pages = [page async for page in client.pages(NODES)]
        async for _ in client.watch(NODES, resource_version=pages[-1].resource_version):
            admin.request("POST", "/api/v1/nodes", node("in-between"))


async def test_pages_show_one_moment(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "PAGE_SIZE", 2)
    for index in range(5):
        admin.request("POST", "/api/v1/namespaces/team/services", endpoint(f"page-{index}"))
    async with OfficialKubeClient() as client:
        pages = [page async for page in client.pages(SERVICES, label_selector=OURS)]
        assert len(pages) >= 3
        assert len({page.resource_version for page in pages}) == 1
        assert {(each["apiVersion"], each["kind"]) for page in pages for each in page.items} == {("v1", "Service")}


async def test_what_leaves_the_selectors_is_gone(admin: Api) -> None:
    admin.request("POST", "/api/v1/namespaces/team/services", endpoint("labelled"))
    admin.request("POST", "/api/v1/namespaces/team/pods", pod("job"))
    key = ObjectKey("Service", "team", "labelled")
    async with OfficialKubeClient() as client, following(client) as cache:
        assert key in cache.view().children
        assert [each.name for each in cache.view().pods] == ["job"]
        admin.kubectl("label", "service", "labelled", "-n", "team", f"{MANAGED_BY}-")
        phase = '{"status": {"phase": "Succeeded"}}'
        admin.kubectl("patch", "pod", "job", "-n", "team", "--subresource=status", "--type=merge", "-p", phase)
        await in_time("both are gone", lambda: key not in cache.view().children and not cache.view().pods)
