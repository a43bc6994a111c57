"""The API server's audit log: the policy that says what is written, and reading it while the server runs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def read_events(log: Path, *, since: float | None = None) -> list[dict[str, Any]]:
    """The events of `log`, oldest first; `since`, in Unix seconds, leaves out requests received before."""
    lines = log.read_text().splitlines(keepends=True)
    # The server may be in the middle of the last line.
    events: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("\n")]
    if since is None:
        return events
    return [event for event in events if unix_seconds(event["requestReceivedTimestamp"]) >= since]


def read_new(log: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The whole events of `log` from this byte on, and where to read on."""
    with log.open("rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


def unix_seconds(timestamp: str) -> float:
    """Unix seconds of a Kubernetes timestamp, such as 2026-01-31T08:15:30.123456Z."""
    return datetime.fromisoformat(timestamp).timestamp()
