"""Joint sizes, prefix hits, model names and restarts against the real Prometheus: what the templates really answer."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.observe import MetricsReader, ServiceQuery
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_planner.model import SizeSource
from medley_planner.workload.marginal import mean_product
from tests.contract.fake_engines import BLOCK_TOKENS, KV_BLOCKS, FakeEngine, FakeGateway, serve
from tests.contract.test_prometheus_metrics import LONG_EDGES, NAMESPACE, WINDOW_SECONDS, demand_of, running_prometheus

pytestmark = pytest.mark.contract

METRIC = "gateway_requests_by_size_total"
RATE = 30.0
PROMPTS, GENERATION = (100, 1900), 51
# Per request: 50 gaps of 20 ms with the prompt, half the generation and half a block; 10 ms of prefill.
HELD_TOKENS = RATE * (1.0 * (1000 + 25 + BLOCK_TOKENS / 2) + 0.01 * (1810 + BLOCK_TOKENS / 2))
USAGE = HELD_TOKENS / (KV_BLOCKS * BLOCK_TOKENS)


def engine(**changes: object) -> FakeEngine:
    return FakeEngine(rate_rps=RATE, prompts=PROMPTS, generation=GENERATION, edges=LONG_EDGES, **changes)  # type: ignore[arg-type]


ENGINES: dict[str, FakeEngine | FakeGateway] = {
    "tilted-0": engine(kv_usage=USAGE / 2, hits=0.1),
    "tilted-1": engine(kv_usage=USAGE / 2, hits=0.1),
    "plain-0": engine(),
    "counted-0": engine(kv_usage=USAGE),
    "short-0": FakeEngine(rate_rps=RATE, prompts=(100,), generation=400, edges=LONG_EDGES),
    "long-0": FakeEngine(rate_rps=RATE, prompts=(1900,), generation=20, edges=LONG_EDGES),
    "several-0": engine(models=("tiny", "other")),
    "foreign-0": engine(models=("one", "other")),
    "again-0": engine(restarts_at_seconds=9.0),
    "log": FakeGateway(METRIC, NAMESPACE, "counted", {("200", "100"): RATE / 2, ("2000", "100"): RATE / 2}),
}
VARIANTS = {"short-0": ("split", "l4"), "long-0": ("split", "h100")}


def target(port: int, pod: str) -> dict[str, object]:
    labels = {"__metrics_path__": f"/{pod}", "namespace": NAMESPACE, "pod": pod}
    if pod != "log":
        service, variant = VARIANTS.get(pod, (pod.split("-")[0], "l4"))
        labels |= {"medley_dev_service": service, "medley_dev_variant": variant, "pod_template_hash": "5d4f"}
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}


async def test_sizes_are_read_back(tmp_path: Path) -> None:
    names = ("tilted", "plain", "counted", "split", "several", "foreign", "again")
    queries = [ServiceQuery(NAMESPACE, name, WINDOW_SECONDS, served_model="tiny") for name in names]
    async with http_client() as client:
        with serve(ENGINES) as port:
            jobs = [{"job_name": "all", "static_configs": [target(port, pod) for pod in ENGINES]}]
            text = json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs})
            with running_prometheus(tmp_path, text) as (url, _):
                reader = MetricsReader(prometheus=Prometheus(base_url=url, client=client), gateway_metric=METRIC)
                deadline = time.monotonic() + 30
                await asyncio.sleep(WINDOW_SECONDS + 3)
                plain = ServiceKey(NAMESPACE, "plain")
                while (seen := await reader.observe(queries))[plain].reason is not MetricsReason.FOUND:
                    assert time.monotonic() < deadline, seen
                    await asyncio.sleep(0.5)

    def of(name: str) -> Observation:
        return seen[ServiceKey(NAMESPACE, name)]

    sources = {name: demand_of(of(name)).size_source for name in names if name != "foreign"}
    assert sources == {
        "tilted": SizeSource.TILTED,
        "plain": SizeSource.INDEPENDENT,
        "counted": SizeSource.GATEWAY,
        "split": SizeSource.PER_VARIANT,
        "several": SizeSource.INDEPENDENT,
        "again": SizeSource.INDEPENDENT,
    }, seen
    assert "no series vllm:inter_token_latency_seconds" in of("plain").message
    assert demand_of(of("tilted")).prefix_hit_rate == pytest.approx(0.05)
    assert demand_of(of("plain")).prefix_hit_rate == 0.0
    # Half of the requests have a prompt of 100 and 400 tokens of generation, half 1900 and 20.
    assert mean_product(demand_of(of("split"))) == pytest.approx((100 * 400 + 1900 * 20) / 2, rel=0.05)
    for name in ("plain", "several", "again"):
        assert demand_of(of(name)).rate_rps == pytest.approx(RATE, rel=0.2), of(name)
    assert of("foreign").reason is MetricsReason.MISSING
    assert "one, other" in of("foreign").message
