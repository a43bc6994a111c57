"""Runs the operator as a user's process does: `python -m medley_operator`, with a kubeconfig, on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from e2e.controlplane import ControlPlane
from e2e.controlplane.plane import free_port
from tests.contract.apiserver import Api

WAIT_SECONDS = 30.0
NAMESPACE = "medley-system"
"""The operator's own."""


def wait_for(
    what: str, holds: Callable[[], bool], *, timeout_seconds: float = WAIT_SECONDS, pause_seconds: float = 0.1
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {what}"
        time.sleep(pause_seconds)


@dataclass(frozen=True)
class OperatorProcess:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """(status, text); status 0 where nothing listens yet."""
        try:
            answer = httpx.get(self.url + path, trust_env=False, timeout=5.0)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def wait_ready(self) -> None:
        wait_for(f"/readyz is 200; log:\n{self.log.read_text()}", lambda: self.get("/readyz")[0] == 200)

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; every line must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> tuple[int, float]:
        """(exit status, seconds) of a polite end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15), time.monotonic() - started

    def worker_pids(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


def chart_account(plane: ControlPlane, admin: Api, root: Path) -> tuple[str, Path]:
    """User name and kubeconfig of the chart's ServiceAccount with exactly the chart's RBAC; `root` of the work tree."""
    admin.kubectl("create", "namespace", NAMESPACE)
    shown = [word for name in ("rbac", "serviceaccount") for word in ("--show-only", f"templates/{name}.yaml")]
    image = ("--set", "image.repository=example/medley")
    manifests = admin.helm("template", "medley", str(root / "helm" / "medley"), "-n", NAMESPACE, *shown, *image)
    admin.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=manifests)
    found = admin.kubectl("get", "serviceaccounts", "-n", NAMESPACE, "-o", "name").split()
    name = next(each for each in (word.removeprefix("serviceaccount/") for word in found) if each != "default")
    return f"system:serviceaccount:{NAMESPACE}:{name}", plane.service_account_kubeconfig(NAMESPACE, name)


def denied(events: list[dict[str, Any]]) -> list[str]:
    """Requests among the audit events that were refused for want of a login or a right."""
    return [
        f"{event['verb']} {event['requestURI']} {event['responseStatus']['code']}"
        for event in events
        if event["responseStatus"]["code"] in (401, 403)
    ]


@contextmanager
def running_operator(kubeconfig: Path, folder: Path, *arguments: str, pod: str = "") -> Iterator[OperatorProcess]:
    """`pod`: the name of the pod that the process takes itself to be in."""
    port = free_port()
    log = folder / f"operator-{port}.log"
    command = [sys.executable, "-m", "medley_operator", "--bind-address", "127.0.0.1", "--port", str(port), *arguments]
    # Nothing is simulated in the background: plans would move at a moment that no test can know.
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "MEDLEY_CAPACITY_CACHE_DIR": ""}
    if pod:
        environment["HOSTNAME"] = pod
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, env=environment)
    try:
        yield OperatorProcess(process, f"http://127.0.0.1:{port}", log)
    finally:
        if process.poll() is None:
            process.kill()  # also where it is stopped
            process.wait()
