"""Node agents as processes on the fake NVML: `medley agent` as its pod runs it, with boards in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.nvml.registers import FakeRegisters

ENTRY = "import sys; from medley_operator.cli.main import main; sys.exit(main())"


@contextmanager
def running_agent(
    kubeconfig: Path, node: str, registers: FakeRegisters, library: Mapping[str, str], log: Path, *, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """`library`: what `build` returned. Killed at the end, where it still runs."""
    words = ("--node", node, "--bind-address", "127.0.0.1", "--port", str(port))
    environment = {
        **os.environ,
        **library,
        "KUBECONFIG": str(kubeconfig),
        "FAKE_NVML_REGISTERS": str(registers.path),
    }
    with log.open("ab") as stream:
        process = subprocess.Popen([sys.executable, "-c", ENTRY, "agent", *words], stderr=stream, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
