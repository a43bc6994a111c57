"""Shows the progress of a load test to people: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from medley_operator.profile.loads import LoadRun
from medley_operator.profile.samples import Ending, Run, percentile, point_of

_QUIET_SECONDS = 5.0


def result_line(run: Run) -> str:
    """The result of one load, for people."""
    said = ", ".join(f"{count} x {failure}" for failure, count in run.failures.most_common(3))
    failed = f"; failed: {said}" if said else ""
    point = point_of(run)
    if point is None or point.ttft_seconds is None or point.tpot_seconds is None:
        why = {
            Ending.SATURATED: "not used: requests pile up, because the load is more than the server keeps up with",
            Ending.FAILED: "not used: too many requests failed",
            Ending.OUT_OF_TIME: "not used: the time limit ended it",
            Ending.MEASURED: "not used: no request was answered completely",
        }[run.ending]
        return f"{run.load}: {why}{failed}"
    p95 = percentile([sample.tpot_seconds for sample in run.counted], 0.95)
    return (
        f"{run.load}: TTFT {point.ttft_seconds * 1e3:.0f} ms, TPOT {point.tpot_seconds * 1e3:.1f} ms "
        f"(p95 {p95 * 1e3:.1f}), {point.requests} requests{failed}"
    )


class LineReporter:
    """A line per load, and one every few seconds while it runs."""

    def __init__(self, *, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._said_at = clock()
        self._load: LoadRun | None = None
        self._number = 0

    def note(self, message: str) -> None:
        self._write(message)

    def begin(self, number: int, load: LoadRun) -> None:
        self._number, self._load, self._said_at = number, load, self._clock()

    def answered(self, requests: int) -> None:
        now = self._clock()
        if self._load is not None and now - self._said_at >= _QUIET_SECONDS:
            self._said_at = now
            self._write(f"load {self._number}: {requests} of {self._load.requests} answered")

    def end(self, run: Run) -> None:
        self._write(f"load {self._number}: {result_line(run)}")


class BarReporter:
    """A bar for the load that runs, the results above it. A context manager: the bar ends with it."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> BarReporter:
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def note(self, message: str) -> None:
        self._bar.console.print(message, highlight=False, markup=False)

    def begin(self, number: int, load: LoadRun) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(f"load {number}: {load}", total=load.requests)

    def answered(self, requests: int) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=requests)

    def end(self, run: Run) -> None:
        self.note(result_line(run))
