"""The watts of a domain without a meter of its own: its GPUs' readings, and the most that the rest of its nodes draws.

A GPU that nobody reads counts at its board's highest limit: a lost exporter must not look like a row that went quiet.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medley_operator.api.v1alpha1.power import PowerDomain
from medley_operator.domain.power.forest import Forest
from medley_operator.domain.power.view import MeterFault, Readings
from medley_planner.power import CappedNode, MeterAnswer


@dataclass(frozen=True, slots=True)
class NodeReading:
    """The watts of the GPUs of one node together, and how many of them were read."""

    watts: float
    gpus: int


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """The readings of all nodes at one time, by node."""

    nodes: Mapping[str, NodeReading]
    at_seconds: float


def with_gpu_sums(
    readings: Readings, gpus: GpuReadings | MeterFault | None, domains: Iterable[PowerDomain], forest: Forest
) -> Readings:
    """The readings of meters, and those of domains that have none. `gpus` None: GPUs were not asked."""
    found = dict(readings)
    for domain in domains:
        if domain.spec.meter.query is not None or gpus is None:
            continue
        name, mode = domain.metadata.name, domain.spec.mode
        found[name] = gpus if isinstance(gpus, MeterFault) else _sum(forest[mode].nodes[name], gpus)
    return found


def _sum(nodes: Iterable[CappedNode], gpus: GpuReadings) -> MeterAnswer:
    """No watts where none of its nodes is read at all."""
    total, seen = 0.0, False
    for node in nodes:
        read = gpus.nodes.get(node.name)
        total += node.non_gpu_watts
        if read is None:
            total += sum(gpu.board.max_watts for gpu in node.gpus)
            continue
        seen = True
        most = max((gpu.board.max_watts for gpu in node.gpus), default=0.0)
        total += read.watts + max(len(node.gpus) - read.gpus, 0) * most
    return MeterAnswer((total,) if seen else (), gpus.at_seconds)
