"""`KubeClient` on the official asynchronous client: raw requests with plain JSON, no generated models.

The client library ends here: nothing outside `kube` imports it (an import contract). Requests have deadlines and are
not retried here: `kube.limiter` repeats what a server puts off, and the fleet loop starts anew from complete lists.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient

from medley_operator.domain.values.labels import FIELD_MANAGER, STATUS_FIELD_MANAGER, key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.credentials import load_configuration
from medley_operator.kube.errors import EXPIRED, KubeError, NotFound, Unavailable, from_status
from medley_operator.kube.resources import BY_KIND, EVENTS, LEASES, Resource

APPLY_CONTENT_TYPE = "application/apply-patch+yaml"
PAGE_SIZE = 500
USER_AGENT = "medley-operator"

_Manifests = list[Manifest]
"""Under another name, since `list` is a method below."""


class OfficialKubeClient:
    """Use as `async with OfficialKubeClient(...) as client`. `timeout_seconds` bounds each single request.

    `instance` names this process in the API server's audit log, beside the account that all replicas share.
    """

    def __init__(self, *, timeout_seconds: float = 20.0, instance: str = "") -> None:
        self._timeout_seconds = timeout_seconds
        self._user_agent = f"{USER_AGENT} ({instance})" if instance else USER_AGENT
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

    async def list(self, resource: Resource, *, label_selector: str = "") -> list[Manifest]:
        try:
            return await self._list_pages(resource, label_selector)
        except Unavailable as error:
            # The pages of one list share a moment, which the server may have forgotten meanwhile: begin again once.
            if error.reason != EXPIRED:
                raise
            return await self._list_pages(resource, label_selector)

    async def _list_pages(self, resource: Resource, label_selector: str) -> _Manifests:
        query = {"limit": str(PAGE_SIZE)}
        if label_selector:
            query["labelSelector"] = label_selector
        items: list[Manifest] = []
        while True:
            page = await self._request("GET", resource.path(), action=f"list {resource}", query=query)
            # Items of a list come without kind and apiVersion for the built-in kinds.
            named = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += [named | item for item in page.get("items") or []]
            next_page = page.get("metadata", {}).get("continue")
            if not next_page:
                return items
            query["continue"] = next_page

    async def get(self, key: ObjectKey) -> Manifest | None:
        try:
            return await self._request("GET", _path(key), action=f"read {key}")
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
            _path(key, subresource),
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
        await self._request("DELETE", _path(key), action=f"delete {key}", body=options)

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
        return await self._request("PUT", _path(key), action=f"replace {key}", body=manifest)

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
        try:
            async with asyncio.timeout(self._timeout_seconds):
                verb, url, headers, payload, _ = await api.param_serialize(
                    method,
                    path,
                    query_params=list(query.items()),
                    header_params={"Accept": "application/json", "Content-Type": content_type},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                response = await api.call_api(verb, url, header_params=headers, body=payload)
                data = await response.read()  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            limit = f"{self._timeout_seconds:g} s"
            raise Unavailable(f"cannot {action}: {api.configuration.host} did not answer within {limit}") from error
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # RuntimeError: the session was closed by a new login while this request was about to use it.
            raise Unavailable(f"cannot {action}: no connection to {api.configuration.host}: {error}") from error
        return response.status, _parse(data), response.headers.get("Retry-After")

    async def _connected(self) -> ApiClient:
        async with self._login:
            if self._api is None:
                self._api = ApiClient(configuration=await load_configuration())
                self._api.user_agent = self._user_agent
            return self._api

    async def _forget(self, api: ApiClient) -> None:
        async with self._login:
            if self._api is api:
                self._api = None
                await api.close()  # type: ignore[no-untyped-call]


def _path(key: ObjectKey, subresource: str = "") -> str:
    resource = BY_KIND.get(key.kind)
    if resource is None:
        raise KubeError(f"{key}: kind {key.kind} is not one of {', '.join(sorted(BY_KIND))}")
    return resource.path(namespace=key.namespace, name=key.name, subresource=subresource)


def _parse(data: bytes) -> dict[str, Any]:
    """The JSON object of an answer; proxies and a starting API server also answer in plain text."""
    try:
        parsed = json.loads(data)
    except ValueError:
        return {"message": data[:500].decode(errors="replace").strip()}
    return parsed if isinstance(parsed, dict) else {"message": str(parsed)[:500]}
