"""Who is capped first, and how many watts that sheds. Pure.

Lower priorities first; within one priority, the GPUs that shed the most watts for each part of their throughput lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from medley_planner.model import Priority
from medley_planner.power.ladder import UNCAPPED, GpuSetting, Ladder
from medley_planner.power.tree import CappedDomain, CappedGpu, DomainTree

_RANKS = {Priority.LOW: 0, Priority.NORMAL: 1, Priority.HIGH: 2}
_LEAST_LOSS = 1e-9


@dataclass(frozen=True, slots=True)
class Shed:
    """The effect of caps alone on a need: who is held to what, the watts that it sheds, and what is missing."""

    settings: dict[str, GpuSetting]
    shed_watts: float
    shortfall_watts: float


def watts_per_loss(gpu: CappedGpu, setting: GpuSetting) -> float:
    """Watts shed for the throughput that is lost, both of this GPU; the loss counts as a part of its own."""
    shed = gpu.drawn_watts - gpu.watts_under(setting)
    return shed / max(1.0 - gpu.speed_under(setting), _LEAST_LOSS)


def order_victims(gpus: Iterable[CappedGpu], ladder: Ladder, level: int) -> list[CappedGpu]:
    """First who is capped first, released last. Equals are ordered by a hash, so that no rack is always the first."""

    def key(gpu: CappedGpu) -> tuple[int, float, int, str]:
        setting = ladder.setting(level, gpu.priority)
        spread = crc32(gpu.uuid.encode())
        return _RANKS[gpu.priority], -watts_per_loss(gpu, setting), spread, gpu.uuid

    return sorted(gpus, key=key)


def victims_of(tree: DomainTree, name: str, level: int) -> tuple[str, ...]:
    """The UUIDs of all GPUs of a domain in the order of victims, kept in the tree."""
    found = tree.orders.get((name, level))
    if found is None:
        gpus = (gpu for node in tree.nodes_of(name) for gpu in node.gpus)
        found = tuple(gpu.uuid for gpu in order_victims(gpus, tree.domains[name].ladder, level))
        tree.orders[name, level] = found
    return found


def shed(tree: DomainTree, domain: CappedDomain, need_watts: float) -> Shed:
    """The fewest victims at the shallowest level that shed `need_watts`, or all at the deepest with the shortfall."""
    gpus = [gpu for node in tree.nodes_of(domain.name) for gpu in node.gpus]
    found = Shed({}, 0.0, max(need_watts, 0.0))
    for level in range(1, domain.ladder.deepest + 1):
        if found.shortfall_watts <= 0.0:
            break
        found = _shed_at(order_victims(gpus, domain.ladder, level), domain.ladder, level, need_watts)
    return found


def _shed_at(victims: Iterable[CappedGpu], ladder: Ladder, level: int, need_watts: float) -> Shed:
    settings: dict[str, GpuSetting] = {}
    total = 0.0
    for gpu in victims:
        if total >= need_watts:
            break
        setting = ladder.setting(level, gpu.priority)
        if setting == UNCAPPED:
            continue
        settings[gpu.uuid] = setting
        total += gpu.drawn_watts - gpu.watts_under(setting)
    return Shed(settings, total, max(need_watts - total, 0.0))
