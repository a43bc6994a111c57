"""The check's result for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from e2e.vllm.check import Check

_COLUMNS = ("load", "predicted from", "TPOT", "predicted", "error", "spread", "bound", "", "TTFT", "predicted", "error")
_FILE_WIDTH = 150


def print_checks(checks: Sequence[Check]) -> None:
    table = Table(title="Mean latency of loads that were not profiled, in ms")
    for number, column in enumerate(_COLUMNS):
        table.add_column(column, justify="left" if number < 2 else "right")
    for check in checks:
        tpot, ttft = check.tpot, check.ttft
        verdict = ("ok" if check.holds else "MISSED") if check.judged else ""
        table.add_row(
            check.load, check.source, f"{tpot.measured * 1e3:.1f}", f"{tpot.predicted * 1e3:.1f}", f"{tpot.error:+.0%}",
            f"{tpot.spread:.0%}", f"{tpot.bound:.0%}" if check.judged else "", verdict,
            f"{ttft.measured * 1e3:.0f}", f"{ttft.predicted * 1e3:.0f}", f"{ttft.error:+.0%}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)
