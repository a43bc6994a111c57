"""What one round's check leaves for the next: factors by what they follow from, and whose turn it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_planner.check.attain import Subject
from medley_planner.check.correct import rounded_factor
from medley_planner.model import Pool, Problem, Service

Factors = Mapping[str, Mapping[str, float]]
"""What capacities are multiplied by, by service and variant; 1 where one is not in it."""


@dataclass(frozen=True, slots=True)
class _Known:
    """`signature`: what the factors hold for. `futile`: the load and the pools that give no more correction."""

    signature: int
    factors: Mapping[str, float] = field(default_factory=dict)
    futile: tuple[object, ...] | None = None


@dataclass(slots=True)
class CheckMemory:
    """Losing it costs time, no truth."""

    _known: dict[str, _Known] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)
    _turn: int = 0

    def begin(self, problem: Problem, subjects: Mapping[str, Subject]) -> None:
        """A new round: what is known of other sizes, variants or targets, or of services that are gone, is dropped."""
        self._turn += 1
        fresh: dict[str, _Known] = {}
        for service in problem.services:
            subject = subjects.get(service.name)
            if subject is None:
                continue
            signature = _signature(service, subject)
            known = self._known.get(service.name)
            fresh[service.name] = known if known is not None and known.signature == signature else _Known(signature)
        self._known = fresh
        self._turns = {name: turn for name, turn in self._turns.items() if name in fresh}

    def factors(self) -> dict[str, Mapping[str, float]]:
        return {name: known.factors for name, known in self._known.items() if known.factors}

    def order(self, services: Iterable[Service]) -> list[Service]:
        """Those that were not reached for longest first."""
        return sorted(services, key=lambda service: self._turns.get(service.name, 0))

    def reached(self, name: str) -> None:
        self._turns[name] = self._turn

    def learn(self, steps: Factors) -> None:
        """Further factors, on top of those that are known."""
        for name, factors in steps.items():
            known = self._known[name]
            self._known[name] = _Known(known.signature, _product(known.factors, factors), known.futile)

    def give_up(self, service: Service, pools: Iterable[Pool]) -> None:
        """Until the service's rate or its pools change, its capacities are not corrected further."""
        known = self._known[service.name]
        self._known[service.name] = _Known(known.signature, known.factors, _circumstances(service, pools))

    def is_futile(self, service: Service, pools: Iterable[Pool]) -> bool:
        return self._known[service.name].futile == _circumstances(service, pools)


def together(known: Factors, steps: Factors) -> dict[str, Mapping[str, float]]:
    return {name: _product(known.get(name, {}), steps.get(name, {})) for name in sorted({*known, *steps})}


def _product(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: rounded_factor(a.get(name, 1.0) * b.get(name, 1.0)) for name in sorted({*a, *b})}


def _signature(service: Service, subject: Subject) -> int:
    """A hash, since the tables of a large fleet take tens of megabytes."""
    demand = service.demand
    capacities = tuple((variant.name, variant.capacity_rps) for variant in service.variants)
    return hash((subject, service.routing, demand.buckets, demand.shares, capacities))


def _circumstances(service: Service, pools: Iterable[Pool]) -> tuple[object, ...]:
    used = {variant.pool for variant in service.variants}
    return (service.demand.rate_rps, tuple(pool for pool in pools if pool.name in used))
