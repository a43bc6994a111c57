"""The small parts of the control plane: ports, signing keys, the audit log and child processes."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from e2e.controlplane import StartError, processes
from e2e.controlplane.audit import read_events, unix_seconds
from e2e.controlplane.credentials import kubeconfig, new_signing_key
from e2e.controlplane.ports import free_ports


def test_ports_are_all_different() -> None:
    assert len(set(free_ports(50))) == 50


def test_each_signing_key_is_new_and_well_formed() -> None:
    key = new_signing_key()
    assert key != new_signing_key()
    head, *body, tail = key.splitlines()
    assert (head, tail) == ("-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----")
    der = base64.b64decode("".join(body))
    assert len(der) == der[1] + 2 == 51


def test_a_kubeconfig_names_server_user_and_namespace() -> None:
    config = json.loads(kubeconfig(server="https://127.0.0.1:1", certificate=b"pem", token="t", namespace="n"))  # noqa: S106
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert config["users"][0]["user"]["token"] == "t"  # noqa: S105
    assert config["contexts"][0]["context"]["namespace"] == "n"


def test_audit_events_leave_out_what_came_before_and_half_a_line(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    old, new = "2026-07-01T12:00:00.000000Z", "2026-07-01T12:00:01.500000Z"
    whole = "".join(json.dumps({"requestReceivedTimestamp": stamp}) + "\n" for stamp in (old, new))
    log.write_text(whole + '{"requestRec')
    assert len(read_events(log)) == 2
    assert [event["requestReceivedTimestamp"] for event in read_events(log, since=unix_seconds(old) + 1)] == [new]


def test_audit_times_are_utc_whatever_the_local_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert unix_seconds("2026-07-01T12:00:00.250000Z") == 1782907200.25
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_stopped_child_takes_its_own_children_along(tmp_path: Path) -> None:
    child = processes.start("shell", ["/bin/sh", "-c", "sleep 300 & echo $!; wait"], logs=tmp_path)
    processes.wait_ready(child, lambda: child.log_tail().strip() != "", timeout_seconds=10)
    grandchild = Path(f"/proc/{int(child.log_tail())}")
    assert grandchild.exists()
    child.stop(grace_seconds=0)
    deadline = time.monotonic() + 10
    while grandchild.exists() and "Z" not in (grandchild / "stat").read_text().split():
        assert time.monotonic() < deadline, "the grandchild still runs"
        time.sleep(0.05)


def test_a_child_that_ends_early_is_said_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = processes.start("loud", ["/bin/sh", "-c", "seq 1 100; exit 3"], logs=tmp_path)
    with pytest.raises(StartError) as caught:
        processes.wait_ready(child, lambda: False, timeout_seconds=10)
    lines = str(caught.value).splitlines()
    assert "loud ended with status 3" in lines[0]
    assert lines[1:] == [str(number) for number in range(71, 101)]


def test_a_child_that_is_never_ready_is_said_after_the_deadline(tmp_path: Path) -> None:
    child = processes.start("slow", ["/bin/sh", "-c", "echo waiting; sleep 300"], logs=tmp_path)
    try:
        with pytest.raises(StartError, match=r"slow is not ready after 0 s.*\nwaiting"):
            processes.wait_ready(child, lambda: False, timeout_seconds=0.4)
    finally:
        child.stop(grace_seconds=0)
    assert not Path(f"/proc/{child.pid}").exists()
