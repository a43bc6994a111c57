"""Rates of before a start are read once, part by part, and a Prometheus that fails costs nothing else."""

from __future__ import annotations

import math

import httpx
import pytest

from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.history import ATTEMPTS, PART_SAMPLES, RateHistory
from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.prometheus import Prometheus, Series
from medley_planner.workload import Forecaster
from medley_planner.workload.forecast import MAX_SAMPLES, SPACING_SECONDS
from tests.unit.operator.metrics.fake_prometheus import NOW, URL, success

CHAT, CODE = ServiceQuery("demo", "chat", 300), ServiceQuery("demo", "code", 60)


class Server:
    """Answers a range with one rate, up to `parts` ranges per window, then with nothing or with an error."""

    def __init__(self, *, parts: int = 100, fails: bool = False, up: bool = True) -> None:
        self.parts, self.fails, self.up = parts, fails, up
        self.ranges: list[dict[str, str]] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        form = dict(httpx.QueryParams(request.content.decode()))
        if not self.up:
            return httpx.Response(503, text="starting")
        if request.url.path.endswith("/query"):
            return success({"resultType": "scalar", "result": [NOW, repr(NOW)]})
        assert request.url.path.endswith("/api/v1/query_range")
        self.ranges.append(form)
        if len(self.ranges) > self.parts:
            nothing = success({"resultType": "matrix", "result": []})
            return httpx.Response(500, text="too much") if self.fails else nothing
        at = float(form["start"])
        values: list[list[float | str]] = []
        while at <= float(form["end"]):
            values.append([at, "NaN" if not values else str(NOW - at)])
            at += float(form["step"])
        names = ("chat", "code")
        result = [{"metric": {"namespace": "demo", "medley_dev_service": name}, "values": values} for name in names]
        return success({"resultType": "matrix", "result": result})

    def prometheus(self) -> Prometheus:
        return Prometheus(base_url=URL, client=httpx.AsyncClient(transport=httpx.MockTransport(self.handle)))

    def history(self) -> RateHistory:
        return RateHistory(prometheus=self.prometheus())


async def test_two_days_are_read_once_and_feed_a_forecaster() -> None:
    server = Server()
    history = server.history()
    (rates,) = (await history.once([CHAT])).values()
    assert len(rates) == MAX_SAMPLES
    assert [ago for ago, _ in rates] == sorted((ago for ago, _ in rates), reverse=True)
    assert (rates[-1][0], rates[0][0]) == (SPACING_SECONDS, MAX_SAMPLES * SPACING_SECONDS)
    assert len(server.ranges) == MAX_SAMPLES // PART_SAMPLES
    # The first value of each part was NaN.
    forecaster = Forecaster().with_samples((-ago, rate) for ago, rate in rates)
    assert len(forecaster) == MAX_SAMPLES - MAX_SAMPLES // PART_SAMPLES
    assert await history.once([CHAT]) == {}
    assert len(server.ranges) == MAX_SAMPLES // PART_SAMPLES


async def test_each_window_is_asked_on_its_own() -> None:
    server = Server(parts=100)
    found = await server.history().once([CHAT, CODE])
    assert set(found) == {CHAT.key, CODE.key}
    assert {"[60s]" in form["query"] for form in server.ranges} == {True, False}


@pytest.mark.parametrize("fails", [False, True], ids=["nothing further back", "an error"])
async def test_what_was_read_counts(fails: bool) -> None:
    found = await Server(parts=2, fails=fails).history().once([CHAT])
    assert len(found[CHAT.key]) == 2 * PART_SAMPLES


async def test_a_prometheus_that_is_not_up_yet_is_asked_again_a_few_times() -> None:
    server = Server(up=False)
    history = server.history()
    assert await history.once([CHAT]) == {}
    server.up = True
    assert set(await history.once([CHAT])) == {CHAT.key}
    server = Server(up=False)
    history = server.history()
    for _ in range(ATTEMPTS):
        assert await history.once([CHAT]) == {}
    server.up = True
    assert await history.once([CHAT]) == {}


async def test_matrix() -> None:
    data = {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[1.0, "2"], [3, "NaN"]]}]}
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: success(data)))
    (series,) = await Prometheus(base_url=URL, client=client).matrix("up", start=1, end=3, step_seconds=2)
    assert series.labels == {"a": "b"}
    assert series.points[0] == (1.0, 2.0)
    assert math.isnan(series.points[1][1])
    assert isinstance(series, Series)


@pytest.mark.parametrize("kind", ["vector", "scalar"])
async def test_an_answer_to_another_question_is_refused(kind: str) -> None:
    data = {"resultType": kind, "result": []}
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: success(data)))
    with pytest.raises(PrometheusUnavailableError, match="does not speak"):
        await Prometheus(base_url=URL, client=client).matrix("up", start=1, end=3, step_seconds=2)
