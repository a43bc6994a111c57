"""The control plane itself: it runs what is applied, knows who asks, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.controlplane import CommandFailed, ControlPlane, StartError, ensure_assets, kwok_node

pytestmark = pytest.mark.contract
ROOT = Path(__file__).parents[2]


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


def _gone(pid: int, *, within_seconds: float = 10) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


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


def test_nothing_is_left_after_the_block(tmp_path: Path) -> None:
    with ControlPlane.start(controllers=False, kwok=False, workdir=tmp_path) as plane:
        pids = [child.pid for child in plane.children]
        assert len(pids) == 2
    assert all(_gone(pid) for pid in pids)
    assert (tmp_path / "logs" / "kube-apiserver.log").exists()


def test_a_failed_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho 'this server is broken on purpose'\nexit 7\n")
    broken.chmod(0o755)
    assets = dataclasses.replace(ensure_assets(), kube_apiserver=broken)
    with (
        pytest.raises(StartError, match=r"kube-apiserver ended with status 7(.|\n)*broken on purpose"),
        ControlPlane.start(controllers=False, kwok=False, workdir=tmp_path, assets=assets),
    ):
        pytest.fail("started")
    left = subprocess.run(["pgrep", "-f", f"--data-dir={tmp_path}"], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_ctrl_c_leaves_nothing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "e2e.controlplane", "up"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("export KUBECONFIG=")
    workdir = Path(line.strip().removeprefix("export KUBECONFIG=")).parent
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    left = subprocess.run(["pgrep", "-f", str(workdir)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    assert not workdir.exists()
