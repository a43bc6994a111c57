"""A whole load test: learns what the endpoint is, runs the loads of a grid one after the other, keeps to a time limit.

A `Reporter` gets what happens; a terminal and a log show it differently.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from medley_operator.metrics.engine_names import EVERY_ENGINE
from medley_operator.metrics.queries import BLOCK_TOKENS, BLOCKS, CACHE_TOKENS
from medley_operator.profile.client import Endpoint
from medley_operator.profile.drive import drive
from medley_operator.profile.loads import LoadRun
from medley_operator.profile.prompts import Prompts
from medley_operator.profile.samples import CUT, Ending, Run, point_of
from medley_planner.capacity.points import LoadPoint

_CACHE = re.compile(rf"^(?:{'|'.join(EVERY_ENGINE.cache_config)})\{{(?P<labels>.*)\}}", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Reporter(Protocol):
    """Receives the events of a load test."""

    def note(self, message: str) -> None: ...

    def begin(self, number: int, load: LoadRun) -> None: ...

    def answered(self, requests: int) -> None: ...

    def end(self, run: Run) -> None: ...


@dataclass(frozen=True, slots=True)
class Session:
    """`kv_tokens`: what the engine says that its KV cache holds, None where it does not."""

    runs: tuple[Run, ...]
    kv_tokens: int | None

    def points(self) -> list[LoadPoint]:
        return [point for run in self.runs if (point := point_of(run)) is not None]


def no_more(_runs: Sequence[Run]) -> Sequence[LoadRun]:
    """No loads beyond those given."""
    return ()


async def measure(
    endpoint: Endpoint,
    loads: Sequence[LoadRun],
    *,
    more: Callable[[Sequence[Run]], Sequence[LoadRun]] = no_more,
    prompts: Prompts,
    seed: int,
    clock: Callable[[], float],
    max_seconds: float,
    reporter: Reporter,
) -> Session:
    """Runs `loads`, then those that `more` makes of what they gave. Raises `EndpointError` where the endpoint completes
    no prompt at all."""
    deadline = clock() + max_seconds
    dialect = await endpoint.learn_dialect(prompts)
    if dialect.prompts.tokens_per_word is not None:
        reporter.note("the server refuses token ids as prompts, so text is sent and prompt lengths are approximate")
    if not dialect.exact:
        reporter.note("the server refuses ignore_eos, so generations may end before the requested length")
    kv_tokens = kv_tokens_of(await endpoint.text_of("/metrics") or "")
    runs: list[Run] = []
    for number, load in enumerate(_all_loads(loads, more, runs), start=1):
        if _beyond_saturation(load, runs):
            reporter.note(f"{load}: left out, because the server did not keep up with a lower rate of this size")
            continue
        if clock() >= deadline:
            reporter.note(f"the time limit of {max_seconds:g} s is over: the remaining loads are left out")
            break
        reporter.begin(number, load)
        run = await drive(
            load, endpoint, dialect, seed=seed + number, clock=clock, deadline=deadline, watcher=reporter.answered
        )
        runs.append(run)
        reporter.end(run)
        if run.ending is Ending.FAILED and not any(sample.failure in (None, CUT) for sample in run.sent):
            reporter.note("every request failed: the remaining loads are left out")
            break
    return Session(tuple(runs), kv_tokens)


def _all_loads(
    loads: Sequence[LoadRun], more: Callable[[Sequence[Run]], Sequence[LoadRun]], runs: Sequence[Run]
) -> Iterator[LoadRun]:
    yield from loads
    # Only now, when `runs` holds what they gave.
    yield from more(runs)


def _beyond_saturation(load: LoadRun, runs: Sequence[Run]) -> bool:
    return load.rate_rps is not None and any(
        run.ending is Ending.SATURATED and run.load.sizes == load.sizes and (run.load.rate_rps or 0.0) <= load.rate_rps
        for run in runs
    )


def kv_tokens_of(metrics: str) -> int | None:
    """Tokens that the KV cache of one replica holds, from the text of vLLM's /metrics: what the engine says itself
    (0.32), else its blocks."""
    found = _CACHE.search(metrics)
    labels = dict(_LABEL.findall(found["labels"])) if found else {}
    for names in ((CACHE_TOKENS,), (BLOCKS, BLOCK_TOKENS)):
        try:
            tokens = math.prod(int(labels[name]) for name in names)
        except (KeyError, ValueError):
            continue
        if tokens > 0:
            return tokens
    return None
