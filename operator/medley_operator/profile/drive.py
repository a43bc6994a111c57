"""Runs one load against an endpoint: sends requests when they are due, watches for saturation, ends what is left over.

Time and endpoint come from outside. The caller's deadline is kept; requests still under way at the end are cancelled,
which makes the server drop them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from medley_operator.profile.client import Dialect, Endpoint
from medley_operator.profile.loads import LoadRun, Shot, saturated, shots
from medley_operator.profile.samples import CUT, MOST_FAILED, Ending, RequestSample, Run
from medley_operator.profile.stream import Progress

_FEWEST_FAILED = 5
_PAUSE_SECONDS = 0.05
"""Wait of a client whose request failed: a server in trouble must not be hammered."""
Watcher = Callable[[int], None]
"""Called with the number of measured requests that are answered."""


async def drive(
    load: LoadRun,
    endpoint: Endpoint,
    dialect: Dialect,
    *,
    seed: int,
    clock: Callable[[], float],
    deadline: float,
    watcher: Watcher = lambda answered: None,
) -> Run:
    """Returns when the measured requests are answered, or can no longer be. `deadline` is on `clock`."""
    driver = _Driver(load, endpoint, dialect, seed=seed, clock=clock, watcher=watcher)
    return await driver.run(deadline)


class _Driver:
    def __init__(
        self,
        load: LoadRun,
        endpoint: Endpoint,
        dialect: Dialect,
        *,
        seed: int,
        clock: Callable[[], float],
        watcher: Watcher,
    ) -> None:
        self._load = load
        self._endpoint = endpoint
        self._dialect = dialect
        self._shots = shots(load, seed=seed)
        # Not seeded: an engine that was tested before must not find the same prompts in its prefix cache.
        self._random = Random()  # noqa: S311 -- load, no secrets
        self._clock = clock
        self._watcher = watcher
        self._began = clock()
        self._under_way: dict[int, Progress] = {}
        self._samples: list[RequestSample] = []
        self._sent = 0
        self._failed = 0
        # Clients: the first request of each warms up. Arrivals: all that come before the first one is answered.
        self._first_measured = load.concurrency
        self._left = load.requests
        self._ending = Ending.OUT_OF_TIME
        self._over = asyncio.Event()

    async def run(self, deadline: float) -> Run:
        senders = [asyncio.create_task(self._client()) for _ in range(self._load.concurrency or 0)]
        if self._load.rate_rps is not None:
            senders.append(asyncio.create_task(self._arrivals()))
        ended = asyncio.create_task(self._over.wait())
        timeout = max(0.0, deadline - self._clock())
        try:
            # A sender ends only by an error.
            await asyncio.wait([ended, *senders], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            results = await _cancelled([ended, *senders])
        for result in results:
            if isinstance(result, Exception):
                raise result
        start = self._sent if self._first_measured is None else self._first_measured
        return Run(
            load=self._load,
            sent=tuple(sorted(self._samples, key=lambda sample: sample.number)),
            measured=range(start, start + self._load.requests),
            ending=self._ending,
        )

    async def _client(self) -> None:
        while True:
            shot = next(self._shots)
            await self._send(shot)
            if self._samples[-1].failure is not None:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _arrivals(self) -> None:
        due = self._began
        async with asyncio.TaskGroup() as requests:
            for shot in self._shots:
                due += shot.after_seconds
                await asyncio.sleep(max(0.0, due - self._clock()))
                requests.create_task(self._send(shot))
                waiting = sum(seen.first_at is None for seen in self._under_way.values())
                if saturated(sent=shot.number + 1, waiting=waiting):
                    self._end(Ending.SATURATED)

    async def _send(self, shot: Shot) -> None:
        prompt = self._dialect.prompts.make(shot.size.prompt_tokens, self._random)
        seen = self._under_way[shot.number] = Progress()
        self._sent += 1
        sent_at = self._clock()
        try:
            await self._endpoint.complete(
                prompt, generation_tokens=shot.size.generation_tokens, exact=self._dialect.exact, seen=seen
            )
        except asyncio.CancelledError:
            seen.failure = CUT
            raise
        finally:
            del self._under_way[shot.number]
            self._samples.append(self._sample(shot, seen, sent_at))
        self._answered(shot.number, seen)

    def _sample(self, shot: Shot, seen: Progress, sent_at: float) -> RequestSample:
        def since_begin(at: float | None) -> float | None:
            return None if at is None else at - self._began

        whole = seen.failure is None
        return RequestSample(
            number=shot.number,
            sent_at=sent_at - self._began,
            prompt_tokens=seen.prompt_tokens or shot.size.prompt_tokens,
            generation_tokens=seen.generated if whole else shot.size.generation_tokens,
            first_at=since_begin(seen.first_at),
            first_tokens=seen.first_tokens,
            last_at=since_begin(seen.last_at),
            failure=seen.failure,
        )

    def _answered(self, number: int, seen: Progress) -> None:
        if seen.failure is not None:
            self._failed += 1
            if self._failed > max(_FEWEST_FAILED, MOST_FAILED * self._load.requests):
                self._end(Ending.FAILED)
        elif self._first_measured is None:
            self._first_measured = self._sent
        if self._first_measured is not None and 0 <= number - self._first_measured < self._load.requests:
            self._left -= 1
            self._watcher(self._load.requests - self._left)
            if self._left == 0:
                self._end(Ending.MEASURED)

    def _end(self, ending: Ending) -> None:
        if not self._over.is_set():
            self._ending = ending
            self._over.set()


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> list[Any]:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)
