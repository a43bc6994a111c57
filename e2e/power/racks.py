"""Two racks under one row, as objects of a control plane: nodes of kwok with boards of the fake NVML and a socket of a
kubelet each, pods of two services, the chart's rights, and the domains."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.controlplane import ControlPlane, kwok_node
from e2e.controlplane.processes import Child
from e2e.power.feeds import board_watts, query
from e2e.power.watch import Held
from medley_operator.api.v1alpha1 import API_VERSION, GROUP, KINDS, VERSION
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, SERVICE
from tests.fake_kubelet import FakeKubelet
from tests.nvml.registers import BoardModel, FakeRegisters

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
HIGHEST_MHZ = 1410
DEFAULT = Held(400, HIGHEST_MHZ)
SERVICES = {
    "a-0": ("high", "high", "high", "high"),
    "a-1": ("low", "low", "low", "low"),
    "b-0": ("high", "high", "low", "low"),
    "b-1": ("high", "high", "low", "low"),
}
"""The service on each GPU of a node, named as its priority; a service has one pod on a node."""

Json = dict[str, Any]


@dataclass(slots=True)
class Server:
    """A node with its boards and its agent."""

    name: str
    rack: str
    registers: FakeRegisters
    kubeconfig: Path
    socket: Path
    """Of its kubelet."""
    agent: Child | None = None

    @property
    def uuids(self) -> list[str]:
        return [uuid_of(self.name, index) for index in range(GPUS)]

    def held(self) -> dict[str, Held]:
        boards = {uuid: self.registers[index] for index, uuid in enumerate(self.uuids)}
        return {
            uuid: Held(board.limit_mw // 1000, board.locked_mhz or board.high_mhz) for uuid, board in boards.items()
        }

    def load(self, part: float) -> None:
        """All boards work at this part of their most."""
        for index in range(GPUS):
            self.registers[index].load_permille = round(1000 * part)

    def watts(self) -> float:
        return NON_GPU_WATTS + sum(board_watts(self.registers[index]) for index in range(GPUS))


def uuid_of(node: str, index: int) -> str:
    return f"GPU-{node}-{index}"


def create(plane: ControlPlane, plural: str, kind: str, name: str, spec: Json, *, namespace: str = "") -> None:
    """Makes an object of our own kinds."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    plane.request("POST", f"{OWN_API}{scope}/{plural}", body)


class Racks:
    """Built once, by `build`; what they hold open ends with the stack."""

    def __init__(self, plane: ControlPlane, folder: Path, stack: ExitStack) -> None:
        self._plane = plane
        self._folder = folder
        self._stack = stack
        self.servers: dict[str, Server] = {}

    def build(self) -> dict[str, Server]:
        """All of it; the servers, without agents."""
        plane = self._plane
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
        for name in SERVICES:
            self._add_server(name)
        self._add_domain("row", ROW_WATTS)
        for rack in RACKS:
            self._add_domain(rack, RACK_WATTS, parent="row", nodeSelector={"rack": rack}, nonGpuWatts=NON_GPU_WATTS)
        return self.servers

    def _add_services(self) -> None:
        spec: Json = {"limits": {"maxPriority": "High"}}
        create(self._plane, "medleypolicies", "MedleyPolicy", "all", spec)
        for priority in ("High", "Low"):
            spec = {"model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}, "priority": priority}
            create(self._plane, "llmservices", "LLMService", priority.lower(), spec, namespace=TEAM)

    def _add_server(self, name: str) -> None:
        rack, services = name[0], SERVICES[name]
        labels = {"rack": rack, "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
        self._plane.request("POST", "/api/v1/nodes", kwok_node(name, gpus=GPUS, labels=labels))
        agent = f"agent-on-{name}"
        self._add_pod(NAMESPACE, agent, name, account="medley-agent")
        kubelet = FakeKubelet()
        for service in sorted(set(services)):
            uuids = [uuid_of(name, index) for index in range(GPUS) if services[index] == service]
            ours = {MANAGED_BY: MANAGED_BY_VALUE, SERVICE: service}
            self._add_pod(TEAM, f"{service}-on-{name}", name, gpus=len(uuids), labels=ours)
            kubelet.devices[TEAM, f"{service}-on-{name}"] = {"nvidia.com/gpu": uuids}
        socket = self._folder / f"kubelet-{name}.sock"
        self._stack.enter_context(kubelet.served(socket))
        boards = [BoardModel(uuid_of(name, index)) for index in range(GPUS)]
        registers = self._stack.enter_context(FakeRegisters(self._folder / f"registers-{name}", boards))
        kubeconfig = self._plane.service_account_kubeconfig(NAMESPACE, "medley-agent", pod=agent)
        server = Server(name, rack, registers, kubeconfig, socket)
        server.load(CALM_LOAD)
        self.servers[name] = server

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
        self._plane.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)

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
        create(self._plane, "powerdomains", "PowerDomain", name, {**fixed, **spec})
