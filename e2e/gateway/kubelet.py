"""The engines of all engine pods, and the kubelet's part of their lives: up, Ready, deleted, drained, gone.

Follows the pods by a watch. A pod whose container has started gets an engine that listens after its start-up; then the
pod is set Ready. A deleted pod ends as its manifest asks, and its object goes when its engine is gone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from e2e.fleet.arguments import UnknownEngine
from e2e.fleet.cluster import Key
from e2e.fleet.engine import Engine
from e2e.fleet.kubeview import GPU_LABEL, key_of, pod_of
from e2e.fleet.simulation import SpecOf
from e2e.gateway.lifecycle import PodState, address_of, ending_of, keep_alive_seconds_of, state_of
from e2e.gateway.pod_engine import Identity, PodEngine, Record
from medley_operator.domain.values import labels

START_SECONDS = 4.0
"""Of an engine, from the start of its container. Real ones take minutes; the data path cannot tell."""
TICK_SECONDS = 0.01
_PODS = "/api/v1/pods"
_SELECTOR = f"{labels.COMPONENT}={labels.COMPONENT_ENGINE}"
_RETRY_SECONDS = 0.2


@dataclass(slots=True)
class _Pod:
    """A pod as it was seen last; `task` leads its life."""

    manifest: dict[str, Any]
    identity: Identity
    deleted: asyncio.Event = field(default_factory=asyncio.Event)
    engine: PodEngine | None = None
    task: asyncio.Task[None] | None = None


class Kubelet:
    """Follows and plays all engine pods until it is cancelled."""

    def __init__(self, client: httpx.AsyncClient, *, spec_of: SpecOf, record: Record) -> None:
        self._client = client
        self._spec_of = spec_of
        self._record = record
        self._gpus: dict[str, str] = {}
        self._pods: dict[tuple[Key, str], _Pod] = {}

    async def run(self) -> None:
        self._gpus = {
            node["metadata"]["name"]: labels.label(node, GPU_LABEL)
            for node in (await self._get("/api/v1/nodes", {}))["items"]
        }
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._follow(group))

    async def _tick(self) -> None:
        while True:
            for pod in tuple(self._pods.values()):
                if pod.engine is not None:
                    pod.engine.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                listed = await self._get(_PODS, {"labelSelector": _SELECTOR})
                present = {_id(pod) for pod in listed["items"]}
                for pod in listed["items"]:
                    self._see(pod, group)
                for key in [key for key in self._pods if key not in present]:
                    self._gone(key)
                await self._watch(listed["metadata"]["resourceVersion"], group)
            except httpx.HTTPError as error:
                print(f"engines: pods cannot be followed: {error!r}", file=sys.stderr, flush=True)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _watch(self, version: str, group: asyncio.TaskGroup) -> None:
        parameters = {"labelSelector": _SELECTOR, "watch": "true", "resourceVersion": version}
        async with self._client.stream("GET", _PODS, params=parameters, timeout=None) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "DELETED":
                    self._gone(_id(event["object"]))
                elif event["type"] in ("ADDED", "MODIFIED"):
                    self._see(event["object"], group)
                else:
                    return  # too old: list anew

    def _see(self, manifest: dict[str, Any], group: asyncio.TaskGroup) -> None:
        key, state = _id(manifest), state_of(manifest)
        pod = self._pods.get(key)
        if pod is None:
            pod = self._pods[key] = _Pod(manifest, _identity(manifest, state))
        pod.manifest = manifest
        # Its engine is never not Ready again; an event from before may still come.
        if state is not PodState.NOT_READY:
            pod.identity.change(state, at=time.time())
        if state is PodState.DRAINING:
            pod.deleted.set()
        if pod.task is None and (address_of(manifest) or state is PodState.DRAINING):
            pod.task = group.create_task(self._live(key, pod))

    def _gone(self, key: tuple[Key, str]) -> None:
        """The object is gone, with or without the engine: whoever removed it by force."""
        pod = self._pods.get(key)
        if pod is not None:
            pod.deleted.set()

    async def _live(self, key: tuple[Key, str], pod: _Pod) -> None:
        name = key[0]
        address = address_of(pod.manifest)
        if address and await _unless(pod.deleted, START_SECONDS):
            try:
                served = self._spec_of(pod_of(pod.manifest, self._gpus), None)
            except UnknownEngine as error:
                print(f"engines: pod {name}: {error}", file=sys.stderr, flush=True)
                return
            engine = Engine(served, start=time.time())
            pod.engine = PodEngine(pod.identity, engine, self._record, keep_alive_seconds_of(pod.manifest))
            await pod.engine.listen(address, labels.HTTP_PORT)
            # From before the API server knows: nobody can know earlier, and others may know before its answer is here.
            pod.identity.change(PodState.READY, at=time.time())
            await self._set_ready(name, pod.manifest)
            await pod.deleted.wait()
            ending = ending_of(pod.manifest)
            await asyncio.sleep(ending.pre_stop_seconds)
            await pod.engine.drain(ending.drain_seconds)
        else:
            await pod.deleted.wait()
        await self._remove(key)
        del self._pods[key]

    async def _set_ready(self, name: Key, manifest: dict[str, Any]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
        ]
        statuses = [{**each, "ready": True, "started": True} for each in manifest["status"]["containerStatuses"]]
        await self._write(
            "PATCH",
            f"/api/v1/namespaces/{name.namespace}/pods/{name.name}/status",
            {"status": {"conditions": conditions, "containerStatuses": statuses}},
            content_type="application/strategic-merge-patch+json",
        )

    async def _remove(self, key: tuple[Key, str]) -> None:
        name, uid = key
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        path = f"/api/v1/namespaces/{name.namespace}/pods/{name.name}"
        await self._write("DELETE", path, options, content_type="application/json")

    async def _write(self, method: str, path: str, body: dict[str, Any], *, content_type: str) -> None:
        """Until the server has answered; a pod that is gone, or another's by now, is none of ours."""
        while True:
            try:
                answer = await self._client.request(
                    method, path, content=json.dumps(body), headers={"Content-Type": content_type}
                )
                if answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                    answer.raise_for_status()
            except httpx.HTTPError as error:
                print(f"engines: {method} {path}: {error!r}", file=sys.stderr, flush=True)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _get(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        answer = await self._client.get(path, params=parameters)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


async def _unless(event: asyncio.Event, seconds: float) -> bool:
    """Whether that time passed without the event."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return True
    return False


def _id(pod: dict[str, Any]) -> tuple[Key, str]:
    return key_of(pod), str(pod["metadata"]["uid"])


def _identity(pod: dict[str, Any], state: PodState) -> Identity:
    return Identity(
        pod=key_of(pod).name,
        variant=labels.label(pod, labels.VARIANT),
        image=pod["spec"]["containers"][0]["image"],
        state=state,
        since=time.time(),
    )
