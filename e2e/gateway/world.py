"""Everything of a run on this machine: control plane, chart, gateway, engines, users, Prometheus and the operator.

Must run inside the namespace of `namespace.enter_namespace`. Answers questions about the service from the API server.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from e2e.controlplane import Assets, ControlPlane, free_port, processes
from e2e.controlplane.loopback import answers
from e2e.fleet.load import Workload
from e2e.gateway.data_path import GATEWAY_CLASS, DataPath
from e2e.gateway.install import Programs
from e2e.gateway.namespace import POD_RANGE
from e2e.gateway.stages import engine_stages
from e2e.harness import EXAMPLES, Harness
from medley_operator.domain.values import labels

NAMESPACE, NAME = "demo", "llama"
PROFILE = "vllm"
_GATEWAY, _PORT = "inference", 8888
_SERVICE_PATH = f"/apis/medley.dev/v1alpha1/namespaces/{NAMESPACE}/llmservices/{NAME}"
_ROUTE_PATH = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes/{NAME}"


class World:
    """Made by `World.start`."""

    def __init__(self, harness: Harness, data_path: DataPath) -> None:
        self.harness = harness
        self.plane = harness.plane
        self.data_path = data_path
        self.arrivals = self.plane.workdir / "arrivals.jsonl"
        self.sent = self.plane.workdir / "sent.jsonl"
        self._users_url = f"http://127.0.0.1:{free_port()}"

    @classmethod
    @contextmanager
    def start(
        cls,
        *,
        say: Callable[[str], None],
        assets: Assets,
        programs: Programs,
        service: Mapping[str, Any],
        logs_to: Path | None = None,
    ) -> Iterator[World]:
        """All up, and the service answered once through the gateway. Logs and records go to `logs_to` at the end."""
        with (
            tempfile.TemporaryDirectory(prefix="medley-stages-") as folder,
            ControlPlane.start(assets=_with_engine_stages(assets, Path(folder)), pod_cidr=POD_RANGE) as plane,
        ):
            harness = Harness(plane, say)
            world = cls(harness, DataPath(harness, programs))
            try:
                world._set_up(service)
                yield world
            finally:
                if logs_to is not None:
                    plane.gather_logs(logs_to)
                    for path in (world.arrivals, world.sent):
                        if path.exists():
                            (logs_to / path.name).write_text(path.read_text())
                    say(f"logs are in {logs_to}")

    def _set_up(self, service: Mapping[str, Any]) -> None:
        self.data_path.install()
        self.harness.create_nodes()
        self.harness.install_chart()
        self.data_path.start_controller()
        self.harness.say("Envoy Gateway is up")
        for name in ("namespace", "pools", "runtime-profile"):
            self.harness.apply(EXAMPLES / "quickstart" / f"{name}.yaml")
        self.harness.apply_object(_gateway())
        self.harness.apply(EXAMPLES / "gateway" / "envoy-gateway.yaml")
        self.data_path.start_envoy(NAMESPACE, _GATEWAY)
        self.harness.say(f"Envoy is up: http://127.0.0.1:{_PORT}")
        self._start_engines()
        self.harness.start_prometheus(at_pods=True)
        self.harness.start_operator()
        self.harness.apply_object(service)
        self._start_users()

    def _start_engines(self) -> None:
        argv = [sys.executable, "-m", "e2e.gateway.engines", "--kubeconfig", str(self.plane.kubeconfig)]
        self.harness.spawn("engines", [*argv, "--record", str(self.arrivals)], {})

    def _start_users(self) -> None:
        port = self._users_url.rsplit(":", 1)[1]
        argv = [sys.executable, "-m", "e2e.gateway.users", "--control-port", port, "--gateway", f"127.0.0.1:{_PORT}"]
        argv += ["--path", f"/{NAMESPACE}/{NAME}", "--record", str(self.sent)]
        child = self.harness.spawn("users", argv, {})
        processes.wait_ready(child, lambda: answers(f"{self._users_url}/load"), timeout_seconds=30)

    # --- act ---

    def set_load(self, load: Workload) -> None:
        body = json.dumps(dataclasses.asdict(load)).encode()
        request = urllib.request.Request(f"{self._users_url}/load", method="PUT", data=body)
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()

    def set_image(self, image: str) -> None:
        """Another image in the RuntimeProfile: all pods of all variants are replaced."""
        patch = json.dumps({"spec": {"image": image}})
        self.plane.kubectl("patch", "runtimeprofiles.medley.dev", PROFILE, "--type=merge", "-p", patch)

    # --- see ---

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.plane.request("GET", _SERVICE_PATH)
        return found

    def answers(self) -> bool:
        """Whether the gateway sends a request for the service on to a pod, whatever that makes of it. Envoy itself says
        503 while it has the route and not yet what the route leads to."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/{NAMESPACE}/{NAME}/health", timeout=20):
                return True
        except urllib.error.HTTPError as error:
            return error.code not in (404, 503)
        except OSError:
            return False

    def weights(self) -> dict[str, int]:
        """Weights of the route by variant: those of a variant's layouts together."""
        route = self.plane.request("GET", _ROUTE_PATH)
        by_variant: dict[str, int] = {}
        for backend in route["spec"]["rules"][0].get("backendRefs") or []:
            # A variant's Service is named <service>-<variant>-<hash of the layout>.
            variant = backend["name"].removeprefix(f"{NAME}-").rpartition("-")[0]
            by_variant[variant] = by_variant.get(variant, 0) + backend["weight"]
        return by_variant

    def images(self) -> set[str]:
        """Images of the engine pods, those that end included."""
        selector = f"{labels.COMPONENT}={labels.COMPONENT_ENGINE}".replace("=", "%3D").replace("/", "%2F")
        pods = self.plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}")
        return {pod["spec"]["containers"][0]["image"] for pod in pods["items"]}

    def wait_for(self, what: str, look: Callable[[], bool], *, seconds: float) -> float:
        """The seconds that it took. AssertionError where the time is up."""
        started = time.monotonic()
        self.harness.wait_for(what, look, timeout_seconds=seconds)
        return time.monotonic() - started


def _with_engine_stages(assets: Assets, folder: Path) -> Assets:
    given = [yaml.safe_load(path.read_text()) for path in sorted(assets.kwok_stages.glob("*.yaml"))]
    (folder / "stages.yaml").write_text(yaml.safe_dump_all(engine_stages(given)))
    return dataclasses.replace(assets, kwok_stages=folder)


def _gateway() -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": _GATEWAY, "namespace": NAMESPACE},
        "spec": {
            "gatewayClassName": GATEWAY_CLASS,
            "listeners": [{"name": "http", "protocol": "HTTP", "port": _PORT}],
        },
    }
