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
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx
import yaml

from e2e.controlplane import ControlPlane, free_port, processes
from e2e.controlplane.errors import CommandFailed
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child
from e2e.power.feeds import Feeds
from e2e.power.racks import CALM_LOAD, DEFAULT, LEASE_SECONDS, NAMESPACE, OWN_API, RACKS, SERVICES, Json, Racks, Server
from e2e.power.watch import Held, RegisterWatch
from medley_planner.power import CHANGE_SECONDS
from tests.nvml.agent import ENTRY
from tests.nvml.registers import build

SCRAPE = "500ms"
REST_SECONDS = 1.0


class PowerWorld:
    """Made by `PowerWorld.start`."""

    def __init__(self, plane: ControlPlane, folder: Path, patience: float) -> None:
        self.plane = plane
        self._patience = patience
        self._folder = folder
        self._library = build(folder)
        self.servers: dict[str, Server] = {}
        self.feeds = Feeds({name: partial(self._feed_watts, name) for name in (*RACKS, "row")})
        self.watch = RegisterWatch(
            lambda: {u: held for each in self.servers.values() for u, held in each.held().items()}
        )
        self.controllers: dict[str, Child] = {}
        self._urls: dict[str, str] = {}
        self.prometheus_url = f"http://127.0.0.1:{free_port()}"
        self._exporter = ""
        self._scraped: dict[str, Json] = {}
        """Targets that Prometheus scrapes beside the meters, by the name of the process."""

    @classmethod
    @contextmanager
    def start(cls, *, patience: float = 1.0) -> Iterator[PowerWorld]:
        """Everything up, nothing capped. `patience`: so many times as long may all take. Raises `NoCompilerError`."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medley-power-")))
            # Without a compiler nothing else has to start.
            build(folder)
            world = cls(stack.enter_context(ControlPlane.start(controllers=False)), folder, patience)
            world.servers = Racks(world.plane, folder, stack).build()
            world._exporter = stack.enter_context(world.feeds.served())
            world.start_prometheus()
            stack.enter_context(world.watch.running())
            world.start_all()
            yield world

    @property
    def _targets(self) -> Path:
        return self._folder / "targets.json"

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
        meters = {"job_name": "meters", "static_configs": [{"targets": [self._exporter]}]}
        jobs = [meters, {"job_name": "medley", "file_sd_configs": [{"files": [str(self._targets)]}]}]
        config = {"global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}, "scrape_configs": jobs}
        self.plane.start_prometheus(yaml.safe_dump(config), port=int(self.prometheus_url.rpartition(":")[2]))

    def start_controller(self, name: str) -> None:
        account = self.plane.service_account_kubeconfig(NAMESPACE, "medley-power")
        words = ["power", "controller", f"--prometheus-url={self.prometheus_url}", "--leader-election=on"]
        words += [f"--namespace={NAMESPACE}", f"--cap-lease-seconds={LEASE_SECONDS}"]
        self.controllers[name], url = self._spawn(name, words, account, HOSTNAME=name)
        self._urls[name] = url
        processes.wait_ready(self.controllers[name], lambda: answers(f"{url}/readyz"), timeout_seconds=90)

    def start_agent(self, node: str) -> None:
        server = self.servers[node]
        more = {**self._library, "FAKE_NVML_REGISTERS": str(server.registers.path)}
        words = ["agent", f"--node={node}", f"--pod-resources-socket={server.socket}"]
        server.agent, _ = self._spawn(f"agent-{node}", words, server.kubeconfig, **more)

    def start_operator(self) -> Child:
        """The fleet operator, which knows nothing of the meters."""
        account = self.plane.service_account_kubeconfig(NAMESPACE, "medley")
        words = [
            "operator",
            f"--prometheus-url={self.prometheus_url}",
            f"--namespace={NAMESPACE}",
            "--resync-seconds=3",
        ]
        child, url = self._spawn("operator", words, account, MEDLEY_CAPACITY_CACHE_DIR="")
        processes.wait_ready(child, lambda: answers(f"{url}/readyz"), timeout_seconds=90)
        return child

    def _spawn(self, name: str, words: list[str], kubeconfig: Path, **environment: str) -> tuple[Child, str]:
        port = free_port()
        argv = [sys.executable, "-c", ENTRY, *words, "--bind-address=127.0.0.1", f"--port={port}"]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), **environment}
        child = processes.start(name, argv, logs=self.plane.logs_dir, environment=environment)
        self.plane.children.append(child)
        self._scraped[name] = {"targets": [f"127.0.0.1:{port}"], "labels": {"node": name.removeprefix("agent-")}}
        self._targets.write_text(json.dumps(list(self._scraped.values())), encoding="utf-8")
        return child, f"http://127.0.0.1:{port}"

    # --- act ---

    def load(self, rack: str, part: float) -> float:
        """All boards of a rack work at this part of their most; returns the time."""
        for server in self.servers.values():
            if server.rack == rack:
                server.load(part)
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
        self.rest()

    def rest(self) -> None:
        """Waits until every board may be changed again. An agent that starts sets locks anew; no register shows it."""
        applied = [
            datetime.fromisoformat(gpu["appliedAt"]).timestamp()
            for name in self.servers
            for gpu in self.cap(name).get("status", {}).get("gpus", ())
            if gpu.get("appliedAt")
        ]
        latest = max((*applied, *(changes[-1][0] for changes in self.watch.changes.values())), default=0.0)
        time.sleep(max(latest + CHANGE_SECONDS + REST_SECONDS - time.time(), 0.0))

    # --- see ---

    def _feed_watts(self, feed: str) -> float:
        return sum(server.watts() for server in self.servers.values() if feed in (server.rack, "row"))

    def held(self, *nodes: str) -> dict[str, Held]:
        """What the boards of these nodes, or of all, are held to."""
        chosen = nodes or tuple(self.servers)
        return {uuid: held for node in chosen for uuid, held in self.servers[node].held().items()}

    def held_of(self, rack: str, service: str) -> dict[str, Held]:
        """What the boards of a rack are held to on which this service is."""
        chosen = [each for each in self.servers.values() if each.rack == rack]
        return {
            uuid: held
            for server in chosen
            for (uuid, held), own in zip(server.held().items(), SERVICES[server.name], strict=True)
            if own == service
        }

    def domain(self, name: str) -> Json:
        found: Json = self.plane.request("GET", f"{OWN_API}/powerdomains/{name}").get("status", {})
        return found

    def event(self, name: str) -> Json:
        found: Json = self.plane.request("GET", f"{OWN_API}/powerevents/{name}").get("status", {})
        return found

    def cap(self, node: str) -> Json:
        found: Json = self.plane.request("GET", f"{OWN_API}/nodepowercaps/{node}")
        return found

    def state(self, node: str) -> str:
        """The state that the agent of a node reports."""
        found: str = self.cap(node)["status"]["state"]
        return found

    def lease_end(self, node: str) -> float:
        """Unix time."""
        lease = self.cap(node)["spec"]["lease"]
        return datetime.fromisoformat(lease["renewTime"]).timestamp() + float(lease["durationSeconds"])

    def _follows(self, node: str) -> bool:
        """Whether the agent of a node acts on orders that name its own boards, with the priority of each."""
        cap = self.cap(node)
        priorities = {gpu["uuid"]: gpu["priority"].lower() for gpu in cap["spec"].get("gpus", [])}
        named = priorities == dict(zip(self.servers[node].uuids, SERVICES[node], strict=True))
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
        began, within = time.monotonic(), within * self._patience
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
