"""The memory that one round's check leaves for the next: factors by what they follow from, and whose turn it is.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_planner.check.attain import Attained, Subject
from medley_planner.check.correct import rounded_factor
from medley_planner.model import Pool, Problem, Service, ServicePlan

Factors = Mapping[str, Mapping[str, float]]
"""Factors on capacities by service and variant; 1 where one is not in it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of simulating one service's plan. `attainment`: share of the planned requests within both targets;
    `variants`: of one replica of each in use.
    """

    attainment: float
    percentile: float
    variants: Mapping[str, Attained]

    @property
    def attains(self) -> bool:
        return self.attainment >= self.percentile / 100.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of checking the plan of one service. `checked` None: nothing of it can be simulated. `factors`:
    what the capacities that it was made with should be multiplied by; empty where it attains or where that would not
    help."""

    checked: Checked | None
    factors: Mapping[str, float]


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
    _seen: dict[str, tuple[int, Seen]] = field(default_factory=dict)
    """The last plan that was checked, as a hash, and its result, by service."""
    _turns: dict[str, int] = field(default_factory=dict)
    """The number of the round that last checked it, by service."""
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
            if known is None:
                names = {variant.name for variant in service.variants}
                last = {name: rounded_factor(factor) for name, factor in subject.last_factors if name in names}
                known = _Known(signature, last)
            fresh[service.name] = known if known.signature == signature else _Known(signature)
        self._known = fresh
        self._seen = {name: seen for name, seen in self._seen.items() if name in fresh}
        self._turns = {name: turn for name, turn in self._turns.items() if name in fresh}

    def factors(self) -> dict[str, Mapping[str, float]]:
        return {name: known.factors for name, known in self._known.items() if known.factors}

    def order(self, services: Iterable[Service]) -> list[Service]:
        """Those whose last check is oldest come first."""
        return sorted(services, key=lambda service: self._turns.get(service.name, 0))

    def seen(self, service: Service, planned: ServicePlan) -> Seen | None:
        """The result for this very plan, if it is the one that was checked last."""
        key, seen = self._seen.get(service.name, (None, None))
        return seen if key == self._key(service, planned) else None

    def saw(self, service: Service, planned: ServicePlan, seen: Seen) -> None:
        self._seen[service.name] = self._key(service, planned), seen
        self._turns[service.name] = self._turn

    def further(self, service: Service, factors: Mapping[str, float]) -> dict[str, float]:
        """Those of `factors` that would still change what is known: none goes below the floor."""
        known = self._known[service.name].factors
        return {name: factor for name, factor in factors.items() if _product(known, {name: factor}) != known}

    def _key(self, service: Service, planned: ServicePlan) -> int:
        used = tuple((v.variant, v.replicas, v.load, v.bucket_shares) for v in planned.variants if v.replicas > 0)
        return hash((self._known[service.name].signature, service.demand.rate_rps, planned.routing, used))

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
    return hash((subject, service.routing, demand.buckets, demand.shares, demand.prefix_hit_rate, capacities))


def _circumstances(service: Service, pools: Iterable[Pool]) -> tuple[object, ...]:
    used = {variant.pool for variant in service.variants}
    return (service.demand.rate_rps, tuple(pool for pool in pools if pool.name in used))
