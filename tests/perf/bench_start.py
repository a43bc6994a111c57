"""`make bench-start`: CPU and wall time of `medley --help` and of a plan of the quickstart, beside a bare Python.

All run in turns, each in a process of its own, from compiled modules as an installation has them. Modules are counted
because a machine that is busy changes times, and not them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.perf.cpu import CpuClock
from tests.perf.report import parser_of, write_json

ROOT = Path(__file__).parents[2]
_MEDLEY = "import sys; from medley_operator.cli.main import main; sys.exit(main(sys.argv[1:]))"
COMMANDS: Mapping[str, tuple[tuple[str, ...], float]] = {
    "python -c pass": (("pass",), 0.0),
    "medley --help": ((_MEDLEY, "--help"), 0.3),
    "medley plan -f examples/quickstart": ((_MEDLEY, "plan", "-f", "examples/quickstart"), 1.5),
}
"""What `python -c` is given, and the goal in wall seconds; 0: the baseline, which has none."""


@dataclass(frozen=True, slots=True)
class Start:
    """Medians, in seconds, and the number of modules that were loaded."""

    cpu_seconds: float
    wall_seconds: float
    modules: int


def environment(compiled: str) -> dict[str, str]:
    """With a folder of its own for compiled modules, so that the first run of each command fills it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPYCACHEPREFIX": compiled}


def loaded_modules(words: tuple[str, ...], env: Mapping[str, str]) -> int:
    """Also compiles what a command loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", *words],
        cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return sum(line.startswith("import time:") for line in done.stderr.splitlines()) - 1


def once(words: tuple[str, ...], env: Mapping[str, str]) -> tuple[float, float]:
    """(CPU seconds, wall seconds)."""
    clock, begins = CpuClock(), time.perf_counter()
    subprocess.run([sys.executable, "-c", *words], cwd=ROOT, env=env, capture_output=True, check=True)
    return clock.child_seconds(), time.perf_counter() - begins


def measured(rounds: int) -> dict[str, Start]:
    with tempfile.TemporaryDirectory(prefix="medley-start-") as compiled:
        env = environment(compiled)
        modules = {name: loaded_modules(words, env) for name, (words, _) in COMMANDS.items()}
        turns = [{name: once(words, env) for name, (words, _) in COMMANDS.items()} for _ in range(rounds)]
    return {
        name: Start(
            cpu_seconds=statistics.median(turn[name][0] for turn in turns),
            wall_seconds=statistics.median(turn[name][1] for turn in turns),
            modules=modules[name],
        )
        for name in COMMANDS
    }


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="times that each command is run; medians count")
    options = parser.parse_args()
    starts = measured(options.rounds)
    table = Table("command", "CPU, s", "wall, s", "goal, s", "modules")
    for name, start in starts.items():
        goal = COMMANDS[name][1]
        table.add_row(
            name,
            f"{start.cpu_seconds:.3f}",
            f"{start.wall_seconds:.3f}",
            f"{goal:.1f}" if goal else "",
            str(start.modules),
        )
    Console().print(table)
    missed = [name for name, start in starts.items() if 0 < COMMANDS[name][1] < start.wall_seconds]
    for name in missed:
        print(f"{name} took longer than its goal")
    write_json(options.json, {name: asdict(start) for name, start in starts.items()})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
