"""What `make demo` shows while the control plane is being built: a plan and a replayed day, from the examples alone.

The build runs beside it at a lower priority, in a process of its own, and all that it says is one line.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from rich.console import Console
from rich.status import Status

from e2e.controlplane import ControlPlaneError
from e2e.controlplane.processes import die_with_parent, kill_group

DAY = "--load diurnal:1-6x24h --sizes 500x150 --policy medley,static --startup 100s"
SHOWN = (
    ("A plan, from the YAML that kubectl applies", "plan -f examples/quickstart"),
    ("A day of a service, replayed in the operator's own loop", f"replay -f examples/replay/day.yaml {DAY}"),
)
"""Titles, and what `medley` is asked."""


def show(console: Console) -> None:
    """Prints both, and returns when the control plane is built too. Raises `ControlPlaneError`."""
    with console.status("looking for the control plane") as line, _building(line) as build:
        for title, asked in SHOWN:
            console.rule(title)
            console.print(f"$ medley {asked}", style="bold", highlight=False)
            command = [sys.executable, "-m", "medley_operator", *asked.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            console.print(done.stdout or done.stderr, highlight=False, markup=False)
        if build.wait() != 0:
            raise ControlPlaneError("its build failed: python -m e2e.controlplane build says why")


@contextmanager
def _building(line: Status) -> Iterator[subprocess.Popen[bytes]]:
    command = ["nice", "-n", "5", sys.executable, "-m", "e2e.controlplane", "build"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent()
    ) as build:
        reader = Thread(target=_follow, args=(build, line), daemon=True)
        reader.start()
        try:
            yield build
        finally:
            kill_group(build)
            reader.join()


def _follow(build: subprocess.Popen[bytes], line: Status) -> None:
    assert build.stderr is not None
    for said in build.stderr:
        line.update(said.decode().strip())
