"""The load test as a whole against a fake server: exact lengths, distinct prompts, clients, saturation, failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from medley_operator.profile.client import Endpoint, EndpointError
from medley_operator.profile.loads import LoadRun, Size
from medley_operator.profile.prompts import Prompts
from medley_operator.profile.samples import Ending, Run, point_of
from medley_operator.profile.session import Session, kv_tokens_of, measure, no_more
from tests.unit.operator.profile.fake_endpoint import METRICS, FakeServer

SIZE = Size(40, 6)
KEY = "secret-of-the-test"


@dataclass
class _Told:
    notes: list[str] = field(default_factory=list)
    ended: list[Run] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def begin(self, number: int, load: LoadRun) -> None: ...

    def answered(self, requests: int) -> None: ...

    def end(self, run: Run) -> None:
        self.ended.append(run)


async def _measure(
    server: FakeServer,
    loads: Sequence[LoadRun],
    *,
    more: Callable[[Sequence[Run]], Sequence[LoadRun]] = no_more,
    told: _Told | None = None,
    max_seconds: float = 60.0,
) -> Session:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=server.transport(), headers=headers) as client:
        return await measure(
            Endpoint(client, url="http://fake/v1/", model="m", clock=time.perf_counter, timeout_seconds=30.0),
            loads,
            more=more,
            prompts=Prompts(range(1000, 30_000)),
            seed=5,
            clock=time.perf_counter,
            max_seconds=max_seconds,
            reporter=told or _Told(),
        )


async def test_lengths_are_exact_and_prompts_distinct() -> None:
    server = FakeServer()
    session = await _measure(server, [LoadRun((SIZE,), 12, concurrency=3), LoadRun((SIZE,), 12, rate_rps=200.0)])
    clients, arrivals = session.runs
    assert [run.ending for run in session.runs] == [Ending.MEASURED] * 2
    assert len(clients.counted) == len(arrivals.counted) == 12
    sent = [body for body in server.bodies[1:] if body["max_tokens"] == SIZE.generation_tokens]
    assert {len(body["prompt"]) for body in sent} == {SIZE.prompt_tokens}
    assert len({tuple(body["prompt"][:16]) for body in server.bodies}) == len(server.bodies)
    point = point_of(arrivals)
    assert point is not None
    assert (point.prompt_tokens, point.generation_tokens) == (40.0, 6.0)
    # A sleep is never shorter than asked for.
    assert point.ttft_seconds is not None
    assert point.ttft_seconds >= server.first_seconds
    assert point.tpot_seconds is not None
    assert point.tpot_seconds >= server.token_seconds
    assert session.kv_tokens == 87296


async def test_as_many_requests_are_under_way_as_clients() -> None:
    server = FakeServer()
    session = await _measure(server, [LoadRun((SIZE,), 20, concurrency=4)])
    assert server.most_at_once == 4
    assert session.runs[0].measured == range(4, 24)
    # The clients go on until the last measured request is answered, and what is under way then is dropped.
    assert server.aborted > 0


async def test_two_tests_of_one_engine_send_other_prompts() -> None:
    server = FakeServer()
    for _ in range(2):
        await _measure(server, [LoadRun((SIZE,), 3, concurrency=1)])
    prompts = [tuple(body["prompt"]) for body in server.bodies if body["max_tokens"] == SIZE.generation_tokens]
    assert len(set(prompts)) == len(prompts)


async def test_saturation_ends_a_rate_and_those_above_it() -> None:
    server = FakeServer(slots=1, first_seconds=0.2)
    told = _Told()
    loads = [LoadRun((SIZE,), 200, rate_rps=200.0), LoadRun((SIZE,), 200, rate_rps=400.0)]
    session = await _measure(server, loads, told=told)
    assert [run.ending for run in session.runs] == [Ending.SATURATED]
    assert len(session.runs[0].sent) < 200
    assert any("left out" in note for note in told.notes)
    assert session.points() == []


async def test_further_loads_follow_from_what_was_measured() -> None:
    server = FakeServer()
    loads = [LoadRun((SIZE,), 5, concurrency=2)]

    def more(runs: Sequence[Run]) -> list[LoadRun]:
        assert [run.ending for run in runs] == [Ending.MEASURED]
        return [LoadRun((SIZE,), 3, rate_rps=50.0)]

    session = await _measure(server, loads, more=more)
    assert [run.load.rate_rps for run in session.runs] == [None, 50.0]


async def test_a_server_that_breaks_down_ends_the_test() -> None:
    server = FakeServer(fail_after=1)
    told = _Told()
    session = await _measure(server, [LoadRun((SIZE,), 20, concurrency=2)] * 2, told=told)
    assert [run.ending for run in session.runs] == [Ending.FAILED]
    assert list(session.runs[0].failures) == ["HTTP 503: overloaded"]
    assert told.notes == ["every request failed: the remaining loads are left out"]


async def test_time_runs_out() -> None:
    server = FakeServer(token_seconds=0.05)
    told = _Told()
    loads = [LoadRun((SIZE,), 1000, concurrency=1), LoadRun((SIZE,), 1000, concurrency=2)]
    session = await _measure(server, loads, told=told, max_seconds=0.8)
    assert [run.ending for run in session.runs] == [Ending.OUT_OF_TIME]
    assert "time limit of 0.8 s is over" in told.notes[-1]


async def test_text_is_sent_where_token_ids_are_refused() -> None:
    server = FakeServer(token_ids=False)
    told = _Told()
    session = await _measure(server, [LoadRun((SIZE,), 4, concurrency=1)], told=told)
    assert {type(body["prompt"]) for body in server.bodies[3:]} == {str}
    # The fake's words have two tokens each.
    assert {sample.prompt_tokens for sample in session.runs[0].counted} == {40}
    assert "text is sent" in told.notes[0]


async def test_fields_that_only_some_servers_know_are_left_out_where_they_are_refused() -> None:
    server = FakeServer(exact=False)
    told = _Told()
    session = await _measure(server, [LoadRun((SIZE,), 4, concurrency=1)], told=told)
    assert session.runs[0].ending is Ending.MEASURED
    assert "ignore_eos" not in server.bodies[-1]
    assert "refuses ignore_eos" in told.notes[0]


async def test_a_server_that_answers_nothing_is_an_error_without_the_key() -> None:
    server = FakeServer(fail_after=0)
    with pytest.raises(EndpointError, match=r'endpoint http://fake .* model "m": HTTP 503: overloaded') as caught:
        await _measure(server, [LoadRun((SIZE,), 4, concurrency=1)])
    assert len(server.bodies) == 1
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"<html>\nnope</html>", "HTTP 404: <html> nope</html>"),
        (500, b"\xff boom " * 1000, "HTTP 500: "),
        (400, b"[" * 100_000, "HTTP 400: [[["),
        (302, b"", "HTTP 302"),
        (200, b"<html>hi</html>", "the stream ended without a token"),
        (200, b"", "the stream ended without a token"),
        (200, b'data: {"choices": [{"text": "a"}]}\n\n', "the stream broke off"),
        (200, b"data: {broken\n\n", "the stream says {broken"),
    ],
    ids=["404", "500", "deep", "redirect", "page", "empty", "cut", "no JSON"],
)
async def test_answers_of_no_such_server_are_one_short_line(status: int, body: bytes, said: str) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(body))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        endpoint = Endpoint(client, url="http://fake", model="m", clock=time.perf_counter, timeout_seconds=5.0)
        with pytest.raises(EndpointError) as caught:
            await endpoint.learn_dialect(Prompts(range(1000, 30_000)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


async def test_cancelling_ends_all_requests() -> None:
    server = FakeServer()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await _measure(server, [LoadRun((SIZE,), 1000, concurrency=3)])
    assert server.most_at_once == 3
    assert server.under_way == 0


def test_cache_size_of_old_and_new_engines() -> None:
    assert kv_tokens_of(METRICS) == 87296
    assert kv_tokens_of('vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1.0') == 1600
    assert kv_tokens_of('vllm:cache_config_info{block_size="16",num_gpu_blocks="None"} 1.0') is None
    assert kv_tokens_of("") is None
