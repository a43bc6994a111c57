"""`KubeClient` and `KubeReader` on the official asynchronous client: raw requests with plain JSON, no generated models.

The client library ends here: nothing outside `kube` imports it (an import contract). Requests have deadlines and are
not retried here: `kube.limiter` repeats what a server puts off, and the fleet loop starts anew from complete lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import aiohttp
from kubernetes.aio.client import ApiClient

from medley_operator.domain.values.labels import FIELD_MANAGER, STATUS_FIELD_MANAGER, key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.client import NOTHING, Page, WatchEvent, WatchType
from medley_operator.kube.credentials import load_configuration
from medley_operator.kube.errors import NotFound, Unavailable, from_status
from medley_operator.kube.resources import EVENTS, LEASES, Resource, path_of
from medley_operator.kube.wire import event_of, lines_of, parse, selectors

APPLY_CONTENT_TYPE = "application/apply-patch+yaml"
MERGE_CONTENT_TYPE = "application/merge-patch+json"
PAGE_SIZE = 500
SILENT_SECONDS = 90.0
"""The API server sends a bookmark each minute where nothing happens, but for kinds that nobody has changed since it
started. A watch that is silent for longer may be dead: it ends, and another one finds out."""
WATCH_SECONDS = 300
"""The API server ends a watch after this time, as client-go asks it to, so that load spreads over its replicas."""
USER_AGENT = "medley-operator"
CLOSE_SECONDS = 0.25
"""Transports end in later turns of the event loop, those with TLS after the peer's answer: aiohttp advises to wait."""


class OfficialKubeClient:
    """Use as `async with OfficialKubeClient(...) as client`.

    `timeout_seconds` bounds each single request, and the start of a watch; `watch_seconds` the length of a watch.
    `instance` names this process in the API server's audit log, beside the account that all replicas share.
    `kubeconfig`: the file to log in by, outside of a pod; "": the one that $KUBECONFIG names.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float = 20.0,
        watch_seconds: int = WATCH_SECONDS,
        instance: str = "",
        kubeconfig: str = "",
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._watch_seconds = watch_seconds
        self._user_agent = f"{USER_AGENT} ({instance})" if instance else USER_AGENT
        self._kubeconfig = kubeconfig
        self._api: ApiClient | None = None
        self._login = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()  # type: ignore[no-untyped-call]
            self._api = None
            await asyncio.sleep(CLOSE_SECONDS)

    async def pages(
        self, resource: Resource, *, label_selector: str = "", field_selector: str = "", namespace: str = ""
    ) -> AsyncGenerator[Page, None]:
        query = {"limit": str(PAGE_SIZE)} | selectors(label_selector, field_selector)
        # Items of a list come without kind and apiVersion for the built-in kinds.
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        while True:
            page = await self._request(
                "GET", resource.path(namespace=namespace), action=f"list {resource}", query=query
            )
            metadata = page.get("metadata") or {}
            items = [named | item for item in page.get("items") or []]
            yield Page(items=items, resource_version=metadata.get("resourceVersion", ""))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        action = f"watch {resource}"
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(self._watch_seconds),
        } | selectors(label_selector, field_selector)
        api, response = await self._open(resource.path(namespace=namespace), action, query)
        try:
            yield WatchEvent(WatchType.BOOKMARK, {"metadata": {"resourceVersion": resource_version}})
            with _failures(action, api, limit=SILENT_SECONDS), suppress(aiohttp.SocketTimeoutError):
                async for line in lines_of(response.content.iter_any()):
                    yield event_of(line, action)
        finally:
            _hang_up(response)

    async def _open(self, path: str, action: str, query: dict[str, str]) -> tuple[ApiClient, aiohttp.ClientResponse]:
        """The answer to a watch, of which the first line may be long in coming."""
        limits = aiohttp.ClientTimeout(total=None, sock_read=SILENT_SECONDS)
        for attempt in (1, 2):
            api = await self._connected()
            with _failures(action, api, limit=self._timeout_seconds):
                async with asyncio.timeout(self._timeout_seconds):
                    response = await self._call(api, "GET", path, query, None, "application/json", limits)
                    if response.status == 200:
                        return api, response
                    data = await response.read()
            if response.status != 401 or attempt == 2:
                break
            await self._forget(api)
        raise from_status(code=response.status, action=action, answer=parse(data))

    async def get(self, key: ObjectKey) -> Manifest | None:
        try:
            return await self._request("GET", path_of(key), action=f"read {key}")
        except NotFound:
            return None

    async def apply(self, manifest: Manifest, *, field_manager: str = FIELD_MANAGER, force: bool = True) -> Manifest:
        return await self._apply(manifest, field_manager=field_manager, force=force)

    async def apply_status(
        self, manifest: Manifest, *, field_manager: str = STATUS_FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        return await self._apply(manifest, field_manager=field_manager, force=force, subresource="status")

    async def _apply(self, manifest: Manifest, *, field_manager: str, force: bool, subresource: str = "") -> Manifest:
        key = key_of(manifest)
        action = f"apply the status of {key}" if subresource else f"apply {key}"
        return await self._request(
            "PATCH",
            path_of(key, subresource),
            action=action,
            query={"fieldManager": field_manager, "force": "true" if force else "false"},
            content_type=APPLY_CONTENT_TYPE,
            body=manifest,
        )

    async def delete(self, key: ObjectKey, *, uid: str) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        await self._request("DELETE", path_of(key), action=f"delete {key}", body=options)

    async def annotate(
        self,
        key: ObjectKey,
        annotations: Mapping[str, str | None],
        *,
        uid: str,
        labels: Mapping[str, str | None] = NOTHING,
    ) -> Manifest:
        body = {"metadata": {"uid": uid, "annotations": dict(annotations), "labels": dict(labels)}}
        action = f"annotate {key}"
        return await self._request("PATCH", path_of(key), action=action, content_type=MERGE_CONTENT_TYPE, body=body)

    async def create_event(self, manifest: Manifest) -> None:
        namespace = manifest["metadata"]["namespace"]
        action = f"create the Event {manifest['reason']} about {manifest['regarding']['name']}"
        await self._request("POST", EVENTS.path(namespace=namespace), action=action, body=manifest)

    async def create_lease(self, manifest: Manifest) -> Manifest:
        key = key_of(manifest)
        path = LEASES.path(namespace=key.namespace)
        return await self._request("POST", path, action=f"create {key}", body=manifest)

    async def replace_lease(self, manifest: Manifest) -> Manifest:
        key = key_of(manifest)
        return await self._request("PUT", path_of(key), action=f"replace {key}", body=manifest)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """One request and its JSON answer. A refused login is tried once more with credentials read anew."""
        for attempt in (1, 2):
            api = await self._connected()
            code, answer, retry_after = await self._exchange(
                api, method, path, action, dict(query or {}), body, content_type
            )
            if code != 401 or attempt == 2:
                break
            await self._forget(api)
        if 200 <= code < 300:
            return answer
        raise from_status(code=code, action=action, answer=answer, retry_after=retry_after)

    async def _exchange(
        self,
        api: ApiClient,
        method: str,
        path: str,
        action: str,
        query: dict[str, str],
        body: Manifest | None,
        content_type: str,
    ) -> tuple[int, Manifest, str | None]:
        """(status, answer, its Retry-After)."""
        with _failures(action, api, limit=self._timeout_seconds):
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._call(api, method, path, query, body, content_type)
                data = await response.read()
        return response.status, parse(data), response.headers.get("Retry-After")

    async def _call(
        self,
        api: ApiClient,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | None,
        content_type: str,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        verb, url, headers, payload, _ = await api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await api.call_api(verb, url, header_params=headers, body=payload, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _connected(self) -> ApiClient:
        async with self._login:
            if self._api is None:
                self._api = ApiClient(configuration=await load_configuration(self._kubeconfig))
                self._api.user_agent = self._user_agent
            return self._api

    async def _forget(self, api: ApiClient) -> None:
        async with self._login:
            if self._api is api:
                self._api = None
                await api.close()  # type: ignore[no-untyped-call]


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Ends a watch without the farewell of TLS: a busy server answers it after the client is gone, and until then the
    connection stays open."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


@contextmanager
def _failures(action: str, api: ApiClient, *, limit: float) -> Iterator[None]:
    """Failures below HTTP, as `Unavailable`."""
    host = api.configuration.host
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"cannot {action}: {host} did not answer within {limit:g} s") from error
    except (aiohttp.ClientError, OSError, RuntimeError) as error:
        # RuntimeError: the session was closed by a new login while this request was about to use it.
        raise Unavailable(f"cannot {action}: no connection to {host}: {error}") from error
