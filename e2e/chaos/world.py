"""A small cluster with the operator behind the proxy: nodes, pools, a gateway, and samples of all that the judge sees.

The operator is a process of its own with the rights that the chart gives. Where a fault ends it, it is started again by
whoever waits (`World.wait`), as a kubelet would.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from e2e.chaos import background
from e2e.chaos.oracle import Judge, Sample
from e2e.chaos.proxy import Proxy
from e2e.chaos.scenario import IMAGE, POOLS, gpu_pool, runtime_profile
from e2e.controlplane import ControlPlane, free_port, kwok_node, processes
from e2e.controlplane.errors import CommandFailed
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child
from e2e.fleet.cluster import ClusterUnavailable
from e2e.fleet.kubeconfig import client_of
from e2e.fleet.kubeview import KubeView
from medley_operator.api.v1alpha1 import GROUP, KINDS, VERSION
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE

ROOT = Path(__file__).parents[2]
OPERATOR_NAMESPACE = "medley"
SAMPLE_SECONDS = 0.2
LOOK_SECONDS = 0.2
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
OURS = f"{MANAGED_BY}={MANAGED_BY_VALUE}"
OWN_API = f"/apis/{GROUP}/{VERSION}"

Json = dict[str, Any]
T = TypeVar("T")


class World:
    """Made by `World.start`."""

    def __init__(self, plane: ControlPlane, say: Callable[[str], None]) -> None:
        self.plane = plane
        self.say = say
        self.judge = Judge(stock={pool.name: pool.stock for pool in POOLS})
        self.proxy = Proxy(
            plane.api_url, plane.workdir / "certs" / "apiserver.crt", wrote=self._wrote, kill=self.kill_operator
        )
        self.operators: list[Child] = []
        self.arguments: tuple[str, ...] = ()
        self.prometheus_port = free_port()
        self.starts = 0
        self.last_sample_at = 0.0
        self._token = ""
        self._urls: dict[int, str] = {}
        self._look_now: Callable[[], None] = _nothing

    @classmethod
    @contextmanager
    def start(cls, *, say: Callable[[str], None]) -> Iterator[World]:
        """Everything up, with one operator that is ready."""
        began = time.monotonic()
        with ControlPlane.start() as plane:
            world = cls(plane, say)
            world._set_up()
            with background.running(world._background):
                world.start_operator()
                world.wait("the operator is ready", world.operator_ready, timeout_seconds=60)
                say(f"control plane and operator up after {time.monotonic() - began:.1f} s")
                yield world

    def _set_up(self) -> None:
        plane = self.plane
        plane.apply_gateway_api_crds()
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        names = [f"crd/{kind.plural}.{GROUP}" for kind in KINDS]
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        plane.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        shown = [word for name in ("rbac", "serviceaccount") for word in ("--show-only", f"templates/{name}.yaml")]
        chart = (str(ROOT / "helm" / "medley"), "--namespace", OPERATOR_NAMESPACE)
        manifests = plane.helm("template", "medley", *chart, *shown, "--set", "image.repository=example/medley")
        plane.kubectl("apply", "-n", OPERATOR_NAMESPACE, "-f", "-", stdin=manifests)
        config = json.loads(plane.service_account_kubeconfig(OPERATOR_NAMESPACE, "medley").read_text())
        self._token = config["users"][0]["user"]["token"]
        for pool in POOLS:
            for index in range(pool.nodes):
                self.add_node(pool.name, index)
            self.apply("gpupools", gpu_pool(pool))
        self.apply("runtimeprofiles", runtime_profile(IMAGE))

    def add_node(self, pool_name: str, index: int) -> None:
        pool = next(pool for pool in POOLS if pool.name == pool_name)
        node = kwok_node(f"{pool.name}-{index}", gpus=pool.gpus_per_node, labels={"medley.dev/gpu": pool.gpu})
        self.plane.request("POST", "/api/v1/nodes", node)

    # --- the background ---

    async def _background(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        look, loop = asyncio.Event(), asyncio.get_running_loop()
        self._look_now = look.set
        async with self.proxy.serve(), client_of(self.plane.kubeconfig) as client:
            started()
            sampling = loop.create_task(self._sample_on(client, look))
            stopping = loop.create_task(stop.wait())
            await asyncio.wait({sampling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if sampling.done():
                sampling.result()
            sampling.cancel()
            stopping.cancel()

    async def _sample_on(self, client: httpx.AsyncClient, look: asyncio.Event) -> None:
        view = KubeView(client)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SAMPLE_SECONDS):
                    await look.wait()
            look.clear()
            with suppress(ClusterUnavailable, httpx.HTTPError):
                at, state = time.time(), await view.read()
                deployments = await client.get("/apis/apps/v1/deployments", params={"labelSelector": OURS})
                services = await client.get(f"{OWN_API}/llmservices")
                items = [answer.raise_for_status().json()["items"] for answer in (deployments, services)]
                self.judge.see(Sample(at=at, state=state, deployments=items[0], services=items[1]))
                self.last_sample_at = at

    def _wrote(self) -> None:
        self._look_now()

    # --- the operator ---

    def start_operator(self) -> Child:
        """One more operator, behind the proxy."""
        self.starts += 1
        port = free_port()
        name = f"operator-{self.starts}"
        argv = [
            sys.executable, "-m", "medley_operator", f"--port={port}", "--bind-address=127.0.0.1",
            f"--namespace={OPERATOR_NAMESPACE}", "--resync-seconds=3", "--calibration=off",
            *(argument.format(prometheus=f"http://127.0.0.1:{self.prometheus_port}") for argument in self.arguments),
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {"KUBECONFIG": str(self._kubeconfig()), "MEDLEY_CAPACITY_CACHE_DIR": "", "HOSTNAME": name}
        environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / part) for part in ("operator", "planner", "."))
        child = processes.start(name, argv, logs=self.plane.logs_dir, environment=environment)
        self.plane.children.append(child)
        self.operators.append(child)
        self._urls[child.pid] = f"http://127.0.0.1:{port}"
        return child

    def _kubeconfig(self) -> Path:
        path = self.plane.workdir / "proxied.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "medley", "cluster": {"server": self.proxy.url}}],
                    "users": [{"name": "user", "user": {"token": self._token}}],
                    "contexts": [{"name": "medley", "context": {"cluster": "medley", "user": "user"}}],
                    "current-context": "medley",
                }
            )
        )
        return path

    def run_operators(self, count: int, arguments: tuple[str, ...]) -> None:
        """So many operators with these arguments; those that run stay where they are the same."""
        if (len(self.operators), self.arguments) == (count, arguments):
            return
        for child in self.operators:
            child.stop(grace_seconds=10)
        self.operators.clear()
        self.arguments = arguments
        for _ in range(count):
            self.start_operator()
        self.wait("an operator is ready", self.operator_ready, timeout_seconds=60)

    def operator_ready(self) -> bool:
        return any(answers(f"{self._urls[child.pid]}/readyz") for child in self.operators if child.alive())

    def kill_operator(self) -> None:
        """SIGKILL to the operator; from any thread. It is started again by whoever waits."""
        for child in self.operators:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)

    def tend(self) -> None:
        """Starts operators anew that have ended. Only from the main thread, with which they end."""
        ended = [child for child in self.operators if not child.alive()]
        for child in ended:
            self.operators.remove(child)
            self.start_operator()

    # --- act and see, as the cluster's admin ---

    def apply(self, plural: str, manifest: Mapping[str, Any]) -> Json:
        """Server-side apply of an object of ours, as a user."""
        metadata = manifest["metadata"]
        scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        path = f"{OWN_API}{scope}/{plural}/{metadata['name']}?fieldManager=user&force=true"
        answer: Json = self.plane.request("PATCH", path, manifest, content_type=APPLY)
        return answer

    def find(self, path: str) -> Json | None:
        """One object; None where it is not there."""
        try:
            found: Json = self.plane.request("GET", path)
        except CommandFailed as error:
            if error.returncode == httpx.codes.NOT_FOUND:
                return None
            raise
        return found

    def items(self, path: str) -> list[Json]:
        found: list[Json] = self.plane.request("GET", path)["items"]
        return found

    def wait(self, what: str, look: Callable[[], T | None], *, timeout_seconds: float) -> T:
        """The first answer that is neither None nor False. Raises `TimeoutError` naming `what`."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.tend()
            with suppress(OSError):
                answer = look()
                if answer:
                    return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout_seconds:.0f} s: {what}")
            time.sleep(LOOK_SECONDS)

    def pause(self, seconds: float) -> None:
        """Time passes, and operators that end are started anew."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.tend()
            time.sleep(min(left, LOOK_SECONDS))


def _nothing() -> None:
    """There is nothing to look at yet."""
