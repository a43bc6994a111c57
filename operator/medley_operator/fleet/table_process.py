"""The child process that simulates one capacity table: reads its key from standard input, writes the outcome, ends.

Outside the operator because it computes for seconds, and at the lowest priority because nobody waits for it: engines
are planned by the closed form until then. Both ends are our own code and the pipes are private to them.

Apart: entry point of a process.
"""

from __future__ import annotations

import os
import sys
import traceback

from medley_operator.fleet.worker_process import read_message, tie_to_parent, write_message
from medley_planner.capacity import TableKey
from medley_planner.capacity.simulated import simulate_table

LOWEST_PRIORITY = 19


def main(parent_pid: int) -> None:
    tie_to_parent(parent_pid)
    os.nice(LOWEST_PRIORITY)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    (key,) = read_message(sys.stdin.buffer)
    write_message(answers, _outcome(key))


def _outcome(key: TableKey) -> tuple[tuple[float, ...], tuple[float, ...]] | str:
    """Simulated and closed-form rates, or why there are none."""
    try:
        table = simulate_table(key)
    except ValueError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - an engine that breaks the simulator must not look like a lost process
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return table.simulated_rps, table.closed_form_rps


if __name__ == "__main__":
    main(int(sys.argv[1]))
