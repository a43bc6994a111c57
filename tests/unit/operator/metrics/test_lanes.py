"""One tenant's window, or one tenant's series, are the failure of nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from medley_operator.domain.values.snapshot import MetricsReason
from medley_operator.metrics import observe as module
from medley_operator.metrics.errors import SlowAnswerError
from medley_operator.metrics.lanes import WINDOWS_SECONDS, Lanes, asked_window
from medley_operator.metrics.observe import MetricsReader, ServiceQuery
from medley_operator.metrics.prometheus import Prometheus
from tests.unit.operator.metrics.fake_prometheus import NOW, URL, FakePrometheus

HONEST = [ServiceQuery(namespace="demo", name="llama", window_seconds=300)]


def test_whatever_specs_say_few_windows_are_asked_for() -> None:
    asked = {asked_window(seconds) for seconds in range(1, 90_000, 7)}
    assert asked == set(WINDOWS_SECONDS)
    assert [asked_window(seconds) for seconds in (0.1, 30, 31, 61, 300, 86_400)] == [30, 30, 60, 300, 300, 3600]


@dataclass
class Slow:
    """A Prometheus that does not answer queries for which `hangs` holds, and counts those in flight."""

    hangs: Callable[[str], bool]
    fake: FakePrometheus = field(default_factory=FakePrometheus)
    running: int = 0
    most: int = 0
    queries: list[str] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        answer = self.fake.handle(request)
        query = self.fake.asked[-1][1]["query"]
        self.queries.append(query)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(30.0 if self.hangs(query) else 0.001)
        finally:
            self.running -= 1
        return answer

    def reader(self) -> MetricsReader:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))
        return MetricsReader(prometheus=Prometheus(base_url=URL, client=client))


async def test_a_window_that_does_not_answer_fails_its_own_services_and_then_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LANE_SECONDS", 0.2)
    slow = Slow(hangs=lambda query: "[3600s]" in query)
    reader = slow.reader()
    tenant = [ServiceQuery(namespace="noisy", name=f"s{number}", window_seconds=3600) for number in range(20)]
    seen = await reader.observe([*HONEST, *tenant])
    assert seen[HONEST[0].key].reason is MetricsReason.FOUND
    assert {seen[service.key].reason for service in tenant} == {MetricsReason.UNAVAILABLE}
    assert "did not answer the queries over 3600 s within 0.2 s" in seen[tenant[0].key].message
    slow.queries.clear()
    again = await reader.observe([*HONEST, *tenant])
    assert again == seen
    assert not [query for query in slow.queries if "[3600s]" in query]


async def test_windows_of_one_tenant_do_not_take_the_connections_of_others() -> None:
    """Eighty queries at once over eight connections made every honest service PrometheusUnavailable."""
    slow = Slow(hangs=lambda _query: False)
    tenant = [
        ServiceQuery(namespace="noisy", name=f"s{number}", window_seconds=asked_window(60.0 + number))
        for number in range(200)
    ]
    seen = await slow.reader().observe([*HONEST, *tenant])
    assert seen[HONEST[0].key].reason is MetricsReason.FOUND
    assert slow.most <= module.QUERIES_AT_ONCE * len(WINDOWS_SECONDS)
    assert len(slow.queries) <= 2 + 4 * len(WINDOWS_SECONDS)


async def test_all_windows_slow_is_a_slow_prometheus_and_none_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LANE_SECONDS", 0.1)
    slow = Slow(hangs=lambda query: query != "time()")
    reader = slow.reader()
    assert (await reader.observe(HONEST))[HONEST[0].key].reason is MetricsReason.UNAVAILABLE
    slow.hangs = lambda _query: False
    assert (await reader.observe(HONEST))[HONEST[0].key].reason is MetricsReason.FOUND


def services(*namespaces: str) -> list[ServiceQuery]:
    return [ServiceQuery(namespace=name, name="llama", window_seconds=300) for name in namespaces]


async def test_a_tenant_with_too_many_series_fails_alone() -> None:
    """Each round halves the namespaces behind the answer that is too large, until one is left."""
    names = ("demo", "a", "b", "c", "d", "noisy", "z")

    def handle(request: httpx.Request) -> httpx.Response:
        answer = fake.handle(request)
        kind, form = fake.asked[-1]
        asks = form["query"]
        if kind == "load" and ("namespace=~" not in asks or "noisy" in asks):
            return httpx.Response(200, content=b" " * (9 * 1024 * 1024))
        return answer

    fake = FakePrometheus()
    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    reader = MetricsReader(prometheus=Prometheus(base_url=URL, client=client))
    for _ in range(4):
        seen = await reader.observe(services(*names))
    failed = {key.namespace for key, found in seen.items() if found.reason is MetricsReason.UNAVAILABLE}
    assert failed == {"noisy"}
    found = next(found for key, found in seen.items() if key.namespace == "demo")
    assert found.reason is MetricsReason.FOUND


def test_a_window_rests_for_a_minute() -> None:
    lanes = Lanes()
    error = SlowAnswerError("late")
    lanes.rest(3600, error, now=NOW)
    assert lanes.resting(3600, now=NOW + 59) is error
    assert lanes.resting(3600, now=NOW + 61) is None
    assert lanes.resting(300, now=NOW) is None
