"""`python -m e2e.scale.serve --kubeconfig FILE --port PORT`: all engines behind one scrape target.

A process of its own, so that what it costs is not taken for the operator's. It lists the engine pods once and watches
them from there. GET /metrics has the figures of all Ready pods; PUT /loads sets loads by "namespace/name".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from e2e.fleet.cluster import Key
from e2e.fleet.http import HttpRequest, HttpResponse, HttpServer
from e2e.fleet.kubeconfig import client_of
from e2e.fleet.kubeview import pod_of
from e2e.scale.engines import CONTENT_TYPE, Engines, Pod, loads_of
from medley_operator.domain.values import labels

PODS = "/api/v1/pods"
SELECTOR = f"{labels.COMPONENT}={labels.COMPONENT_ENGINE}"
RETRY_SECONDS = 1.0
WATCH_SECONDS = 3600
TEMPLATE_HASH = "pod-template-hash"


class Served:
    """The engines as the API server's pods make them."""

    def __init__(self) -> None:
        self.engines = Engines()

    def answer(self, request: HttpRequest) -> HttpResponse:
        now = time.monotonic()
        if request.path == ("metrics",):
            return HttpResponse(HTTPStatus.OK, CONTENT_TYPE, self.engines.text(now=now).encode())
        if request.path == ("loads",) and request.method == "PUT":
            self.engines.set_loads(loads_of(json.loads(request.body)), now=now)
        elif request.path != ("healthz",):
            return HttpResponse.text("not found", HTTPStatus.NOT_FOUND)
        return HttpResponse.json({"engines": len(self.engines)})

    async def follow(self, client: httpx.AsyncClient) -> None:
        """List, then watch, for ever."""
        while True:
            try:
                version = await self._list(client)
                await self._watch(client, version)
            except httpx.HTTPError as error:
                print(f"scale: pods cannot be followed: {error!r}", file=sys.stderr, flush=True)
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self, client: httpx.AsyncClient) -> str:
        answer = (await client.get(PODS, params={"labelSelector": SELECTOR}, timeout=60)).raise_for_status().json()
        for manifest in answer["items"]:
            self._see(manifest)
        version: str = answer["metadata"]["resourceVersion"]
        return version

    async def _watch(self, client: httpx.AsyncClient, version: str) -> None:
        query = {"labelSelector": SELECTOR, "watch": "1", "resourceVersion": version}
        query["timeoutSeconds"] = str(WATCH_SECONDS)
        async with client.stream("GET", PODS, params=query, timeout=httpx.Timeout(10, read=None)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                self._see(event["object"], deleted=event["type"] == "DELETED")

    def _see(self, manifest: dict[str, Any], *, deleted: bool = False) -> None:
        now, found = time.monotonic(), ready_pod(manifest)
        if deleted or found is None:
            metadata = manifest["metadata"]
            self.engines.gone(Key(metadata["namespace"], metadata["name"]), now=now)
        else:
            self.engines.see(found, now=now)


def ready_pod(manifest: dict[str, Any]) -> Pod | None:
    """None for a pod that serves nothing."""
    pod = pod_of(manifest, _NO_GPUS)
    if not pod.ready:
        return None
    return Pod(pod.key, pod.service, pod.variant, pod.labels.get(TEMPLATE_HASH, ""))


_NO_GPUS: Mapping[str, str] = {}


async def serve(kubeconfig: Path, port: int) -> None:
    served = Served()
    await HttpServer(served.answer).start(port)
    async with client_of(kubeconfig) as client:
        await served.follow(client)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m e2e.scale.serve", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.kubeconfig, arguments.port))


if __name__ == "__main__":
    main()
