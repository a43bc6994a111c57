"""A process from its start to its end: signals, no cluster, and a port that another process has."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from medley_operator import process
from medley_operator.kube.errors import Forbidden
from medley_operator.metrics.server import Probe
from medley_operator.process import Until, listen, run_process
from medley_planner.exit_status import ExitStatus


@dataclass(frozen=True, slots=True)
class Address:
    bind_address: str
    port: int


class Good:
    def healthy(self) -> Probe:
        return Probe(True, "good")

    ready = healthy


async def _connected() -> None:
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_works_until_a_signal_and_ends_its_parts(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "load_configuration", _connected)
    ended: list[str] = []

    async def assemble(stack: AsyncExitStack) -> Until:
        stack.callback(ended.append, "part")
        return work

    async def work(stop: asyncio.Event) -> int:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(20):
            await stop.wait()
        ended.append("work")
        return ExitStatus.FAILED

    assert asyncio.run(run_process(assemble)) == ExitStatus.FAILED
    assert ended == ["work", "part"]


def test_a_port_that_is_taken_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "load_configuration", _connected)

    async def never(stop: asyncio.Event) -> int:
        raise AssertionError("it works without its port")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])

        async def assemble(stack: AsyncExitStack) -> Until:
            listen(address, stack, CollectorRegistry(), Good())
            return never

        with caplog.at_level(logging.ERROR):
            assert asyncio.run(run_process(assemble)) == ExitStatus.BAD_INPUT
    error = vars(caplog.records[-1])["error"]
    assert error.startswith(f"cannot listen on 127.0.0.1:{address.port}: ")
    assert error.endswith("; set --port")


def test_without_a_cluster_nothing_is_made(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        raise Forbidden("no kubeconfig")

    monkeypatch.setattr(process, "load_configuration", refused)

    async def assemble(stack: AsyncExitStack) -> Until:
        raise AssertionError("parts are made without a cluster")

    assert asyncio.run(run_process(assemble)) == ExitStatus.BAD_INPUT
    assert vars(caplog.records[-1])["error"] == "no kubeconfig"
