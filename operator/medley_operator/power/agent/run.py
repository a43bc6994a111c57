"""The process of a node agent: its settings, its parts, and its end.

It has no Lease, since each node has one agent. On SIGTERM it ends at once and leaves every limit in force.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medley_operator.kube.connect import connect_agent
from medley_operator.power.agent.agent import NodeAgent
from medley_operator.power.agent.exporter import AgentExporter
from medley_operator.power.agent.kubelet import Kubelet, PodsOfGpus
from medley_operator.power.agent.orders import Moment
from medley_operator.power.agent.turns import GpuTurns
from medley_operator.power.gpu.amd import AmdPower
from medley_operator.power.gpu.drivers import Drivers
from medley_operator.power.gpu.nvml import NvmlPower
from medley_operator.process import Until, listen, run_process
from medley_operator.setting_values import Flag, add_flags, as_name, as_path, check, values_of
from medley_operator.shared_settings import LISTENING
from medley_planner.exit_status import ExitStatus

log = logging.getLogger(__name__)

_FLAGS = {
    "--node": Flag(as_name, "name of this node, whose NodePowerCap is followed; the chart sets it"),
    "--pod-resources-socket": Flag(
        as_path("/var/lib/kubelet/pod-resources/kubelet.sock"),
        "socket of the kubelet that says which pods have which GPUs (default: none is asked)",
    ),
    **LISTENING,
}


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """See docs/power.md for each."""

    node: str = ""
    pod_resources_socket: Path | None = None
    bind_address: str = "0.0.0.0"  # noqa: S104 - a pod is reached by its address; the chart's NetworkPolicy narrows it
    port: int = 8080
    log_level: str = "info"

    def __post_init__(self) -> None:
        check(bool(self.node), "--node", self.node, "must be the name of the node that the agent runs on")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, _FLAGS)


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> AgentSettings:
    """Raises `BadSetting`."""
    return AgentSettings(**values_of(_FLAGS, arguments, environment))  # type: ignore[arg-type]


def main(settings: AgentSettings) -> int:
    """Run the agent until SIGTERM or SIGINT; returns the exit status."""
    return asyncio.run(run_process(partial(_assemble, settings)))


async def _assemble(settings: AgentSettings, stack: AsyncExitStack) -> Until:
    exporter = AgentExporter()
    turns = GpuTurns(Drivers((NvmlPower(), AmdPower())), clock=time.monotonic, stack=stack)
    reader, client = await connect_agent(stack, instance=settings.node)
    pods = PodsOfGpus(_kubelet(settings, stack), clock=time.monotonic)
    agent = NodeAgent(
        settings.node, turns=turns, reader=reader, client=client, exporter=exporter, pods=pods, clock=_moment
    )
    listen(settings, stack, exporter.registry, agent)
    return partial(_follow, agent, settings.node)


def _kubelet(settings: AgentSettings, stack: AsyncExitStack) -> Kubelet | None:
    if settings.pod_resources_socket is None:
        return None
    kubelet = Kubelet(settings.pod_resources_socket)
    stack.push_async_callback(kubelet.close)
    return kubelet


async def _follow(agent: NodeAgent, node: str, stop: asyncio.Event) -> int:
    running, stopping = asyncio.create_task(agent.run()), asyncio.create_task(stop.wait())
    log.info("started", extra={"node": node})
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    running.cancel()
    ended = (await asyncio.gather(running, return_exceptions=True))[0]
    if isinstance(ended, Exception):
        log.error("the agent failed", exc_info=ended)
        return ExitStatus.FAILED
    return ExitStatus.OK


def _moment() -> Moment:
    return Moment(time.time(), time.monotonic())
