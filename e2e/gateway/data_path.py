"""Envoy Gateway and Envoy as processes beside the control plane: set up as its chart does, started, and waited for."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.controlplane import ControlPlane, processes
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child, run_told
from e2e.gateway.envoy import envoy_start
from e2e.gateway.errors import GatewayError
from e2e.gateway.install import Programs
from e2e.harness import Harness

SYSTEM = "envoy-gateway-system"
GATEWAY_CLASS = "envoy"
_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
_HEALTH_URL = "http://127.0.0.1:8081/healthz"
_ENVOY_READY_URL = "http://127.0.0.1:19003/ready"
_CONFIG = f"""\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {{controllerName: {_CONTROLLER}}}
provider: {{type: Kubernetes}}
"""
_START_SECONDS = 60.0


class DataPath:
    """Made once the control plane is up; `install`, then `start_controller`, then `start_envoy` for a Gateway."""

    def __init__(self, harness: Harness, programs: Programs) -> None:
        self._harness = harness
        self._plane: ControlPlane = harness.plane
        self._programs = programs
        self._root = self._plane.workdir / "envoy-gateway"
        self._home = self._plane.workdir / "envoy"

    def install(self) -> None:
        """The Gateway API and Envoy Gateway's own kinds, its namespace and its class."""
        for path in self._programs.crds:
            text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("{{"))
            self._plane.kubectl("apply", "--server-side", "-f", "-", stdin=text, timeout_seconds=120)
        self._plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        self._plane.kubectl("create", "namespace", SYSTEM)
        self._harness.apply_object(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "GatewayClass",
                "metadata": {"name": GATEWAY_CLASS},
                "spec": {"controllerName": _CONTROLLER},
            }
        )

    def start_controller(self) -> Child:
        """Envoy Gateway, in a root of its own: it reads its certificates at /certs whatever its configuration says."""
        for folder in ("certs", "tmp"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy2(self._programs.envoy_gateway, self._root / "envoy-gateway")
        shutil.copy2(self._plane.kubeconfig, self._root / "kubeconfig")
        (self._root / "config.yaml").write_text(_CONFIG)
        self._make_certificates()
        for name, text in self._secret("envoy-gateway").items():
            (self._root / "certs" / name).write_text(text)
        child = self._spawn(
            "envoy-gateway",
            ["/envoy-gateway", "server", "--config-path=/config.yaml"],
            environment={"KUBECONFIG": "/kubeconfig", "ENVOY_GATEWAY_NAMESPACE": SYSTEM},
            root=self._root,
        )
        processes.wait_ready(child, lambda: answers(_HEALTH_URL), timeout_seconds=_START_SECONDS)
        return child

    def start_envoy(self, namespace: str, gateway: str) -> Child:
        """The Envoy of that Gateway, once Envoy Gateway has made its pod."""
        owner = f"gateway.envoyproxy.io/owning-gateway-namespace={namespace},"
        owner += f"gateway.envoyproxy.io/owning-gateway-name={gateway}"
        pod = self._wait("pod of the Gateway", lambda: self._first("pods", owner))
        (service,) = self._harness.list_objects("services", SYSTEM, owner)
        self._give_address(service["metadata"]["name"])
        sds = self._mounted(pod, "/sds")
        start = envoy_start(pod, secrets=self._secret("envoy"), sds=sds, home=self._home)
        for path, text in start.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        child = self._spawn("envoy", [str(self._programs.envoy), *start.arguments, "--disable-hot-restart"])
        processes.wait_ready(child, lambda: answers(_ENVOY_READY_URL), timeout_seconds=_START_SECONDS)
        return child

    def _make_certificates(self) -> None:
        environment = {"KUBECONFIG": str(self._plane.kubeconfig), "ENVOY_GATEWAY_NAMESPACE": SYSTEM}
        argv = [str(self._programs.envoy_gateway), "certgen"]
        _, said = run_told(argv, environment=environment, still=lambda _seconds: None, tail_lines=10)
        # Its last step patches a webhook that only the chart installs, so its status says nothing.
        if self._first("secrets", "", named="envoy-gateway") is None:
            raise GatewayError(f"envoy-gateway certgen made no certificates:\n{said}")

    def _secret(self, name: str) -> dict[str, str]:
        data = self._harness.get("secrets", SYSTEM, name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def _mounted(self, pod: dict[str, Any], path: str) -> dict[str, str]:
        """Files of the ConfigMap that the pod mounts there."""
        mounts = [mount for each in pod["spec"]["containers"] for mount in each.get("volumeMounts") or []]
        volume = next(mount["name"] for mount in mounts if mount["mountPath"].startswith(path))
        source = next(each["configMap"] for each in pod["spec"]["volumes"] if each["name"] == volume)
        data: dict[str, str] = self._harness.get("configmaps", SYSTEM, source["name"])["data"]
        return data

    def _give_address(self, service: str) -> None:
        """As a load balancer would: without an address the Gateway is not Programmed."""
        self._plane.request(
            "PATCH",
            f"/api/v1/namespaces/{SYSTEM}/services/{service}/status",
            {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.2"}]}}},
            content_type="application/merge-patch+json",
        )

    def _first(self, resource: str, selector: str, *, named: str | None = None) -> dict[str, Any] | None:
        found = self._harness.list_objects(resource, SYSTEM, selector)
        return next((each for each in found if named in (None, each["metadata"]["name"])), None)

    def _wait(self, what: str, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        return self._harness.wait_for(what, look, timeout_seconds=_START_SECONDS)

    def _spawn(
        self, name: str, argv: list[str], *, environment: dict[str, str] | None = None, root: Path | None = None
    ) -> Child:
        child = processes.start(
            name, argv, logs=self._plane.logs_dir, environment={**os.environ, **(environment or {})}, root=root
        )
        self._plane.children.append(child)
        return child
