"""One running product for all scenarios of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.harness import EXAMPLES, Harness


@pytest.fixture(scope="session")
def harness() -> Iterator[Harness]:
    """The whole product, with examples/quickstart applied; logs are kept where something fails."""
    logs = Path(tempfile.mkdtemp(prefix="medley-e2e-logs-"))
    with Harness.start(say=print, logs_to=logs) as running:
        running.apply(EXAMPLES / "quickstart" / "namespace.yaml", EXAMPLES / "quickstart")
        yield running
        running.plane.gather_logs(logs)
        print(f"logs are in {logs}")
