"""The control plane itself: it runs what is applied, knows who asks, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.controlplane import CommandFailed, ControlPlane, StartError, ensure_assets, kwok_node
from e2e.controlplane import plane as plane_module
from e2e.controlplane.ports import free_ports

pytestmark = pytest.mark.contract
ROOT = Path(__file__).parents[2]
PROMETHEUS_CONFIG = json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": []})


def _deployment(name: str) -> str:
    labels = {"app": name}
    container = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )


def _all_gone(pids: list[int], *, within_seconds: float = 10) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def _up(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`python -m e2e.controlplane up` with its temporary folder in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "e2e.controlplane", "up"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_deployment_that_asks_for_gpus_becomes_available(control_plane: ControlPlane) -> None:
    control_plane.request("POST", "/api/v1/nodes", kwok_node("gpu-plane-0", gpus=2))
    control_plane.kubectl("apply", "-f", "-", stdin=_deployment("asks-for-gpus"))
    control_plane.kubectl("wait", "--for=condition=Available", "deployment/asks-for-gpus", "--timeout=40s")
    control_plane.kubectl("delete", "deployment/asks-for-gpus", "node/gpu-plane-0")


def test_a_service_account_is_itself_and_is_denied_what_rbac_does_not_give(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "serviceaccount", "nobody")
    kubeconfig = control_plane.service_account_kubeconfig("default", "nobody")
    since = time.time() - 1
    who = control_plane.kubectl("auth", "whoami", kubeconfig=kubeconfig)
    assert "system:serviceaccount:default:nobody" in who
    with pytest.raises(CommandFailed, match="forbidden"):
        control_plane.kubectl("get", "nodes", kubeconfig=kubeconfig)
    denied = [
        event
        for event in control_plane.audit_events(since=since)
        if event["user"]["username"] == "system:serviceaccount:default:nobody"
        and event["responseStatus"]["code"] == 403
    ]
    assert [event["objectRef"]["resource"] for event in denied] == ["nodes"]


def test_nothing_is_left_after_the_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    with ControlPlane.start(workdir=tmp_path / "plane") as plane:
        seconds = time.monotonic() - started
        with capsys.disabled():
            print(f" up after {seconds:.1f} s ", end="")
        assert seconds < 60
        plane.start_prometheus(PROMETHEUS_CONFIG)
        plane.apply_gateway_api_crds()
        assert "httproutes" in plane.kubectl("api-resources", "--api-group=gateway.networking.k8s.io", "-o", "name")
        pids = [child.pid for child in plane.children]
        assert len(pids) == 6
        plane.gather_logs(tmp_path / "gathered")
    assert _all_gone(pids)
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "prometheus", "audit")
    assert all((tmp_path / "gathered" / f"{name}.log").exists() for name in names)


def _fail_inside(planes: list[ControlPlane], pids: list[int]) -> None:
    with ControlPlane.start(controllers=False, kwok=False) as plane:
        planes.append(plane)
        pids += [child.pid for child in plane.children]
        raise ZeroDivisionError


def test_nothing_is_left_after_an_exception() -> None:
    planes: list[ControlPlane] = []
    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        _fail_inside(planes, pids)
    assert len(pids) == 2
    assert _all_gone(pids)
    assert not planes[0].workdir.exists()


def test_a_failed_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho 'this server is broken on purpose'\nexit 7\n")
    broken.chmod(0o755)
    before = _children_of(os.getpid())
    assets = dataclasses.replace(ensure_assets(), kube_apiserver=broken)
    with (
        pytest.raises(StartError, match=r"kube-apiserver ended with status 7(.|\n)*broken on purpose"),
        ControlPlane.start(controllers=False, kwok=False, workdir=tmp_path, assets=assets),
    ):
        pytest.fail("started")
    assert _children_of(os.getpid()) == before


def test_a_port_that_somebody_else_took_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        choices = iter([[*free_ports(2), port], free_ports(3)])
        monkeypatch.setattr(plane_module, "free_ports", lambda count: next(choices))
        with ControlPlane.start(controllers=False, kwok=False, workdir=tmp_path) as plane:
            assert not plane.api_url.endswith(f":{port}")
            assert plane.request("GET", "/version")["gitVersion"].startswith("v1.")
        assert next(choices, None) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with _up(tmp_path) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"export KUBECONFIG={tmp_path}/")
        pids = _children_of(process.pid)
        assert len(pids) == 5
        process.send_signal(number)
        process.wait(timeout=20)
        assert _all_gone(pids)
        if number != signal.SIGKILL:
            assert process.returncode == 130
            assert list(tmp_path.iterdir()) == []


def test_ctrl_c_during_the_start_leaves_no_process(tmp_path: Path) -> None:
    with _up(tmp_path) as process:
        deadline = time.monotonic() + 20
        while not (pids := _children_of(process.pid)) or not list(tmp_path.glob("*/logs/etcd.log")):
            assert time.monotonic() < deadline, "no child was started"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        assert process.returncode == 130
        assert _all_gone(pids)
        assert list(tmp_path.iterdir()) == []
