"""The hardware as the capping policy knows it: boards, GPUs, nodes and the tree of domains that feed them. Pure.

A tree is built once, when a domain or a node changes (`checks.build_tree`), and read at each step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from medley_planner.model import Priority
from medley_planner.power.ladder import GpuSetting, Ladder
from medley_planner.refusal import Refusal

CLOCK_EXPONENT = 1.2
"""P(f) = s + (1 - s) f^1.2 as a fraction of P(1): fits POLCA's 20 % less peak power at f = 0.787 with s = 0.2."""
DECODE_SENSITIVITY = 0.2
"""c in speed(f) = 1 / (1 - c + c / f): decode of dense models loses 0.1 to 0.3, prefill 0.9."""


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU board. `max_watts` is its default power limit; caps may be set from `min_cap_watts` up to it."""

    name: str
    idle_watts: float
    min_cap_watts: float
    max_watts: float

    def watts_at(self, clock_fraction: float, *, full_watts: float | None = None) -> float:
        """The draw at a locked clock of what draws `full_watts` (default: the board's most) at the highest clock."""
        full = self.max_watts if full_watts is None else full_watts
        idle = min(self.idle_watts, full)
        return idle + (full - idle) * math.pow(clock_fraction, CLOCK_EXPONENT)

    def ceiling_watts(self, setting: GpuSetting) -> float:
        """The most that the board draws at a setting, by its cap or else by the model of its clock."""
        at_clock = self.watts_at(setting.clock_fraction)
        return at_clock if setting.cap_watts is None else min(at_clock, setting.cap_watts)


@dataclass(frozen=True, slots=True)
class CappedGpu:
    """One GPU, by UUID, since indices move. A GPU that several services share has the highest of their priorities.

    `watts` is what it draws uncapped, as far as known; None: its board's most. `clock_sensitivity` is c of
    speed(f) = 1 / (1 - c + c / f).
    """

    uuid: str
    board: Board
    priority: Priority = Priority.NORMAL
    watts: float | None = None
    clock_sensitivity: float = DECODE_SENSITIVITY

    @property
    def drawn_watts(self) -> float:
        return self.board.max_watts if self.watts is None else self.watts

    def watts_under(self, setting: GpuSetting) -> float:
        """Its expected draw at a setting."""
        at_clock = self.board.watts_at(setting.clock_fraction, full_watts=self.drawn_watts)
        return at_clock if setting.cap_watts is None else min(at_clock, setting.cap_watts)

    def speed_under(self, setting: GpuSetting) -> float:
        """Its expected speed at a setting, as a fraction of the uncapped one."""
        c, clock = self.clock_sensitivity, setting.clock_fraction
        if setting.cap_watts is not None and self.watts_under(setting) < self.drawn_watts:
            idle = min(self.board.idle_watts, self.drawn_watts)
            part = max(self.watts_under(setting) - idle, 0.0) / (self.drawn_watts - idle)
            clock = min(clock, max(part, 1e-6) ** (1.0 / CLOCK_EXPONENT))
        return 1.0 / (1.0 - c + c / clock)


@dataclass(frozen=True, slots=True)
class CappedNode:
    """A server: `non_gpu_watts` is the most that all but its GPUs draw."""

    name: str
    non_gpu_watts: float
    gpus: tuple[CappedGpu, ...]


@dataclass(frozen=True, slots=True)
class CappedDomain:
    """A power domain as the policy sees it: a budget, what feeds from it, and how it is metered.

    `nodes` are those that it feeds itself; those of the domains below count too. `safe_level` is what it goes to when
    it is blind (None: the deepest level). `telemetry_seconds` and `actuation_seconds` are how old a reading is when it
    arrives and how long a command takes; `meter_error` is the share by which the meter may read too little.
    """

    name: str
    budget_watts: float
    ladder: Ladder
    parent: str | None = None
    nodes: tuple[CappedNode, ...] = ()
    safe_level: int | None = None
    stale_seconds: float = 10.0
    telemetry_seconds: float = 2.0
    actuation_seconds: float = 1.0
    meter_error: float = 0.0

    @property
    def settle_seconds(self) -> float:
        """After this time a reading shows what the last command did."""
        return self.telemetry_seconds + self.actuation_seconds


@dataclass(frozen=True)
class DomainTree:
    """Domains by name, in the order given. Those in `refused` are not stepped, and their GPUs are never relaxed.

    `safe`: the setting of each GPU, by UUID, at which no accepted domain can exceed its budget, with no feedback.
    """

    domains: Mapping[str, CappedDomain]
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    safe: Mapping[str, GpuSetting] = field(default_factory=dict)
    orders: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    """For a domain and a level, the UUIDs in the order of victims, each worked out once when it is first needed."""

    def chain(self, name: str) -> tuple[str, ...]:
        """The domain and those above it. A parent that is missing, or met for the second time, ends it."""
        found: list[str] = []
        each: str | None = name
        while each is not None and each in self.domains and each not in found:
            found.append(each)
            each = self.domains[each].parent
        return tuple(found)

    def below(self, name: str) -> Iterator[CappedDomain]:
        """The domain and those that feed from it."""
        return (domain for domain in self.domains.values() if name in self.chain(domain.name))

    def nodes_of(self, name: str) -> tuple[CappedNode, ...]:
        return tuple(node for domain in self.below(name) for node in domain.nodes)

    def idle_watts(self, name: str) -> float:
        return sum(node.non_gpu_watts + sum(gpu.board.idle_watts for gpu in node.gpus) for node in self.nodes_of(name))

    def most_watts(self, name: str) -> float:
        return sum(node.non_gpu_watts + sum(gpu.board.max_watts for gpu in node.gpus) for node in self.nodes_of(name))

    @cached_property
    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """The watts of each domain idle, and at most."""
        return {name: (self.idle_watts(name), self.most_watts(name)) for name in self.domains}

    @cached_property
    def places(self) -> tuple[tuple[CappedGpu, CappedNode, tuple[str, ...]], ...]:
        """Each GPU with its node and the chain of its domains; once where a node is wrongly in two."""
        found: dict[str, tuple[CappedGpu, CappedNode, tuple[str, ...]]] = {}
        for domain in self.domains.values():
            chain = self.chain(domain.name)
            for node in domain.nodes:
                for gpu in node.gpus:
                    known = found.get(gpu.uuid)
                    both = chain if known is None else tuple(dict.fromkeys((*known[2], *chain)))
                    found[gpu.uuid] = (gpu, node, both)
        return tuple(found.values())
