"""One round of the controller of power: from what was seen and read to what is written. Pure: no I/O, time is given.

The controller is a machine of values: it remembers the policy's state between two rounds. A new leader begins with what
statuses and NodePowerCaps say, so that nothing is un-capped by a change of leader.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1.power import PowerDomain, PowerMode
from medley_operator.domain.power.dynamo import ceilings_of, limit_notes
from medley_operator.domain.power.events import accepted, judge
from medley_operator.domain.power.forest import Forest, ModeTree, grow
from medley_operator.domain.power.gpu_sum import GpuReadings, with_gpu_sums
from medley_operator.domain.power.limits import CAP_MODES, CapRules, CapWrite, Limits
from medley_operator.domain.power.members import Member, Members
from medley_operator.domain.power.report import DomainReading
from medley_operator.domain.power.restore import adopted, levels_left
from medley_operator.domain.power.tell import DOMAIN, Notice, Teller
from medley_operator.domain.power.view import MeterFault, PowerView, Readings
from medley_operator.domain.values.decision import PodNote, StatusWrite
from medley_operator.domain.values.snapshot import InvalidObject, ObjectKey
from medley_planner.power import (
    CappedDomain,
    Curtailment,
    DomainState,
    MeterAnswer,
    MeterState,
    PolicyState,
    RiseHistory,
    budget_in_force,
    step,
)

GONE_SECONDS = 600.0
"""After this time without its node, a NodePowerCap is deleted."""


@dataclass(frozen=True, slots=True)
class CapDelete:
    """The caps of a node that is gone."""

    key: ObjectKey
    uid: str


@dataclass(frozen=True, slots=True)
class PowerDecision:
    """All that a round writes, and what the metrics show."""

    caps: tuple[CapWrite, ...] = ()
    deletes: tuple[CapDelete, ...] = ()
    statuses: tuple[StatusWrite, ...] = ()
    notes: tuple[PodNote, ...] = ()
    notices: tuple[Notice, ...] = ()
    readings: Mapping[str, DomainReading] = field(default_factory=dict)


class PowerController:
    """`round` is called each second or two, by one leader."""

    def __init__(self, rules: CapRules) -> None:
        self._rules = rules
        self._members = Members()
        self._forest: Forest = {}
        self._rests_on: object = None
        self._states: dict[PowerMode, PolicyState] = {}
        self._rises: dict[str, RiseHistory] = {}
        self._gone_since: dict[str, float] = {}
        self._parsed: dict[str, PowerDomain] = {}
        self._teller = Teller()
        self._now = -math.inf
        self.limits = Limits()

    def round(
        self, view: PowerView, readings: Readings, gpus: GpuReadings | MeterFault | None = None, *, now: float
    ) -> PowerDecision:
        """`readings`: of the domains that have a meter; `gpus`: for the others, None where there are none. `now` is
        Unix time; one that goes back counts as the last one."""
        self._now = now = max(now, self._now)
        domains = self._domains(view)
        forest = self._grown(domains, self._members.find(view))
        readings = with_gpu_sums(readings, gpus, domains, forest)
        judged = [judge(event, [each.tree for each in forest.values()], now=now) for event in view.events]
        touched = self._step(forest, domains, view, readings, accepted(judged), now)
        self._forest = forest
        ceilings = ceilings_of(view)
        self.limits.update(forest, self._states, touched, ceilings.watts)
        unread = {item.key.name for item in view.rejected if item.key.kind == DOMAIN}
        capping = unread | {domain.metadata.name for domain in domains if domain.spec.mode in CAP_MODES}
        shown = {
            domain.metadata.name: self._reading(domain, forest[domain.spec.mode], readings, accepted(judged), now)
            for domain in domains
        }
        told = self._teller.tell(view, judged, [each.tree for each in forest.values()], shown, now=now)
        unread_limits = self._teller.pod_limits(view, ceilings.refused)
        return PowerDecision(
            caps=tuple(self.limits.writes(view.caps, capping, self._rules, now=now)),
            deletes=tuple(self._deletes(view, now)),
            statuses=told.statuses,
            notes=limit_notes(view, self.limits.nodes) if self._rules.annotates_pods else (),
            notices=(*told.notices, *unread_limits),
            readings=shown,
        )

    def _grown(self, domains: tuple[PowerDomain, ...], members: Mapping[str, Member]) -> Forest:
        """The trees, grown anew only where a domain or a node is another one than in the last round."""
        rests_on = (tuple((each.metadata.name, each.spec) for each in domains), tuple(members.values()))
        if rests_on == self._rests_on:
            return self._forest
        self._rests_on = rests_on
        return grow(domains, members, self._forest)

    def _domains(self, view: PowerView) -> tuple[PowerDomain, ...]:
        """Those that parse, and the last that did of those that do not any more."""
        self._parsed = {
            **{name: domain for name, domain in self._parsed.items() if _is_rejected(name, view.rejected)},
            **{domain.metadata.name: domain for domain in view.domains},
        }
        return tuple(self._parsed[name] for name in sorted(self._parsed))

    def _step(
        self,
        forest: Forest,
        domains: Iterable[PowerDomain],
        view: PowerView,
        readings: Readings,
        events: tuple[Curtailment, ...],
        now: float,
    ) -> set[str]:
        """The policy's step in each tree; returns the nodes that got a command."""
        answers = {name: found for name, found in readings.items() if isinstance(found, MeterAnswer)}
        known = {domain.metadata.name: domain for domain in domains}
        touched: set[str] = set()
        for mode, grown in forest.items():
            before = self._states.get(mode)
            if before is None:
                before = PolicyState(domains=levels_left(grown.tree, known, view, now))
            if mode not in self._forest or self._forest[mode].tree is not grown.tree:
                before = adopted(grown.tree, before, view)
            self._states[mode], commands = step(grown.tree, before, answers, events, now_seconds=now)
            if mode in CAP_MODES:
                touched |= {command.node for command in commands}
        for mode in self._states.keys() - forest.keys():
            del self._states[mode]
        return touched

    def _reading(
        self, domain: PowerDomain, grown: ModeTree, readings: Readings, events: tuple[Curtailment, ...], now: float
    ) -> DomainReading:
        name, tree, state = domain.metadata.name, grown.tree, self._states[domain.spec.mode]
        capped = tree.domains[name]
        meter = state.meters.get(name)
        nodes = grown.nodes[name]
        silent = readings.get(name)
        return DomainReading(
            capped=capped,
            state=state.domains.get(name, DomainState()),
            meter=meter,
            budget_watts=budget_in_force(capped, events, now),
            refused=grown.refused.get(name),
            stepped=name not in tree.refused,
            nodes=len(nodes),
            gpus=sum(len(node.gpus) for node in nodes),
            capped_gpus=sum(self.limits.capped_gpus.get(node.name, 0) for node in nodes),
            rises=self._risen(capped, meter),
            silent=silent if isinstance(silent, MeterFault) else None,
        )

    def _risen(self, capped: CappedDomain, meter: MeterState | None) -> RiseHistory | None:
        history = self._rises.get(capped.name)
        if history is None or history.span_seconds != capped.settle_seconds:
            history = RiseHistory(capped.settle_seconds)
        if meter is not None and not math.isnan(meter.watts) and meter.held is None:
            seen = history.window[-1][0] if history.window else -math.inf
            if meter.at_seconds > seen:
                history = history.observe(meter.watts / capped.budget_watts, meter.at_seconds)
        self._rises[capped.name] = history
        return history

    def _deletes(self, view: PowerView, now: float) -> Iterable[CapDelete]:
        there = {node.name for node in view.nodes}
        self._gone_since = {name: self._gone_since.get(name, now) for name in view.caps if name not in there}
        for name, since in self._gone_since.items():
            if now - since > GONE_SECONDS:
                metadata = view.caps[name].metadata
                yield CapDelete(ObjectKey("NodePowerCap", "", name), metadata.uid)


def _is_rejected(name: str, rejected: Iterable[InvalidObject]) -> bool:
    return any(item.key.kind == DOMAIN and item.key.name == name for item in rejected)
