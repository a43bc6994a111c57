"""The reader against a real Prometheus that sees a part of the pods, or every pod twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medley_operator.domain.load.demand import choose_demand
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.observe import MetricsReader, ServiceQuery
from medley_operator.metrics.prometheus import Prometheus, http_client
from tests.contract.fake_engines import FakeEngine, serve
from tests.contract.test_prometheus_metrics import LONG_EDGES, running_prometheus, target
from tests.unit.operator import factories as make

pytestmark = pytest.mark.contract

WINDOW_SECONDS = 12
CHAT = ServiceQuery(namespace="demo", name="chat", window_seconds=WINDOW_SECONDS)
PODS = 4
RATE_RPS = 5.0
REPLICAS = ("a", "b")


def engines() -> dict[str, FakeEngine]:
    each = FakeEngine(rate_rps=RATE_RPS, prompts=(150,), generation=30, edges=LONG_EDGES, kv_usage=0.3)
    return {f"chat-{number}": each for number in range(PODS)}


def configuration(port: int, *replicas: str) -> str:
    """As an HA pair writes into one store: the same job and instance, told apart by `prometheus_replica` alone."""
    jobs = []
    for replica in replicas:
        pods = [target(port, name) for name in engines()]
        for each in pods:
            each["labels"] = {**each["labels"], "prometheus_replica": replica, "job": "engines"}  # type: ignore[dict-item]
        jobs.append({"job_name": f"engines-{replica}", "static_configs": pods})
    return json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs})


def rate_of(seen: Observation) -> float:
    return seen.demand.rate_rps if seen.demand is not None else 0.0


async def until(reader: MetricsReader, holds: Callable[[Observation], bool]) -> Observation:
    deadline = time.monotonic() + 30
    while not holds(seen := (await reader.observe([CHAT]))[CHAT.key]):
        assert time.monotonic() < deadline, seen
        await asyncio.sleep(0.5)
    return seen


async def test_an_ha_pair_of_prometheis_counts_each_pod_once(tmp_path: Path) -> None:
    async with http_client() as client:
        with (
            serve(engines()) as port,
            running_prometheus(tmp_path, configuration(port, *REPLICAS)) as (url, _),
        ):
            prometheus = Prometheus(base_url=url, client=client)
            reader = MetricsReader(prometheus=prometheus)
            await until(reader, lambda seen: seen.demand is not None)
            await asyncio.sleep(WINDOW_SECONDS)
            seen = (await reader.observe([CHAT]))[ServiceKey("demo", "chat")]
            assert seen.demand is not None
            assert seen.demand.rate_rps == pytest.approx(PODS * RATE_RPS, rel=0.1)
            assert seen.samples == pytest.approx(PODS * RATE_RPS * WINDOW_SECONDS, rel=0.1)
            assert seen.pods == PODS


async def test_scrapes_that_fail_for_three_of_four_pods_do_not_lower_the_plan(tmp_path: Path) -> None:
    running = engines()
    service = make.service("chat", spec={"workload": {"source": "Prometheus", "window": "1m"}})
    async with http_client() as client:
        with (
            serve(running) as port,
            running_prometheus(tmp_path, configuration(port, "a")) as (url, _),
        ):
            reader = MetricsReader(prometheus=Prometheus(base_url=url, client=client))
            # A scrape may time out on a busy machine: what is waited for is what the test is about.
            before = await until(reader, lambda seen: seen.pods == PODS and rate_of(seen) > 3 * RATE_RPS)
            for name in ("chat-1", "chat-2", "chat-3"):
                del running[name]
            after = await until(reader, lambda seen: seen.pods == 1 and 0 < rate_of(seen) < 1.5 * RATE_RPS)
    assert before.demand is not None
    assert (after.reason, after.pods) == (MetricsReason.FOUND, 1)
    memory = ServiceMemory(uid=service.metadata.uid, demand=before.demand, had_metrics=True)
    choice = choose_demand(service, after, memory=memory, has_plan=True, at_seconds=1e5, ready_replicas=PODS)
    assert choice.demand.rate_rps == pytest.approx(before.demand.rate_rps)
    assert choice.reason is MetricsReason.PARTIAL
