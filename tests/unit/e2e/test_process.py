"""The fleet as a separate process: it serves while the cluster is away, and ends when it is stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.controlplane import free_port, processes
from e2e.controlplane.errors import StartError
from e2e.controlplane.processes import Child
from e2e.fleet.kubeconfig import client_of


def kubeconfig(folder: Path, *, server: str = "http://127.0.0.1:1", **user: Any) -> Path:
    path = folder / "kubeconfig"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return path


def started(folder: Path, config: Path, url: str) -> Child:
    port = url.rpartition(":")[2]
    argv = [sys.executable, "-m", "e2e.fleet", f"--kubeconfig={config}", f"--port={port}", "--truth=L4=1.1"]
    return processes.start("fleet", argv, logs=folder)


def serves(url: str) -> bool:
    try:
        return httpx.get(f"{url}/load").is_success
    except httpx.HTTPError:
        return False


def test_a_process_serves_counts_and_ends(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    child = started(tmp_path, kubeconfig(tmp_path), url)
    try:
        processes.wait_ready(child, lambda: serves(url), timeout_seconds=30)
        (problem,) = httpx.get(f"{url}/healthz").json()["problems"]
        assert problem.startswith("cluster: ConnectError")
        load = {"rate_rps": 1000, "prompt_tokens_mean": 10, "generation_tokens_mean": 10}
        since = httpx.put(f"{url}/load/demo/llama", json=load).raise_for_status().json()["since"]
        report: dict[str, Any] = {"requests": 0}
        while report["requests"] == 0:
            asked = {"service": "demo/llama", "since": since, "ttft_s": "1", "tpot_s": "1"}
            report = httpx.get(f"{url}/report", params=asked).json()
        assert report["failures"]["no_backend"] == report["requests"]
        assert report["met_share"] == 0.0
    finally:
        child.stop(grace_seconds=5)
    assert child.process.returncode == 0
    assert not serves(url)


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    child = started(tmp_path, kubeconfig(tmp_path, username="somebody"), "http://127.0.0.1:0")
    with pytest.raises(StartError, match="user 'u' has no token"):
        processes.wait_ready(child, lambda: False, timeout_seconds=30)


def test_a_kubeconfig_without_its_context_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("current-context: gone\ncontexts: []\n")
    with pytest.raises(ValueError, match="no entry 'gone' in contexts"):
        client_of(path)
