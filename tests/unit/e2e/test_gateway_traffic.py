"""Users and engines of the gateway scenario, face to face over real connections."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from e2e.fleet.engine import Engine, ServedEngine
from e2e.fleet.load import Workload
from e2e.gateway.client import Users
from e2e.gateway.lifecycle import PodState
from e2e.gateway.pod_engine import Identity, PodEngine
from e2e.gateway.records import Arrival, Sent
from medley_planner.capacity.step_time import NO_WINDOW
from medley_planner.engine import EngineSpec, StepTable

LOAD = Workload(rate_rps=100, prompt_tokens_mean=10, generation_tokens_mean=3)


class Step:
    """An engine step of constant length."""

    window_cost = NO_WINDOW

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def seconds(
        self, *, prefill_tokens: float, prefill_attended: float, decode_sequences: float, kv_tokens: float
    ) -> float:
        return self._seconds


def engine(arrivals: list[Arrival], *, step_seconds: float = 0.002, keep_alive_seconds: float = 5.0) -> PodEngine:
    step = Step(step_seconds)
    spec = EngineSpec(
        step, token_budget=1000, max_sequences=100, kv_tokens=100_000, max_model_len=1000, api_seconds=0.0
    )
    served = ServedEngine("m", 0.9, spec, StepTable.of(step, token_budget=1000, max_sequences=100))
    identity = Identity("p", "l4", "image", PodState.READY, time.time())
    return PodEngine(identity, Engine(served, start=time.time()), arrivals.append, keep_alive_seconds)


async def _ticked(pod: PodEngine) -> None:
    while True:
        pod.tick()
        await asyncio.sleep(0.005)


async def _send(port: int, sent: list[Sent], *, seconds: float) -> None:
    users = Users("127.0.0.1", port, "/demo/llama", sent.append)
    users.set_load(LOAD)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await users.run()
    users.set_load(Workload(rate_rps=0, prompt_tokens_mean=1, generation_tokens_mean=1))
    while users.under_way:  # noqa: ASYNC110 - the end of tasks, which have no event
        await asyncio.sleep(0.01)
    await users.close()


def test_each_request_is_answered_once_and_written_down_on_both_sides() -> None:
    async def run() -> tuple[list[Sent], list[Arrival]]:
        sent: list[Sent] = []
        arrivals: list[Arrival] = []
        pod = engine(arrivals)
        port = await pod.listen("127.0.0.1", 0)
        ticks = asyncio.create_task(_ticked(pod))
        await _send(port, sent, seconds=0.5)
        await pod.drain(1.0)
        ticks.cancel()
        return sent, arrivals

    sent, arrivals = asyncio.run(run())
    assert len(sent) > 10
    assert {each.failure for each in sent} == {""}
    assert sorted(each.id for each in sent) == sorted(each.id for each in arrivals)
    assert {(each.pod, each.variant, each.image, each.state) for each in arrivals} == {
        ("p", "l4", "image", PodState.READY)
    }


def test_an_engine_that_drains_finishes_what_it_has_and_takes_nothing_new() -> None:
    async def run() -> tuple[list[Sent], int]:
        sent: list[Sent] = []
        arrivals: list[Arrival] = []
        pod = engine(arrivals, step_seconds=0.1)
        port = await pod.listen("127.0.0.1", 0)
        ticks = asyncio.create_task(_ticked(pod))
        users = asyncio.create_task(_send(port, sent, seconds=0.4))
        await asyncio.sleep(0.15)
        before = len(arrivals)
        await pod.drain(5.0)
        await users
        ticks.cancel()
        return sent, before

    sent, before = asyncio.run(run())
    assert before > 0
    answered = [each for each in sent if not each.failure]
    assert before <= len(answered) < len(sent)
    assert all("status" not in each.failure for each in sent)


def test_an_engine_that_may_not_drain_fails_what_it_has() -> None:
    async def run() -> list[Sent]:
        sent: list[Sent] = []
        pod = engine([], step_seconds=5.0)
        port = await pod.listen("127.0.0.1", 0)
        ticks = asyncio.create_task(_ticked(pod))
        users = asyncio.create_task(_send(port, sent, seconds=0.2))
        await asyncio.sleep(0.15)
        await pod.drain(0.0)
        await users
        ticks.cancel()
        return sent

    sent = asyncio.run(run())
    assert sent
    assert all(each.failure for each in sent)


async def answer_until_closed(path: str) -> bytes:
    """All that a pod sends on a connection with one request, until its idle time is over."""
    pod = engine([], keep_alive_seconds=0.05)
    port = await pod.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), timeout=5)
    writer.close()
    await pod.drain(0.0)
    return answer


def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    assert asyncio.run(answer_until_closed("/health")).startswith(b"HTTP/1.1 200")


def test_metrics_are_those_of_the_engine() -> None:
    assert (
        'vllm:num_requests_running{engine="0",model_name="m"} 0.0'
        in asyncio.run(answer_until_closed("/metrics")).decode()
    )
