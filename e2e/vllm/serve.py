"""Starts the real engine on loopback and ends it by its process id. `start` returns once it answers."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.controlplane import free_port
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child, signals_held, start, wait_ready
from e2e.vllm.install import Installed
from e2e.vllm.model import NAME, write_model

START_SECONDS = 900.0
"""A minute on an idle machine; others may be busy on it."""
TOKEN_BUDGET = 512
MAX_SEQUENCES = 16
MAX_MODEL_LEN = 2048


@dataclass(frozen=True, slots=True)
class ServedEngine:
    url: str
    child: Child


@contextmanager
def served(installed: Installed, *, progress: Callable[[str], None]) -> Iterator[ServedEngine]:
    """An engine that serves the small model until the context ends. Raises `StartError` with the end of its log."""
    # Eager, since compiling takes minutes where cores are few, and a C++ compiler; steps then take a little longer.
    with tempfile.TemporaryDirectory(prefix="medley-vllm-") as folder:
        model = write_model(Path(folder) / "model")
        port = free_port()
        argv = [
            str(installed.python), "-m", "vllm.entrypoints.cli.main", "serve", str(model), "--served-model-name", NAME,
            "--load-format", "dummy", "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16",
            "--max-model-len", str(MAX_MODEL_LEN), "--max-num-seqs", str(MAX_SEQUENCES),
            "--max-num-batched-tokens", str(TOKEN_BUDGET), "--disable-uvicorn-access-log", "--enforce-eager",
        ]  # fmt: skip
        progress("starting the engine; about a minute")
        with signals_held():
            child = start("vllm", argv, logs=Path(folder), environment=_environment(installed))
        try:
            wait_ready(child, lambda: answers(f"http://127.0.0.1:{port}/health"), timeout_seconds=START_SECONDS)
            progress(f"engine answers at http://127.0.0.1:{port}")
            yield ServedEngine(f"http://127.0.0.1:{port}", child)
        finally:
            child.stop(grace_seconds=20)
            # An engine that is ended while it starts leaves its workers behind; they are of its process group.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def cores() -> int:
    """Those that the engine computes on; one is left to the load generator, the HTTP server and Prometheus.

    Threads of a step wait for each other: where they share cores with others, steps take several times as long.
    """
    return max(1, (os.cpu_count() or 1) - 1)


def _environment(installed: Installed) -> dict[str, str]:
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(installed.home / "compiled"),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(cores()),
        # Its subprocesses must not take Medley's packages for their own.
        "PYTHONPATH": "",
    }
