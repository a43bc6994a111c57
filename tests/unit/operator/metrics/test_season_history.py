"""Days and weeks are read a day in each round, then kept, and little is asked for again."""

from __future__ import annotations

from itertools import pairwise

import httpx

from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.prometheus import Prometheus
from medley_operator.metrics.season_history import (
    PART_SECONDS,
    PARTS,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    SeasonHistory,
)
from medley_planner.workload.season import STEP_SECONDS
from tests.unit.operator.metrics.fake_prometheus import NOW, URL, success

CHAT, CODE = ServiceQuery("demo", "chat", 300), ServiceQuery("demo", "code", 60)
PER_DAY = round(PART_SECONDS / STEP_SECONDS)


class Server:
    """Answers ranges that begin after `since` with a rate of 3, earlier ones with nothing; or fails."""

    def __init__(self, *, since: float = 0.0) -> None:
        self.since, self.now, self.fails = since, NOW, False
        self.ranges: list[dict[str, str]] = []

    def __call__(self) -> float:
        return self.now - NOW

    def handle(self, request: httpx.Request) -> httpx.Response:
        form = dict(httpx.QueryParams(request.content.decode()))
        if request.url.path.endswith("/query"):
            return success({"resultType": "scalar", "result": [self.now, repr(self.now)]})
        self.ranges.append(form)
        if self.fails:
            return httpx.Response(500, text="too much")
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        times = [start + place * step for place in range(round((end - start) / step) + 1)]
        values = [[at, "3"] for at in times if at > self.since]
        names = ("chat", "code", "gone")
        result = [{"metric": {"namespace": "demo", "medley_dev_service": name}, "values": values} for name in names]
        return success({"resultType": "matrix", "result": result if values else []})

    def history(self) -> SeasonHistory:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))
        return SeasonHistory(prometheus=Prometheus(base_url=URL, client=client), clock=self)


async def test_fifteen_days_are_read_one_in_a_round_for_all_windows_and_told_at_the_end() -> None:
    server = Server()
    history = server.history()
    for _ in range(PARTS - 1):
        assert await history.read([CHAT, CODE]) == {}
    told = await history.read([CHAT, CODE])
    assert set(told) == {CHAT.key, CODE.key}
    assert len(server.ranges) == PARTS
    assert len({form["query"] for form in server.ranges}) == 1
    times = [at for at, _ in told[CHAT.key]]
    assert len(times) == PARTS * PER_DAY
    assert {later - at for at, later in pairwise(times)} == {STEP_SECONDS}
    assert NOW - STEP_SECONDS < times[-1] <= NOW
    assert await history.read([CHAT]) == {}
    assert len(server.ranges) == PARTS


async def test_what_is_new_is_read_after_hours_and_what_is_old_is_left() -> None:
    server = Server()
    history = server.history()
    for _ in range(PARTS):
        await history.read([CHAT])
    server.now += REFRESH_SECONDS
    told = await history.read([CHAT])
    start, end = (float(server.ranges[-1][name]) for name in ("start", "end"))
    assert end - start == REFRESH_SECONDS - STEP_SECONDS
    assert len(told[CHAT.key]) == PARTS * PER_DAY
    assert told[CHAT.key][-1][0] == end


async def test_a_short_history_ends_the_reading() -> None:
    server = Server(since=NOW - 1.5 * PART_SECONDS)
    history = server.history()
    read = [await history.read([CHAT]) for _ in range(4)]
    assert [bool(told) for told in read] == [False, False, True, False]
    assert len(read[2][CHAT.key]) == 1.5 * PER_DAY


async def test_what_was_read_counts_where_a_day_does_not_answer_and_all_is_asked_for_later() -> None:
    server = Server()
    history = server.history()
    assert await history.read([CHAT]) == {}
    server.fails = True
    assert len((await history.read([CHAT]))[CHAT.key]) == PER_DAY
    assert await history.read([CHAT]) == {}
    assert len(server.ranges) == 2
    server.fails, server.now = False, NOW + RETRY_SECONDS
    told = [await history.read([CHAT]) for _ in range(PARTS)][-1]
    assert len(told[CHAT.key]) == PARTS * PER_DAY
