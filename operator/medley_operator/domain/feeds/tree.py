"""The tree of power domains as plans see it: what feeds a node, what feeds a pool, and what each domain may draw now.

Pure. A plan is held to domains in mode Enforce alone: one that is only shown or logged takes no replica away. One that
its controller refuses may have a typing error for a budget: it takes no more replicas, and keeps what it has. So does
one whose controller is gone: what its status says is old, and its GPUs are at their safe limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1.power import EventPhase, PowerDomain, PowerEvent, PowerMode
from medley_operator.domain.values.conditions import ACCEPTED, ConditionStatus, find
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.power import PowerFacts
from medley_operator.domain.values.views import NodeView, PodView, selects

CONFIRMED_SECONDS = 30.0
"""How long after the end of its leases a controller of power may be late, or the clocks of two machines apart."""
UNBOUND_WATTS = 1e12
"""The budget of a domain that no plan is held to."""


@dataclass(frozen=True, slots=True)
class FeedTree:
    """Domains by name. `budgets`: watts that the plan may put on each now, with what it may be oversubscribed by;
    `held`: those that plans are held to; `refused`: those of them whose spec their controller does not accept.
    `unconfirmed`: those of them whose controller answers for them no more, with the Unix time until which it did."""

    domains: Mapping[str, PowerDomain]
    budgets: Mapping[str, float]
    held: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    unconfirmed: Mapping[str, float] = field(default_factory=dict)

    def chain(self, name: str | None) -> tuple[str, ...]:
        """The domain and those above it, the nearest first. A parent that is missing, or met again, ends it."""
        found: list[str] = []
        while name is not None and name in self.domains and name not in found:
            found.append(name)
            name = self.domains[name].spec.parent
        return tuple(found)

    def of_node(self, labels: Mapping[str, str]) -> str | None:
        """The domain that feeds a node with these labels, or all nodes that a selector like them selects; the first by
        name where two do."""
        return next(
            (
                name
                for name, domain in self.domains.items()
                if domain.spec.node_selector and selects(domain.spec.node_selector, labels)
            ),
            None,
        )

    def lowest_common(self, names: Iterable[str | None]) -> str | None:
        """The lowest domain that feeds all of these; None where one has no domain, or two have none in common."""
        chains = [self.chain(name) for name in names]
        shared = set(chains[0]).intersection(*chains[1:]) if chains else set()
        return next((name for name in chains[0] if name in shared), None) if chains else None

    def row(self, name: str | None) -> str | None:
        """The domain, or else the nearest above it, that plans are held to."""
        return next((each for each in self.chain(name) if each in self.held), None)

    def parent(self, name: str) -> str | None:
        """The nearest one above it that plans are held to and that does not lead back."""
        chain = self.chain(name)
        above = (each for each in chain[1:] if each in self.held and self.chain(each)[-1] == chain[-1])
        return next(above, None)

    def non_gpu_watts(self, name: str | None) -> float:
        """Most watts of a node that the domain itself feeds, beside its GPUs."""
        return float(self.domains[name].spec.non_gpu_watts or 0) if name is not None else 0.0


def domains_of(tree: FeedTree, pods: Iterable[PodView], nodes: Iterable[NodeView]) -> tuple[PowerDomain, ...]:
    """Those that feed the nodes of these pods, by name."""
    places = {pod.place for pod in pods if not pod.ended} if tree.domains else set()
    fed = {tree.of_node(node.labels) for node in nodes if node.name in places} if places else set()
    names = {name for each in fed for name in tree.chain(each)}
    return tuple(tree.domains[name] for name in sorted(names))


def feed_tree(facts: PowerFacts, *, now: float) -> FeedTree:
    """`now` in Unix seconds."""
    domains = {domain.metadata.name: domain for domain in facts.domains}
    targets: dict[str, float] = {name: float(domain.spec.budget_watts) for name, domain in domains.items()}
    for event in facts.events:
        name = event.spec.domain
        if name in targets and _counts(event, now):
            targets[name] = min(targets[name], _target(event, domains[name]))
    held = frozenset(name for name, domain in domains.items() if domain.spec.mode is PowerMode.ENFORCE)
    budgets = {
        name: watts * float(domains[name].spec.plan_oversubscription) if name in held else UNBOUND_WATTS
        for name, watts in targets.items()
    }
    refused = frozenset(name for name in held if _refused(domains[name]))
    late = {name: until for name, until in facts.leased_until.items() if name in held}
    unconfirmed = {name: until for name, until in late.items() if now > until + CONFIRMED_SECONDS}
    return FeedTree(domains, budgets, held, refused, unconfirmed)


def _counts(event: PowerEvent, now: float) -> bool:
    refused = event.status.phase == EventPhase.REFUSED
    fresh = event.status.observed_generation == event.metadata.generation
    start, end = unix_seconds(event.spec.start) or 0.0, unix_seconds(event.spec.end) or 0.0
    return start <= now < end and not (refused and fresh)


def _target(event: PowerEvent, domain: PowerDomain) -> float:
    if event.spec.target_watts is not None:
        return float(event.spec.target_watts)
    return float(event.spec.target_fraction or 1) * domain.spec.budget_watts


def _refused(domain: PowerDomain) -> bool:
    known = find(domain.status.conditions, ACCEPTED)
    fresh = domain.status.observed_generation == domain.metadata.generation
    return fresh and known is not None and known.status == ConditionStatus.FALSE
