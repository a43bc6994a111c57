"""The errors of each group of measured runs, from the runs with their predictions. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tests.perf.truth.closed_loop import LoadTest
from tests.perf.truth.open_loop import OpenLoop, Saturation

LONG_PROMPT_TOKENS, FEW_CLIENTS = 1800.0, 16.0
"""First tokens of load tests are scored for prompts of 2k and more (80 % of the nominal length at least) and few
clients: beyond these they show how the test starts and queues, and less how fast the engine is."""
WORSE = 0.15
"""Mean absolute errors above this are limits that the README names."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`bias`: mean relative error, above 0 where too much is predicted. `error`: mean absolute relative error."""

    bias: float
    error: float

    @classmethod
    def of(cls, errors: Iterable[float | None]) -> Figure | None:
        """None without any."""
        known = [error for error in errors if error is not None]
        return cls(fmean(known), fmean(map(abs, known))) if known else None


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one group of runs, by name; None where no run has the figure."""

    model: str
    gpu: str
    precision: str
    engine: str
    runs: int
    figures: dict[str, Figure | None]

    @property
    def name(self) -> str:
        return f"{self.model} on {self.gpu} in {self.precision} ({self.engine})"


def closed_loop_scores(rows: Sequence[LoadTest]) -> list[Score]:
    """By model, GPU, format, engine and its version."""
    groups: dict[tuple[str, str, str, str], list[LoadTest]] = defaultdict(list)
    for row in rows:
        groups[(*row.group, f"{row.engine} {row.version}")].append(row)
    return [
        Score(
            *key,
            runs=len(some),
            figures={
                "TPOT": Figure.of(row.tpot_error for row in some),
                "TTFT": Figure.of(row.ttft_error for row in some if shows_prefill(row)),
            },
        )
        for key, some in sorted(groups.items())
    ]


def shows_prefill(row: LoadTest) -> bool:
    """Whether its time to first token is scored."""
    asked = row.question
    return asked.prompt_tokens >= LONG_PROMPT_TOKENS and (asked.concurrency or 0.0) <= FEW_CLIENTS


def open_loop_scores(runs: Sequence[OpenLoop]) -> list[Score]:
    """By model, then dense models and mixtures together, and mixtures by whether the engine had served before."""
    groups: dict[str, list[OpenLoop]] = defaultdict(list)
    for run in runs:
        groups[run.model].append(run)
        groups["all dense" if not run.mixture else "all mixtures"].append(run)
        if run.mixture:
            groups["all mixtures, first stage" if run.first_stage else "all mixtures, later stages"].append(run)
    groups["all"] = list(runs)
    names = {"ITL": "itl", "TTFT": "ttft", "TTFT p99": "ttft_p99", "E2E": "e2e"}
    return [
        Score(
            model,
            some[0].gpu,
            "BF16",
            "vllm 0.15.1",
            len(some),
            {told: Figure.of(run.error(name) for run in some) for told, name in names.items()},
        )
        for model, some in groups.items()
    ]


def median_ratios(runs: Sequence[Saturation]) -> dict[str, float]:
    """Simulated over measured duration, the median of each GPU."""
    by_gpu: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        by_gpu[run.gpu].append(run.ratio)
    return {name: median(ratios) for name, ratios in sorted(by_gpu.items())}


def limits(scores: Iterable[Score]) -> list[tuple[Score, str]]:
    """The scores that are off by more than `WORSE`, with the figure's name."""
    return [
        (score, name)
        for score in scores
        for name, figure in score.figures.items()
        if figure is not None and figure.error > WORSE
    ]
