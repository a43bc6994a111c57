"""Starts and stops a real control plane on loopback: etcd, API server, controller manager, scheduler, kwok, Prometheus.

Everything lives in one folder, on free ports, and ends with this process: on leaving the context, on an exception, on
Ctrl-C and on a failed start. The API server is stopped first, since it lingers for half a minute once etcd is gone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.controlplane import audit, credentials, processes
from e2e.controlplane.build import Assets, ensure_assets
from e2e.controlplane.errors import CommandFailed, StartError
from e2e.controlplane.loopback import answers, request_json
from e2e.controlplane.ports import free_port as free_port
from e2e.controlplane.ports import free_ports
from e2e.controlplane.processes import Child
from e2e.controlplane.tuning import Tuning

_START_SECONDS = 60.0
# The status of coreutils' timeout.
_TIMED_OUT = 124


class ControlPlane:
    """A running control plane. Made by `ControlPlane.start`, which stops it at the end of the with block."""

    def __init__(self, assets: Assets, workdir: Path, tuning: Tuning) -> None:
        self.assets = assets
        self.tuning = tuning
        self.workdir = workdir
        self.logs_dir = workdir / "logs"
        self.kubeconfig = workdir / "admin.kubeconfig"
        self.audit_log = self.logs_dir / "audit.log"
        self.api_url = ""
        self.children: list[Child] = []
        self._tokens = credentials.new_tokens()

    @classmethod
    @contextmanager
    def start(
        cls,
        *,
        controllers: bool = True,
        kwok: bool = True,
        workdir: Path | None = None,
        pod_cidr: str = "10.244.0.0/16",
        assets: Assets | None = None,
        tuning: Tuning | None = None,
    ) -> Iterator[ControlPlane]:
        """A control plane that is ready.

        `controllers`: with controller manager and scheduler; `kwok`: with what plays the nodes' kubelets. Raises
        `BuildError` or `StartError`.
        """
        assets = assets or ensure_assets()
        folder = Path(tempfile.mkdtemp(prefix="medley-controlplane-")) if workdir is None else workdir
        plane = cls(assets, folder, tuning or Tuning())
        try:
            plane._start(controllers=controllers, kwok=kwok, pod_cidr=pod_cidr)
            yield plane
        finally:
            with processes.signals_held():
                plane.stop()
                if workdir is None:
                    shutil.rmtree(folder, ignore_errors=True)

    # --- start and stop ---

    def _start(self, *, controllers: bool, kwok: bool, pod_cidr: str) -> None:
        self.logs_dir.mkdir(parents=True, exist_ok=True)
        self._write_credentials()
        try:
            self._start_components(controllers=controllers, kwok=kwok, pod_cidr=pod_cidr)
        except StartError as first:
            # Another process may take a free port between the look and the start.
            if "address already in use" not in str(first):
                raise
            self.stop()
            self._start_components(controllers=controllers, kwok=kwok, pod_cidr=pod_cidr)

    def _start_components(self, *, controllers: bool, kwok: bool, pod_cidr: str) -> None:
        self._start_api()
        started = [*(self._spawn_controllers() if controllers else []), *([self._spawn_kwok(pod_cidr)] if kwok else [])]
        for child, health_url in started:
            self._wait(child, health_url)

    def _wait(self, child: Child, health_url: str) -> None:
        processes.wait_ready(child, lambda: answers(health_url), timeout_seconds=_START_SECONDS)

    def _write_credentials(self) -> None:
        for name, text in (
            ("service-account.key", credentials.new_signing_key()),
            ("tokens.csv", credentials.token_file(self._tokens)),
            ("audit-policy.json", json.dumps(self.tuning.audit_policy)),
        ):
            self._write_secret(name, text)

    def _write_secret(self, name: str, text: str) -> Path:
        path = self.workdir / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _start_api(self) -> None:
        client, peer, secure = free_ports(3)
        etcd_url = f"http://127.0.0.1:{client}"
        etcd = self._spawn(
            "etcd",
            str(self.assets.etcd),
            f"--data-dir={self.workdir / f'etcd-{client}'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
            # As kubeadm sets it: bookmarks of kinds that nobody changes rest on it, and etcd's default is ten minutes.
            "--watch-progress-notify-interval=5s",
        )
        self.api_url = f"https://127.0.0.1:{secure}"
        server = self._spawn(
            "kube-apiserver",
            str(self.assets.kube_apiserver),
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={secure}",
            f"--cert-dir={self.workdir / 'certs'}",
            f"--service-account-key-file={self.workdir / 'service-account.key'}",
            f"--service-account-signing-key-file={self.workdir / 'service-account.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self.workdir / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--allow-privileged",
            f"--audit-policy-file={self.workdir / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=1000",
        )
        self._wait(etcd, f"{etcd_url}/health")
        processes.wait_ready(server, self._api_ready, timeout_seconds=_START_SECONDS)
        self._write_kubeconfig(self.kubeconfig.name, token=self._tokens["admin"])

    def _api_ready(self) -> bool:
        try:
            self.request("GET", "/readyz")
            self.request("GET", "/api/v1/namespaces/default")
        except (OSError, CommandFailed):
            return False
        return True

    def _spawn_controllers(self) -> list[tuple[Child, str]]:
        started = []
        for name, binary, extra in (
            (
                "controller-manager",
                self.assets.kube_controller_manager,
                [f"--service-account-private-key-file={self.workdir / 'service-account.key'}",
                 "--use-service-account-credentials",
                 *self.tuning.controller_flags()],
            ),
            ("scheduler", self.assets.kube_scheduler, []),
        ):  # fmt: skip
            config = self._write_kubeconfig(f"{name}.kubeconfig", token=self._tokens[name])
            port = free_port()
            child = self._spawn(
                f"kube-{name}",
                str(binary),
                f"--kubeconfig={config}",
                f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}",
                "--authentication-skip-lookup=true",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                f"--secure-port={port}",
                f"--kube-api-qps={self.tuning.qps}",
                f"--kube-api-burst={self.tuning.burst}",
                *extra,
            )
            started.append((child, f"https://127.0.0.1:{port}/healthz"))
        return started

    def _spawn_kwok(self, pod_cidr: str) -> tuple[Child, str]:
        stages = self.workdir / "kwok-stages.yaml"
        stages.write_text("\n---\n".join(path.read_text() for path in sorted(self.assets.kwok_stages.glob("*.yaml"))))
        port = free_port()
        child = self._spawn(
            "kwok",
            str(self.assets.kwok),
            f"--kubeconfig={self.kubeconfig}",
            "--manage-all-nodes=true",
            f"--config={stages}",
            f"--cidr={pod_cidr}",
            "--node-ip=10.0.0.1",
            f"--node-lease-duration-seconds={self.tuning.lease_seconds}",
            f"--server-address=127.0.0.1:{port}",
        )
        return child, f"http://127.0.0.1:{port}/healthz"

    def start_prometheus(self, config: str, *, port: int | None = None) -> str:
        """Starts Prometheus with this configuration and returns its URL when it is ready."""
        path = self.workdir / "prometheus.yaml"
        path.write_text(config)
        checked = subprocess.run(
            [str(self.assets.promtool), "check", "config", str(path)], capture_output=True, text=True, check=False
        )
        if checked.returncode != 0:
            raise StartError(f"promtool refuses the configuration:\n{checked.stdout}{checked.stderr}")
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        child = self._spawn(
            "prometheus",
            str(self.assets.prometheus),
            f"--config.file={path}",
            f"--storage.tsdb.path={self.workdir / f'prometheus-{port}'}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        self._wait(child, f"{url}/-/ready")
        return url

    def child(self, name: str) -> Child:
        """The latest started child of this name."""
        return next(child for child in reversed(self.children) if child.name == name)

    def _spawn(self, name: str, *argv: str) -> Child:
        with processes.signals_held():
            child = processes.start(name, argv, logs=self.logs_dir)
            self.children.append(child)
        return child

    def stop(self) -> None:
        """Ends all children; the API server first. Safe to call twice."""
        servers = [child for child in self.children if child.name == "kube-apiserver"]
        for child in [*servers, *(child for child in reversed(self.children) if child not in servers)]:
            child.stop(grace_seconds=0)
        self.children.clear()

    # --- use ---

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """One request as admin; the parsed JSON answer. Raises `CommandFailed` with the server's words on an error."""
        return request_json(
            method, self.api_url + path,
            token=self._tokens["admin"], certificate=self._certificate, body=body, content_type=content_type,
        )  # fmt: skip

    def kubectl(
        self, *args: str, stdin: str | None = None, kubeconfig: Path | None = None, timeout_seconds: float = 60
    ) -> str:
        """Runs kubectl and returns its stdout. Raises `CommandFailed`."""
        return self._run(
            [str(self.assets.kubectl), f"--kubeconfig={kubeconfig or self.kubeconfig}", *args], stdin, timeout_seconds
        )

    def helm(self, *args: str, timeout_seconds: float = 120) -> str:
        """Runs helm as admin, with a separate home, and returns its stdout. Raises `CommandFailed`."""
        return self._run([str(self.assets.helm), f"--kubeconfig={self.kubeconfig}", *args], None, timeout_seconds)

    def _run(self, argv: Sequence[str], stdin: str | None, timeout_seconds: float) -> str:
        home = self.workdir / "home"
        home.mkdir(exist_ok=True)
        try:
            done = subprocess.run(
                argv, input=stdin, capture_output=True, text=True, timeout=timeout_seconds, check=False,
                env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise CommandFailed(argv, _TIMED_OUT, "", f"not done after {timeout_seconds:.0f} s") from late
        if done.returncode != 0:
            raise CommandFailed(argv, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def service_account_kubeconfig(
        self, namespace: str, name: str, *, duration_seconds: int = 7200, pod: str = ""
    ) -> Path:
        """A kubeconfig with a token of this ServiceAccount, by TokenRequest; `pod`: bound to that pod, as the kubelet
        asks for it, so that the token names the pod's node."""
        bound = {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod}} if pod else {}
        answer = self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": duration_seconds} | bound,
            },
        )
        file_name = f"{namespace}-{name}{pod and f'-{pod}'}.kubeconfig"
        return self._write_kubeconfig(file_name, token=answer["status"]["token"], namespace=namespace)

    def apply_gateway_api_crds(self) -> None:
        """Installs the standard channel of the Gateway API."""
        self.kubectl("apply", "--server-side", "-f", str(self.assets.gateway_api_crds))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s",
                     "crd/gateways.gateway.networking.k8s.io", "crd/httproutes.gateway.networking.k8s.io")  # fmt: skip

    def apply_inference_pool_crds(self) -> None:
        """Installs InferencePool, of the Gateway API Inference Extension."""
        self.kubectl("apply", "--server-side", "-f", str(self.assets.inference_pool_crds))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s",
                     "crd/inferencepools.inference.networking.k8s.io")  # fmt: skip

    def audit_events(self, *, since: float | None = None) -> list[dict[str, Any]]:
        """The API server's audit events, oldest first; `since` in Unix seconds."""
        return audit.read_events(self.audit_log, since=since)

    def gather_logs(self, to: Path) -> None:
        """Copies all logs into the folder `to`."""
        shutil.copytree(self.logs_dir, to, dirs_exist_ok=True)

    @property
    def _certificate(self) -> Path:
        return self.workdir / "certs" / "apiserver.crt"

    def _write_kubeconfig(self, file_name: str, *, token: str, namespace: str = "default") -> Path:
        text = credentials.kubeconfig(
            server=self.api_url, certificate=self._certificate.read_bytes(), token=token, namespace=namespace
        )
        return self._write_secret(file_name, text)
