"""Servers that an operator needs beside the API server, with faults: slow admission webhooks, and a Prometheus that
answers with wrong figures."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from e2e.chaos import background
from e2e.chaos.run import Act
from e2e.chaos.world import World
from e2e.controlplane import free_port

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
HANGING_SECONDS = 5

MIRRORED_IMAGE = [
    {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "mirror.example/engine:theirs"}
]
"""A policy that rewrites a field of ours."""
SIDECAR = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "mesh", "image": "theirs"}}]
"""A policy that adds a container."""


@contextmanager
def serving(handler: Handler, *, port: int, tls: ssl.SSLContext | None = None) -> Iterator[None]:
    """`handler` answers everything on this port of loopback until the end of the block."""

    async def serve(stop: asyncio.Event, started: Callable[[], None]) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            started()
            await stop.wait()
        finally:
            await runner.cleanup()

    with background.running(serve):
        yield


def mutating_policy(patch: list[Json], seconds: float) -> Act:
    """A policy of the platform changes Deployments of the namespace whenever they are written, for a while."""

    async def mutate(request: web.Request) -> web.StreamResponse:
        review = await request.json()
        found = review["request"]["object"]
        containers = found["spec"]["template"]["spec"]["containers"]
        there = any(container["name"] == "mesh" for container in containers)
        response: Json = {"uid": review["request"]["uid"], "allowed": True}
        if patch is not SIDECAR or not there:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    return _webhook(mutate, seconds)


def hanging_webhook(seconds: float) -> Act:
    """A webhook that never answers holds up each write of a Deployment, and refuses it in the end."""

    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2 * HANGING_SECONDS)
        return web.Response(status=500)

    return _webhook(hang, seconds)


def _webhook(handler: Handler, seconds: float) -> Act:
    def act(world: World, namespace: str) -> None:
        certs, port = world.plane.workdir / "certs", free_port()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # The API server's own pair: it is for this address, and no other has to be made.
        tls.load_cert_chain(certs / "apiserver.crt", certs / "apiserver.key")
        with serving(handler, port=port, tls=tls):
            manifest = _configuration(namespace, port, certs / "apiserver.crt")
            world.plane.request("POST", MUTATING, manifest)
            try:
                world.pause(seconds)
            finally:
                world.plane.request("DELETE", f"{MUTATING}/{namespace}")

    return act


def _configuration(namespace: str, port: int, certificate: Path) -> Json:
    bundle = base64.b64encode(certificate.read_bytes()).decode()
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
    webhook = {
        "name": "policy.example.org",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": bundle},
        "rules": [rule | {"resources": ["deployments"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": HANGING_SECONDS,
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [webhook],
    }


PROMETHEUS_ANSWERS: dict[str, tuple[int, str, str]] = {
    "an HTML page": (200, "text/html", "<html><body>Please log in</body></html>"),
    "401": (401, "application/json", '{"status":"error","error":"unauthorized"}'),
    "no series": (200, "application/json", '{"status":"success","data":{"resultType":"vector","result":[]}}'),
    "NaN": (
        200,
        "application/json",
        '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"namespace":"theirs"},"value":[0,"NaN"]}]}}',
    ),
}
"""Answers to every query, by what they are."""


def lying_prometheus(what: str, seconds: float) -> Act:
    """A Prometheus that gives this answer to everything, and is away before and after."""
    status, content_type, text = PROMETHEUS_ANSWERS[what]

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, content_type=content_type, text=text)

    def act(world: World, _namespace: str) -> None:
        with serving(answer, port=world.prometheus_port):
            world.pause(seconds)

    return act
