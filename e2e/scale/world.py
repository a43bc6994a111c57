"""A large cluster with the operator beside it: nodes, pools and services, engines behind one target, Prometheus.

Everything that is not the operator runs in processes of its own, and their CPU and memory are nobody's figures.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from e2e.controlplane import ControlPlane, kwok_node, processes
from e2e.controlplane.audit import read_new
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child
from e2e.controlplane.tuning import for_thousands_of_pods
from e2e.fleet.kubeconfig import client_of
from e2e.harness import OPERATOR_USER, Harness
from e2e.scale.figures import Write, writes_of
from e2e.scale.fleet import POOLS, PROFILE, UNUSED_PROFILE, FleetShape, Load, gpu_pool, runtime_profile
from e2e.scale.usage import Moment, moment
from medley_operator.api.v1alpha1 import GROUP, VERSION

ADMIN = "admin"
OWN_API = f"/apis/{GROUP}/{VERSION}"
RESYNC_SECONDS = 30
"""The chart's own."""
SCRAPE_SECONDS = 10
AT_ONCE = 16
QUERY_LOG = "queries.log"
MERGE = "application/merge-patch+json"

Json = dict[str, Any]


class World:
    """Made by `World.start`."""

    def __init__(self, plane: ControlPlane, shape: FleetShape, say: Callable[[str], None]) -> None:
        self.plane = plane
        self.shape = shape
        self.say = say
        self.harness = Harness(plane, say)
        self.services = shape.service_list()
        self.query_log = plane.workdir / QUERY_LOG
        self._audit_offset = 0
        self._audit: list[Json] = []
        self._operator: Child | None = None

    @classmethod
    @contextmanager
    def start(cls, shape: FleetShape, *, say: Callable[[str], None]) -> Iterator[World]:
        """All but the operator, and no child of any service yet."""
        tuning = for_thousands_of_pods(ADMIN, OPERATOR_USER)
        with ControlPlane.start(pod_cidr="10.0.0.0/8", tuning=tuning) as plane:
            world = cls(plane, shape, say)
            world._set_up()
            yield world

    def _set_up(self) -> None:
        began = time.monotonic()
        self.plane.apply_gateway_api_crds()
        self.create([("/api/v1/nodes", kwok_node("system-0", gpus=0))])
        self.harness.install_chart(resync_seconds=RESYNC_SECONDS)
        self.create(("/api/v1/nodes", node) for node in self.shape.nodes())
        self.create((f"{OWN_API}/gpupools", gpu_pool(pool)) for pool in POOLS)
        self.create((f"{OWN_API}/runtimeprofiles", runtime_profile(name)) for name in (PROFILE, UNUSED_PROFILE))
        self.create(("/api/v1/namespaces", _namespace(name)) for name in self.shape.namespaces())
        self.create((f"{OWN_API}/namespaces/{each.namespace}/llmservices", each.manifest()) for each in self.services)
        self._start_engines()
        self.set_loads({f"{each.namespace}/{each.name}": each.load for each in self.services})
        port = int(self.harness.prometheus_url.rsplit(":", 1)[1])
        self.plane.start_prometheus(_scrape_config(self.harness.fleet_url, self.query_log), port=port)
        self.say(
            f"{self.shape.nodes_per_pool * len(POOLS)} nodes, {self.shape.gpus} GPUs, {len(self.services)} services: "
            f"{time.monotonic() - began:.0f} s"
        )

    def _start_engines(self) -> None:
        port = self.harness.fleet_url.rsplit(":", 1)[1]
        argv = [sys.executable, "-m", "e2e.scale.serve", "--kubeconfig", str(self.plane.kubeconfig), "--port", port]
        child = self.harness.spawn("engines", argv, {})
        ready = f"{self.harness.fleet_url}/healthz"
        processes.wait_ready(child, lambda: answers(ready), timeout_seconds=30)

    def create(self, objects: Iterable[tuple[str, Json]]) -> None:
        """Creates objects at these collections, several at once. Raises `httpx.HTTPStatusError`."""
        asyncio.run(_create(self.plane.kubeconfig, list(objects)))

    def patch(self, path: str, body: Json) -> None:
        """A merge patch, as the admin."""
        self.plane.request("PATCH", path, body, content_type=MERGE)

    def set_loads(self, loads: Mapping[str, Load]) -> None:
        """By "namespace/name"."""
        body = {
            name: {
                "rate_rps": load.rate_rps,
                "prompt_tokens": load.prompt_tokens,
                "generation_tokens": load.generation_tokens,
            }
            for name, load in loads.items()
        }
        self.harness.fetch(f"{self.harness.fleet_url}/loads", method="PUT", body=body)

    # --- the operator ---

    @property
    def operator(self) -> Child:
        if self._operator is None:
            raise RuntimeError("the operator was not started")
        return self._operator

    def start_operator(self, *more: str) -> None:
        """With the chart's own arguments, and `more`. Returns when it is ready, which needs a whole round."""
        self._operator = self.harness.start_operator(*more, timeout_seconds=300)

    def stop_operator(self) -> None:
        self.operator.stop(grace_seconds=30)

    def moment(self) -> Moment:
        return moment(self.operator.pid)

    def metrics(self) -> str:
        answer = httpx.get(f"{self.harness.operator_url}/metrics", timeout=30, trust_env=False)
        return answer.raise_for_status().text

    # --- what was written ---

    def writes(self, user: str = OPERATOR_USER) -> list[Write]:
        """All writes of the run so far by this user."""
        new, self._audit_offset = read_new(self.plane.audit_log, self._audit_offset)
        self._audit += new
        return writes_of(self._audit, user)


async def _create(kubeconfig: Path, objects: list[tuple[str, Json]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    async with client_of(kubeconfig) as client:

        async def one(path: str, manifest: Json) -> None:
            async with gate:
                answer = await client.post(path, json=manifest, timeout=60)
                if answer.is_error:
                    raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")

        async with asyncio.TaskGroup() as group:
            for path, manifest in objects:
                group.create_task(one(path, manifest))


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _scrape_config(engines: str, query_log: Path) -> str:
    address = engines.removeprefix("http://")
    job = {"job_name": "engines", "honor_labels": True, "static_configs": [{"targets": [address]}]}
    timing = {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"}
    return yaml.safe_dump({"global": {**timing, "query_log_file": str(query_log)}, "scrape_configs": [job]})
