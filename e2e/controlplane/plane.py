"""Starts and stops a real control plane on loopback: etcd, API server, controller manager, scheduler, kwok, Prometheus.

Everything lives in one folder, on free ports, and ends with this process: on leaving the context, on an exception, on
Ctrl-C and on a failed start. The API server is stopped first, since it lingers for half a minute once etcd is gone.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.controlplane import processes
from e2e.controlplane.build import Assets, ensure_assets
from e2e.controlplane.errors import CommandFailed, StartError
from e2e.controlplane.processes import Child

_START_SECONDS = 60.0
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ControlPlane:
    """A running control plane. Made by `ControlPlane.start`, which stops it at the end of the with block."""

    def __init__(self, assets: Assets, workdir: Path) -> None:
        self.assets = assets
        self.workdir = workdir
        self.logs_dir = workdir / "logs"
        self.kubeconfig = workdir / "admin.kubeconfig"
        self.audit_log = self.logs_dir / "audit.log"
        self.api_url = ""
        self.children: list[Child] = []
        self._tokens = {name: secrets.token_hex(16) for name in ("admin", "controller-manager", "scheduler")}

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
    ) -> Iterator[ControlPlane]:
        """A control plane that is ready.

        `controllers`: with controller manager and scheduler; `kwok`: with what plays the nodes' kubelets. Raises
        `BuildError` or `StartError`.
        """
        assets = assets or ensure_assets()
        folder = Path(tempfile.mkdtemp(prefix="medley-controlplane-")) if workdir is None else workdir
        plane = cls(assets, folder)
        try:
            plane._start(controllers=controllers, kwok=kwok, pod_cidr=pod_cidr)
            yield plane
        finally:
            plane.stop()
            if workdir is None:
                shutil.rmtree(folder, ignore_errors=True)

    # --- start and stop ---

    def _start(self, *, controllers: bool, kwok: bool, pod_cidr: str) -> None:
        self.logs_dir.mkdir(parents=True, exist_ok=True)
        self._write_credentials()
        try:
            self._start_api()
        except StartError as first:
            # A free port may be taken by somebody else between the look and the start.
            if "address already in use" not in str(first):
                raise
            self.stop()
            self._start_api()
        if controllers:
            self._start_controllers()
        if kwok:
            self._start_kwok(pod_cidr)

    def _write_credentials(self) -> None:
        key = self.workdir / "service-account.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        users = (
            f"{self._tokens['admin']},admin,admin,system:masters\n"
            f"{self._tokens['controller-manager']},system:kube-controller-manager,kcm\n"
            f"{self._tokens['scheduler']},system:kube-scheduler,scheduler\n"
        )
        for name, text in (("tokens.csv", users), ("audit-policy.json", json.dumps(_AUDIT_POLICY))):
            (self.workdir / name).write_text(text)
            (self.workdir / name).chmod(0o600)

    def _start_api(self) -> None:
        client, peer, secure = free_port(), free_port(), free_port()
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
        processes.wait_ready(etcd, lambda: _answers(f"{etcd_url}/health"), timeout_seconds=_START_SECONDS)
        processes.wait_ready(server, self._api_ready, timeout_seconds=_START_SECONDS)
        self.kubeconfig.write_text(self._kubeconfig(self._tokens["admin"]))
        self.kubeconfig.chmod(0o600)

    def _api_ready(self) -> bool:
        try:
            self.request("GET", "/readyz")
            self.request("GET", "/api/v1/namespaces/default")
        except (OSError, CommandFailed):
            return False
        return True

    def _start_controllers(self) -> None:
        for name, binary, extra in (
            (
                "controller-manager",
                self.assets.kube_controller_manager,
                [f"--service-account-private-key-file={self.workdir / 'service-account.key'}",
                 "--use-service-account-credentials"],
            ),
            ("scheduler", self.assets.kube_scheduler, []),
        ):  # fmt: skip
            config = self.workdir / f"{name}.kubeconfig"
            config.write_text(self._kubeconfig(self._tokens[name]))
            config.chmod(0o600)
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
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                *extra,
            )
            url = f"https://127.0.0.1:{port}/healthz"
            processes.wait_ready(child, lambda url=url: _answers(url), timeout_seconds=_START_SECONDS)  # type: ignore[misc]

    def _start_kwok(self, pod_cidr: str) -> None:
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
            "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{port}",
        )
        processes.wait_ready(
            child, lambda: _answers(f"http://127.0.0.1:{port}/healthz"), timeout_seconds=_START_SECONDS
        )

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
        processes.wait_ready(child, lambda: _answers(f"{url}/-/ready"), timeout_seconds=_START_SECONDS)
        return url

    def child(self, name: str) -> Child:
        """The latest started child of this name."""
        return next(child for child in reversed(self.children) if child.name == name)

    def _spawn(self, name: str, *argv: str) -> Child:
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
        request = urllib.request.Request(
            self.api_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._tokens['admin']}", "Content-Type": content_type},
        )
        context = ssl.create_default_context(cafile=str(self.workdir / "certs" / "apiserver.crt"))
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise CommandFailed([method, path], error.code, "", error.read().decode(errors="replace")) from error
        return json.loads(text) if text[:1] in "{[" else text

    def kubectl(
        self, *args: str, stdin: str | None = None, kubeconfig: Path | None = None, timeout_seconds: float = 60
    ) -> str:
        """Runs kubectl and returns its stdout. Raises `CommandFailed`."""
        return self._run(
            [str(self.assets.kubectl), f"--kubeconfig={kubeconfig or self.kubeconfig}", *args], stdin, timeout_seconds
        )

    def helm(self, *args: str, timeout_seconds: float = 120) -> str:
        """Runs helm as admin, with a home of its own, and returns its stdout. Raises `CommandFailed`."""
        return self._run([str(self.assets.helm), f"--kubeconfig={self.kubeconfig}", *args], None, timeout_seconds)

    def _run(self, argv: Sequence[str], stdin: str | None, timeout_seconds: float) -> str:
        home = self.workdir / "home"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout_seconds, check=False,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        if done.returncode != 0:
            raise CommandFailed(argv, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def service_account_kubeconfig(self, namespace: str, name: str, *, duration_seconds: int = 7200) -> Path:
        """A kubeconfig with a token of this ServiceAccount, by TokenRequest."""
        answer = self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": duration_seconds},
            },
        )
        path = self.workdir / f"{namespace}-{name}.kubeconfig"
        path.write_text(self._kubeconfig(answer["status"]["token"], namespace=namespace))
        path.chmod(0o600)
        return path

    def apply_gateway_api_crds(self) -> None:
        """Installs the standard channel of the Gateway API."""
        for path in sorted(self.assets.gateway_api_crds.glob("gateway.networking.k8s.io_*s.yaml")):
            self.kubectl("apply", "--server-side", "-f", str(path))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s",
                     "crd/gateways.gateway.networking.k8s.io", "crd/httproutes.gateway.networking.k8s.io")  # fmt: skip

    def audit_events(self, *, since: float | None = None) -> list[dict[str, Any]]:
        """The API server's audit events, oldest first; `since` in Unix seconds."""
        events: list[dict[str, Any]] = []
        for line in self.audit_log.read_text().splitlines():
            event = json.loads(line)
            if since is None or _unix_seconds(event["requestReceivedTimestamp"]) >= since:
                events.append(event)
        return events

    def gather_logs(self, to: Path) -> None:
        """Copies all logs into the folder `to`."""
        shutil.copytree(self.logs_dir, to, dirs_exist_ok=True)

    def _kubeconfig(self, token: str, *, namespace: str = "default") -> str:
        authority = base64.b64encode((self.workdir / "certs" / "apiserver.crt").read_bytes()).decode()
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": "medley", "cluster": {"server": self.api_url, "certificate-authority-data": authority}}
                ],
                "users": [{"name": "user", "user": {"token": token}}],
                "contexts": [
                    {"name": "medley", "context": {"cluster": "medley", "user": "user", "namespace": namespace}}
                ],
                "current-context": "medley",
            }
        )


def _answers(url: str) -> bool:
    """Whether a loopback server answers with a good status; its own certificate is not what is asked about."""
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return 200 <= int(answer.status) < 300
    except OSError:
        return False


def _unix_seconds(timestamp: str) -> float:
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    seconds = time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone
    return seconds + float(f"0.{fraction or 0}")
