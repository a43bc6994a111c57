"""Two racks under one row: nodes of kwok, boards of the fake NVML, agents and controllers as processes with the chart's
rights, a real Prometheus that scrapes the meters. What cases change and see."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from e2e.controlplane import ControlPlane, free_port, kwok_node, processes
from e2e.controlplane.errors import CommandFailed
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child
from e2e.power.feeds import Feeds, board_watts, query
from e2e.power.watch import Held, RegisterWatch
from medley_operator.api.v1alpha1 import API_VERSION, GROUP, KINDS, VERSION
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, SERVICE
from tests.nvml.agent import ENTRY
from tests.nvml.registers import BoardModel, FakeRegisters, build

ROOT = Path(__file__).parents[2]
NAMESPACE = "medley-system"
TEAM = "team"
OWN_API = f"/apis/{GROUP}/{VERSION}"
GPUS = 4
NON_GPU_WATTS = 500
RACK_WATTS = 3600
ROW_WATTS = 7200
RACKS = ("a", "b")
CALM_LOAD = 0.3
LEASE_SECONDS = 18
STALE_SECONDS = 10
DWELL_SECONDS = 4
SCRAPE = "500ms"
HIGHEST_MHZ = 1410
DEFAULT = Held(400, HIGHEST_MHZ)
PRIORITIES = {"0": "High", "1": "Low"}
"""Of the service whose pods are on a node, by the number of the node in its rack."""

Json = dict[str, Any]


@dataclass(slots=True)
class Server:
    """A node with its boards and its agent."""

    name: str
    rack: str
    registers: FakeRegisters
    kubeconfig: Path
    agent: Child | None = None

    @property
    def uuids(self) -> list[str]:
        return [uuid_of(self.name, index) for index in range(GPUS)]

    def held(self) -> dict[str, Held]:
        boards = {uuid: self.registers[index] for index, uuid in enumerate(self.uuids)}
        return {
            uuid: Held(board.limit_mw // 1000, board.locked_mhz or board.high_mhz) for uuid, board in boards.items()
        }

    def watts(self) -> float:
        return NON_GPU_WATTS + sum(board_watts(self.registers[index]) for index in range(GPUS))


def uuid_of(node: str, index: int) -> str:
    return f"GPU-{node}-{index}"


class PowerWorld:
    """Made by `PowerWorld.start`."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self._folder = folder
        self._library = build(folder)
        self.servers: dict[str, Server] = {}
        self.feeds = Feeds({name: partial(self._feed_watts, name) for name in (*RACKS, "row")})
        self.watch = RegisterWatch(
            lambda: {u: held for each in self.servers.values() for u, held in each.held().items()}
        )
        self.controllers: dict[str, Child] = {}
        self._urls: dict[str, str] = {}
        self._prometheus = f"http://127.0.0.1:{free_port()}"
        self._exporter = ""

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[PowerWorld]:
        """Everything up, nothing capped. Raises `NoCompilerError`."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medley-power-")))
            # Without a compiler nothing else has to start.
            build(folder)
            world = cls(stack.enter_context(ControlPlane.start(controllers=False)), folder)
            world._set_up(stack)
            world._exporter = stack.enter_context(world.feeds.served())
            world.start_prometheus()
            stack.enter_context(world.watch.running())
            world.start_all()
            yield world

    # --- set up ---

    def _set_up(self, stack: ExitStack) -> None:
        plane = self.plane
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        names = [f"crd/{kind.plural}.{GROUP}" for kind in KINDS]
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        plane.kubectl("create", "namespace", NAMESPACE)
        plane.kubectl("create", "namespace", TEAM)
        shown = [f"--show-only=templates/{name}.yaml" for name in ("power", "agent", "rbac", "serviceaccount")]
        values = (
            "image.repository=example/medley,power.enabled=true,powerAgent.enabled=true,prometheus.url=http://p:9090"
        )
        chart = ("template", "medley", str(ROOT / "helm" / "medley"), "-n", NAMESPACE)
        plane.kubectl("apply", "-f", "-", stdin=plane.helm(*chart, *shown, "--set", values))
        plane.kubectl("create", "serviceaccount", "default", "-n", TEAM)
        self._add_services()
        for rack in RACKS:
            for number in PRIORITIES:
                self._add_server(f"{rack}-{number}", rack, stack)
        self._add_domain("row", ROW_WATTS)
        for rack in RACKS:
            self._add_domain(rack, RACK_WATTS, parent="row", nodeSelector={"rack": rack}, nonGpuWatts=NON_GPU_WATTS)

    def _add_services(self) -> None:
        spec: Json = {"limits": {"maxPriority": "High"}}
        self.create("medleypolicies", "MedleyPolicy", "all", spec)
        for priority in PRIORITIES.values():
            spec = {"model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}, "priority": priority}
            self.create("llmservices", "LLMService", priority.lower(), spec, namespace=TEAM)

    def _add_server(self, name: str, rack: str, stack: ExitStack) -> None:
        labels = {"rack": rack, "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
        self.plane.request("POST", "/api/v1/nodes", kwok_node(name, gpus=GPUS, labels=labels))
        agent, service = f"agent-on-{name}", PRIORITIES[name.rpartition("-")[2]].lower()
        self._add_pod(NAMESPACE, agent, name, account="medley-agent")
        self._add_pod(
            TEAM, f"{service}-on-{name}", name, gpus=GPUS, labels={MANAGED_BY: MANAGED_BY_VALUE, SERVICE: service}
        )
        boards = [BoardModel(uuid_of(name, index)) for index in range(GPUS)]
        registers = stack.enter_context(FakeRegisters(self._folder / f"registers-{name}", boards))
        kubeconfig = self.plane.service_account_kubeconfig(NAMESPACE, "medley-agent", pod=agent)
        self.servers[name] = Server(name, rack, registers, kubeconfig)
        self.load(rack, CALM_LOAD)

    def _add_pod(
        self,
        namespace: str,
        name: str,
        node: str,
        *,
        gpus: int = 0,
        account: str = "default",
        labels: Json | None = None,
    ) -> None:
        container: Json = {"name": "main", "image": "example/image"}
        if gpus:
            container["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
        spec = {"nodeName": node, "serviceAccountName": account, "containers": [container]}
        pod = {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}
        self.plane.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)

    def _add_domain(self, name: str, watts: int, **spec: Any) -> None:
        fixed = {
            "budgetWatts": watts,
            "mode": "Enforce",
            "meter": {"query": query(name)},
            "preset": "lp-deep",
            "dwellSeconds": DWELL_SECONDS,
            "rampSeconds": 2,
            "staleAfterSeconds": STALE_SECONDS,
            "telemetrySeconds": 3,
            "actuationSeconds": 2,
        }
        self.create("powerdomains", "PowerDomain", name, {**fixed, **spec})

    def create(self, plural: str, kind: str, name: str, spec: Json, *, namespace: str = "") -> None:
        scope = f"/namespaces/{namespace}" if namespace else ""
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.plane.request("POST", f"{OWN_API}{scope}/{plural}", body)

    # --- processes ---

    def start_all(self) -> None:
        """Starts what does not run, and waits until nothing is capped at a calm load."""
        if not self.plane.child("prometheus").alive():
            self.start_prometheus()
        for name in ("power-0", "power-1"):
            if name not in self.controllers or not self.controllers[name].alive():
                self.start_controller(name)
        for server in self.servers.values():
            if server.agent is None or not server.agent.alive():
                self.start_agent(server.name)

    def start_prometheus(self) -> None:
        jobs = [{"job_name": "meters", "static_configs": [{"targets": [self._exporter]}]}]
        config = {"global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}, "scrape_configs": jobs}
        self.plane.start_prometheus(yaml.safe_dump(config), port=int(self._prometheus.rpartition(":")[2]))

    def start_controller(self, name: str) -> None:
        account = self.plane.service_account_kubeconfig(NAMESPACE, "medley-power")
        words = ["power", "controller", f"--prometheus-url={self._prometheus}", "--leader-election=on"]
        words += [f"--namespace={NAMESPACE}", f"--cap-lease-seconds={LEASE_SECONDS}"]
        self.controllers[name], url = self._spawn(name, words, account, HOSTNAME=name)
        self._urls[name] = url
        processes.wait_ready(self.controllers[name], lambda: answers(f"{url}/readyz"), timeout_seconds=90)

    def start_agent(self, node: str) -> None:
        server = self.servers[node]
        more = {**self._library, "FAKE_NVML_REGISTERS": str(server.registers.path)}
        server.agent, _ = self._spawn(f"agent-{node}", ["agent", f"--node={node}"], server.kubeconfig, **more)

    def start_operator(self) -> Child:
        """The fleet operator, which knows nothing of the meters."""
        account = self.plane.service_account_kubeconfig(NAMESPACE, "medley")
        words = ["operator", f"--prometheus-url={self._prometheus}", f"--namespace={NAMESPACE}", "--resync-seconds=3"]
        child, url = self._spawn("operator", words, account, MEDLEY_CAPACITY_CACHE_DIR="")
        processes.wait_ready(child, lambda: answers(f"{url}/readyz"), timeout_seconds=90)
        return child

    def _spawn(self, name: str, words: list[str], kubeconfig: Path, **environment: str) -> tuple[Child, str]:
        port = free_port()
        argv = [sys.executable, "-c", ENTRY, *words, "--bind-address=127.0.0.1", f"--port={port}"]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), **environment}
        child = processes.start(name, argv, logs=self.plane.logs_dir, environment=environment)
        self.plane.children.append(child)
        return child, f"http://127.0.0.1:{port}"

    # --- act ---

    def load(self, rack: str, part: float) -> float:
        """All boards of a rack work at this part of their most; returns the time."""
        for server in self.servers.values():
            if server.rack == rack:
                for index in range(GPUS):
                    server.registers[index].load_permille = round(1000 * part)
        return time.time()

    def calm(self) -> None:
        """Everything runs, all meters are right, the load is low, and no board is held."""
        self.feeds.mend()
        for rack in RACKS:
            self.load(rack, CALM_LOAD)
        self.start_all()
        self.wait("a controller leads", lambda: any(map(self.leads, self.controllers)), within=90)
        self.wait("every agent follows", lambda: all(self._follows(name) for name in self.servers), within=90)
        self.wait("nothing is held", lambda: set(self.held().values()) == {DEFAULT}, within=90)
        self.wait(
            "all domains are at rest",
            lambda: all(
                (self.domain(name).get("level"), self.domain(name).get("safe")) == (0, False)
                for name in ("row", *RACKS)
            ),
            within=30,
        )

    # --- see ---

    def _feed_watts(self, feed: str) -> float:
        return sum(server.watts() for server in self.servers.values() if feed in (server.rack, "row"))

    def held(self, *nodes: str) -> dict[str, Held]:
        """What the boards of these nodes, or of all, are held to."""
        chosen = nodes or tuple(self.servers)
        return {uuid: held for node in chosen for uuid, held in self.servers[node].held().items()}

    def domain(self, name: str) -> Json:
        found: Json = self.plane.request("GET", f"{OWN_API}/powerdomains/{name}").get("status", {})
        return found

    def event(self, name: str) -> Json:
        found: Json = self.plane.request("GET", f"{OWN_API}/powerevents/{name}").get("status", {})
        return found

    def cap(self, node: str) -> Json:
        found: Json = self.plane.request("GET", f"{OWN_API}/nodepowercaps/{node}")
        return found

    def _follows(self, node: str) -> bool:
        """Whether the agent of a node acts on orders that name its own boards."""
        cap = self.cap(node)
        named = len(cap["spec"].get("gpus", [])) == GPUS
        status = cap.get("status", {})
        return named and (status["state"], status["observedRevision"]) == ("Enforcing", cap["spec"]["revision"])

    def leads(self, name: str) -> bool:
        """Whether this controller runs, and says that it leads."""
        if not self.controllers[name].alive():
            return False
        try:
            metrics = httpx.get(f"{self._urls[name]}/metrics", trust_env=False, timeout=5.0).text
        except httpx.TransportError:
            return False
        return "medley_power_leader 1.0" in metrics

    def wait(self, what: str, holds: Callable[[], bool], *, within: float) -> float:
        """Seconds until that holds; AssertionError with all that is known of power when the time is up."""
        began = time.monotonic()
        while True:
            try:
                if holds():
                    return time.monotonic() - began
            except CommandFailed:
                """Such as an object that is not there yet."""
            assert time.monotonic() - began < within, f"not within {within:g} s: {what}\n{self.report()}"
            time.sleep(0.05)

    def report(self) -> str:
        lines = [
            f"feed {name}: {self.feeds.watts(name):.0f} W; {json.dumps(self.domain(name))}" for name in ("row", *RACKS)
        ]
        for server in self.servers.values():
            lines += [f"{server.name}: {sorted(set(server.held().values()), key=str)}"]
        return "\n".join(lines)
