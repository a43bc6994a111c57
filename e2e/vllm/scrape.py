"""The real Prometheus beside the engine, with the labels that the operator's queries ask for. Loopback only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from e2e.controlplane import Assets, free_port
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import signals_held, start, wait_ready
from e2e.prometheus import ENGINE_JOB

_READY_SECONDS = 60.0
LABELS = {
    "namespace": "e2e",
    "medley_dev_service": "vllm",
    "medley_dev_variant": "cpu",
    "pod_template_hash": "0",
    "pod": "vllm-0",
}


@contextmanager
def scraped(engine_url: str, assets: Assets) -> Iterator[str]:
    """The URL of a Prometheus that scrapes the engine each second until the context ends. Raises `StartError`."""
    target = engine_url.removeprefix("http://")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": ENGINE_JOB, "static_configs": [{"targets": [target], "labels": LABELS}]}],
    }
    with tempfile.TemporaryDirectory(prefix="medley-prometheus-") as folder:
        path = Path(folder) / "prometheus.yaml"
        path.write_text(yaml.safe_dump(config))
        port = free_port()
        argv = [
            str(assets.prometheus), f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        with signals_held():
            child = start("prometheus", argv, logs=Path(folder))
        try:
            wait_ready(child, lambda: answers(f"http://127.0.0.1:{port}/-/ready"), timeout_seconds=_READY_SECONDS)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.stop(grace_seconds=10)
