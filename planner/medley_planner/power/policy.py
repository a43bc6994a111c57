"""One step of the capping policy over a whole tree: readings in, commands for single GPUs out. Pure: no clock, no I/O.

The order of a step: meters, levels of domains, settings of GPUs, commands. A GPU keeps what every domain above it asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_planner.model import Priority
from medley_planner.power.curtail import Curtailment, budget_in_force
from medley_planner.power.ladder import UNCAPPED, GpuSetting
from medley_planner.power.levels import START, DomainState, Pressure, next_state, on_ladder
from medley_planner.power.meter import MeterAnswer, MeterState, read, stale
from medley_planner.power.tree import CappedDomain, DomainTree
from medley_planner.power.victims import victims_of

CHANGE_SECONDS = 5.0
"""No GPU is changed twice within this time."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """The last command to a GPU."""

    setting: GpuSetting
    at_seconds: float = -math.inf


NEVER = Commanded(UNCAPPED)


@dataclass(frozen=True, slots=True)
class GpuCommand:
    """Hold this GPU to this setting from now on."""

    node: str
    uuid: str
    setting: GpuSetting


@dataclass(frozen=True, slots=True)
class PolicyState:
    """The memory between two steps. GPUs that it does not name were never commanded: they are uncapped.

    `settled_for`: the tree for which every GPU had its setting after the last step, so that nothing is to be done
    before a level changes.
    """

    domains: Mapping[str, DomainState] = field(default_factory=dict)
    meters: Mapping[str, MeterState] = field(default_factory=dict)
    gpus: Mapping[str, Commanded] = field(default_factory=dict)
    settled_for: DomainTree | None = None


def step(
    tree: DomainTree,
    state: PolicyState,
    answers: Mapping[str, MeterAnswer],
    events: Iterable[Curtailment] = (),
    *,
    now_seconds: float,
) -> tuple[PolicyState, tuple[GpuCommand, ...]]:
    """The next state and the commands. `answers`: what the meters of domains say now; who is missing said nothing.

    `events` are curtailments that `check_curtailment` accepted. `now_seconds` never falls from one step to the next.
    """
    events = tuple(events)
    domains: dict[str, DomainState] = {}
    meters: dict[str, MeterState] = {}
    same = state.settled_for is tree
    for name, domain in tree.domains.items():
        before = state.domains.get(name, START)
        if name in tree.refused:
            domains[name] = before
            continue
        before = on_ladder(domain.ladder, before)
        known = state.meters.get(name)
        meter = read(domain, tree.bounds[name], known, answers.get(name), now_seconds)
        # A reading after a gap does not undo the gap: the safe settings come first, and their dwell.
        if stale(domain, known or meter, now_seconds):
            after = next_state(domain, before, None, now_seconds)
        else:
            after = _stepped(domain, before, meter, budget_in_force(domain, events, now_seconds), now_seconds)
        meters[name], domains[name] = meter, after
        same = same and (after.level, after.safe) == (before.level, before.safe)
    if same:
        return PolicyState(domains, meters, state.gpus, tree), ()
    return _command(tree, PolicyState(domains, meters, state.gpus), now_seconds)


def _stepped(
    domain: CappedDomain, before: DomainState, meter: MeterState, budget_watts: float, now_seconds: float
) -> DomainState:
    if meter.held is not None or math.isnan(meter.watts):
        return before
    watts = meter.watts * (1.0 + domain.meter_error)
    return next_state(domain, before, Pressure(watts / budget_watts, watts / domain.budget_watts), now_seconds)


def _command(tree: DomainTree, state: PolicyState, now_seconds: float) -> tuple[PolicyState, tuple[GpuCommand, ...]]:
    """The commands that may be sent now; others wait for their GPU's 5 s, or for their turn in a release."""
    waiting = {name: _still_held(tree, tree.domains[name], each, now_seconds) for name, each in state.domains.items()}
    commands: list[GpuCommand] = []
    gpus = dict(state.gpus)
    settled = not any(waiting.values())
    shared: dict[tuple[tuple[str, ...], Priority, tuple[bool, ...]], tuple[GpuSetting, bool]] = {}
    for gpu, node, chain in tree.places:
        last = gpus.get(gpu.uuid, NEVER)
        held = tuple([gpu.uuid in waiting[name] for name in chain])
        key = (chain, gpu.priority, held)
        if key not in shared:
            shared[key] = _wanted(tree, state.domains, chain, gpu.priority, held)
        wanted, safe = shared[key]
        if safe:
            wanted = wanted.deeper(tree.safe[gpu.uuid])
        if tree.refused and not tree.refused.keys().isdisjoint(chain):
            wanted = wanted.deeper(last.setting)
        if wanted == last.setting:
            continue
        if now_seconds - last.at_seconds < CHANGE_SECONDS:
            settled = False
            continue
        gpus[gpu.uuid] = Commanded(wanted, now_seconds)
        commands.append(GpuCommand(node.name, gpu.uuid, wanted))
    return PolicyState(state.domains, state.meters, gpus, tree if settled else None), tuple(commands)


def _still_held(tree: DomainTree, domain: CappedDomain, state: DomainState, now_seconds: float) -> frozenset[str]:
    """The GPUs that the last step back has not yet released: those that were capped first."""
    ramp = domain.ladder.ramp_seconds
    if domain.name in tree.refused or not state.ramping(ramp, now_seconds):
        return frozenset()
    victims = victims_of(tree, domain.name, max(state.ramp_level, 1))
    held = 1.0 - (now_seconds - state.changed_seconds) / ramp
    return frozenset(victims[: math.ceil(len(victims) * held)])


def _wanted(
    tree: DomainTree,
    states: Mapping[str, DomainState],
    chain: tuple[str, ...],
    priority: Priority,
    held: tuple[bool, ...],
) -> tuple[GpuSetting, bool]:
    """The setting that the levels of a chain ask of a priority, and whether the safe settings hold too.

    `held`: whether a step back has not yet released it, for each domain of the chain.
    """
    setting, safe = UNCAPPED, False
    for name, waits in zip(chain, held, strict=True):
        if name in tree.refused:
            continue
        state = states[name]
        level = state.ramp_level if waits else state.level
        setting = setting.deeper(tree.domains[name].ladder.setting(level, priority))
        safe = safe or state.safe or (waits and state.ramp_safe)
    return setting, safe
