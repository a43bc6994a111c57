"""The reader against the real Prometheus: known traffic in, the same demand out, and the reason when it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from e2e.controlplane import ensure_assets, free_port, processes
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.engine_names import VLLM
from medley_operator.metrics.observe import MetricsReader, ServiceQuery
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_operator.metrics.queries import rate_query
from medley_planner.model import Demand
from tests.contract.fake_engines import FakeEngine, serve

pytestmark = pytest.mark.contract

WINDOW_SECONDS = 12
NAMESPACE = "demo"
SHORT_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
LONG_EDGES = (*SHORT_EDGES, 1000, 2000, 5000)

ENGINES = {
    "chat-0": FakeEngine(rate_rps=5, prompts=(150,), generation=30, edges=SHORT_EDGES),
    "chat-1": FakeEngine(
        rate_rps=10, prompts=(150, 150, 150, 150, 1500), generation=30, edges=LONG_EDGES, growth_rps=2
    ),
    "code-0": FakeEngine(rate_rps=4, prompts=(800,), generation=300, edges=LONG_EDGES),
    "idle-0": FakeEngine(rate_rps=0, prompts=(1,), generation=1, edges=LONG_EDGES),
    "router": FakeEngine(rate_rps=100, prompts=(9,), generation=9, edges=LONG_EDGES),
}
CHAT_RPS = 5 + 10 + 2
CHAT_PROMPT_MEAN = (5 * 150 + 10 * 420) / 15


def target(port: int, pod: str) -> dict[str, object]:
    labels = {"__metrics_path__": f"/{pod}", "namespace": NAMESPACE, "pod": pod}
    if pod != "router":
        labels |= {"medley_dev_service": pod.split("-")[0], "medley_dev_variant": "l4", "pod_template_hash": pod}
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}


def configuration(port: int) -> str:
    """Every pod once, and chat-0 by a second job too, as clusters with two ways of discovery do."""
    jobs = {"engines": list(ENGINES), "engines-again": ["chat-0"]}
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {"job_name": job, "static_configs": [target(port, pod) for pod in pods]} for job, pods in jobs.items()
            ],
        }
    )


@contextmanager
def running_prometheus(folder: Path, config: str) -> Iterator[tuple[str, processes.Child]]:
    path = folder / "prometheus.yaml"
    path.write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    child = processes.start(
        "prometheus",
        [
            str(ensure_assets().prometheus),
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
        ],
        logs=folder,
    )

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/-/ready", trust_env=False, timeout=1).is_success
        except httpx.HTTPError:
            return False

    try:
        processes.wait_ready(child, ready, timeout_seconds=30)
        yield url, child
    finally:
        child.stop(grace_seconds=5)


def means(demand: Demand) -> tuple[float, float]:
    cells = list(zip(demand.shares, demand.buckets, strict=True))
    return (
        sum(share * cell.prompt_tokens for share, cell in cells),
        sum(share * cell.generation_tokens for share, cell in cells),
    )


def demand_of(observation: Observation) -> Demand:
    assert observation.demand is not None, observation
    return observation.demand


async def test_known_traffic_is_read_back(tmp_path: Path) -> None:
    queries = [
        ServiceQuery(namespace=NAMESPACE, name=name, window_seconds=WINDOW_SECONDS)
        for name in ("chat", "code", "idle", "never")
    ]
    chat, code, idle, never = (query.key for query in queries)
    async with http_client() as client:
        running = dict(ENGINES)
        with serve(running) as port, running_prometheus(tmp_path, configuration(port)) as (url, child):
            prometheus = Prometheus(base_url=url, client=client)
            reader = MetricsReader(prometheus=prometheus)

            async def until(key: ServiceKey, reason: MetricsReason) -> dict[ServiceKey, Observation]:
                deadline = time.monotonic() + 15
                while (seen := await reader.observe(queries))[key].reason is not reason:
                    assert time.monotonic() < deadline, seen[key]
                    await asyncio.sleep(0.5)
                return seen

            # Younger than the window: the divisor is the time covered, some 7 s, and not 12 s.
            await until(chat, MetricsReason.FOUND)
            await asyncio.sleep(3)
            young = await reader.observe(queries)
            assert demand_of(young[code]).rate_rps == pytest.approx(4, rel=0.2)

            await asyncio.sleep(8)
            seen = await reader.observe(queries)
            assert demand_of(seen[chat]).rate_rps == pytest.approx(CHAT_RPS, rel=0.15)
            assert means(demand_of(seen[chat])) == pytest.approx((CHAT_PROMPT_MEAN, 30), rel=0.05)
            assert seen[chat].samples == pytest.approx(15 * WINDOW_SECONDS, rel=0.15)
            assert demand_of(seen[code]).rate_rps == pytest.approx(4, rel=0.15)
            assert means(demand_of(seen[code])) == pytest.approx((800, 300), rel=0.05)
            assert (seen[idle].reason, seen[idle].demand) == (MetricsReason.FOUND, None)
            assert seen[never].reason is MetricsReason.MISSING
            assert "Prometheus scrapes no target of it" in seen[never].message

            # What a restart reads back is the same rate, at each step.
            now = await prometheus.now()
            query = rate_query(VLLM, window_seconds=WINDOW_SECONDS)
            ranges = await prometheus.matrix(query, start=now - 2, end=now, step_seconds=1)
            past = {series.labels["medley_dev_service"]: series.points for series in ranges}
            assert set(past) == {"chat", "code", "idle"}
            for name, rate_rps in (("chat", CHAT_RPS), ("code", 4)):
                assert [rate for _, rate in past[name]] == pytest.approx([rate_rps] * 3, rel=0.2)

            running.clear()
            gone = await until(chat, MetricsReason.STALE)
            assert "its 2 targets do not answer" in gone[chat].message
            assert gone[never].reason is MetricsReason.MISSING

            child.stop(grace_seconds=5)
            down = await reader.observe(queries)
            assert {observation.reason for observation in down.values()} == {MetricsReason.UNAVAILABLE}
            assert "cannot be queried (ConnectError" in down[chat].message
