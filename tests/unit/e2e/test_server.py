"""The whole fleet with its HTTP interface and a real clock, on a cluster that the test holds in its hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.fleet.cluster import ClusterState, ClusterUnavailable
from e2e.fleet.server import FleetServer
from tests.unit.e2e.fleet_cases import cluster, pod, spec_of

LOAD = {"rate_rps": 30, "prompt_tokens_mean": 300, "generation_tokens_mean": 20}
PODS = 20


class HeldView:
    """A cluster that is what the test says."""

    def __init__(self, state: ClusterState) -> None:
        self.state = state
        self.problem = ""

    async def read(self) -> ClusterState:
        if self.problem:
            raise ClusterUnavailable(self.problem)
        return self.state


def sums(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for entry in family.samples:
            if "le" not in entry.labels:
                found[entry.name] = found.get(entry.name, 0.0) + entry.value
    return found


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        if await holds():
            return
        await asyncio.sleep(0.1)
    pytest.fail("did not come to hold within 10 s")


async def answers(http: httpx.AsyncClient, path: str, status: int) -> bool:
    return (await http.get(path)).status_code == status


async def drained(http: httpx.AsyncClient) -> bool:
    return bool((await http.get("/report?service=demo/llama")).json()["in_flight"] == 0)


async def test_two_scrapes_are_consistent_and_the_report_matches_the_counters() -> None:
    names = [f"p{number}" for number in range(PODS)]
    view = HeldView(cluster(*(pod(name) for name in names)))
    async with FleetServer.running(view, spec_of=spec_of) as server, httpx.AsyncClient(base_url=server.url) as http:
        began = (await http.put("/load/demo/llama", json=LOAD)).json()["since"]
        cpu, wall = time.process_time(), time.monotonic()
        for _ in range(3):
            await asyncio.sleep(1)
            first = [sums((await http.get(f"/metrics/demo/{name}")).text) for name in names]
        share = (time.process_time() - cpu) / (time.monotonic() - wall)
        print(f"{share:.0%} of a core for {PODS} pods at {LOAD['rate_rps']} requests/s, the scraping client included")
        ended = (await http.put("/load/demo/llama", json={"rate_rps": 0})).json()["since"]
        await eventually(lambda: drained(http))
        second = [sums((await http.get(f"/metrics/demo/{name}")).text) for name in names]
        report = (await http.get("/report?service=demo/llama&ttft_s=1.0&tpot_s=0.05")).json()
        sent = (await http.get("/requests/demo/llama")).json()
    for before, after in zip(first, second, strict=True):
        assert all(after[name] >= before[name] for name in after if name.endswith(("_total", "_count", "_sum")))
        assert after["vllm:num_requests_running"] == after["vllm:num_requests_waiting"] == 0
    finished = sum(scrape["vllm:request_success_total"] for scrape in second)
    prompts = sum(scrape["vllm:request_prompt_tokens_sum"] for scrape in second)
    assert len(sent) == finished
    assert sum(prompt for _, prompt, _ in sent) == prompts
    assert all(began <= arrival <= ended for arrival, _, _ in sent)
    assert finished == report["requests"] == report["finished"] == report["met"]
    expected = LOAD["rate_rps"] * (ended - began)
    assert finished == pytest.approx(expected, abs=5 * expected**0.5)
    assert prompts / finished == pytest.approx(report["prompt_tokens_mean"])
    assert report["path"] == "Service"
    assert report["failed"] == 0


async def test_the_fleet_follows_the_cluster_and_says_when_it_cannot_read_it() -> None:
    view = HeldView(cluster(pod("a")))
    async with FleetServer.running(view, spec_of=spec_of) as server, httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/metrics/demo/b")).status_code == 404
        view.state = cluster(pod("a"), pod("b"))
        await eventually(lambda: answers(http, "/metrics/demo/b", 200))
        view.problem = "connection refused"
        await eventually(lambda: answers(http, "/healthz", 503))
        assert (await http.get("/healthz")).json()["problems"] == ["cluster: connection refused"]
        assert (await http.get("/metrics/demo/b")).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "Expecting"),
        (b"[]", "must be a JSON object"),
        (b'{"rate": 1}', "unknown fields ['rate']"),
        (b'{"rate_rps": "3"}', "['rate_rps'] must be numbers"),
        (b'{"rate_rps": 3}', "['generation_tokens_mean', 'prompt_tokens_mean'] missing"),
        (b'{"rate_rps": -3, "prompt_tokens_mean": 1, "generation_tokens_mean": 1}', "rate_rps is -3"),
    ],
)
async def test_a_load_that_makes_no_sense_is_refused(body: bytes, says: str) -> None:
    view = HeldView(ClusterState())
    async with FleetServer.running(view, spec_of=spec_of) as server, httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.put("/load/demo/llama", content=body)
        assert answer.status_code == 400
        assert says in answer.text
        assert (await http.get("/load")).json() == {}


async def test_unknown_paths_and_reports_are_refused_with_the_way_out() -> None:
    view = HeldView(ClusterState())
    async with FleetServer.running(view, spec_of=spec_of) as server, httpx.AsyncClient(base_url=server.url) as http:
        assert "try GET /metrics" in (await http.get("/")).text
        assert "service=<namespace>/<name>" in (await http.get("/report")).text
        answer = await http.get("/report", params={"service": "demo/llama", "since": "now"})
        assert (answer.status_code, answer.text) == (400, "since='now' is not a number\n")
