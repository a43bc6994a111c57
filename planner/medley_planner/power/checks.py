"""Builds the tree of domains and says which of them cannot be enforced, and why. Pure.

A domain that is refused is held: nothing in it is relaxed until it is mended. The others work on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from medley_planner.bad_input import BadInput
from medley_planner.power.ladder import GpuSetting, Ladder, PowerLevel
from medley_planner.power.tree import CappedDomain, DomainTree
from medley_planner.refusal import Refusal, first_refusal

_STEP_WATTS = 0.1
"""Safe caps are rounded down to it, so that their sum stays below a budget."""


def build_tree(domains: Iterable[CappedDomain]) -> DomainTree:
    """The tree with its refused domains and the safe settings of the others. The first domain of a name counts."""
    given = tuple(domains)
    counts = Counter(domain.name for domain in given)
    tree = DomainTree({domain.name: domain for domain in reversed(given)})
    tree = replace(tree, domains={domain.name: tree.domains[domain.name] for domain in given})
    refused = {}
    for name, domain in tree.domains.items():
        found = _twice(name, counts[name]) or first_refusal(DOMAIN_CHECKS, (tree, domain))
        if found is not None:
            refused[name] = found
    return DomainTree(tree.domains, refused, _safe_settings(tree, refused))


def refusal(reason: str, domain: str, field: str, value: object, way_out: str) -> Refusal:
    """In the wording of all bad input; `reason` is stable."""
    return Refusal(reason, str(BadInput(f"power domain {domain}", field, value, way_out)))


def safe_caps(tree: DomainTree, domain: CappedDomain) -> dict[str, float] | None:
    """The caps in watts, by GPU, that keep the domain within its budget whatever runs; None: there are none.

    Each is what its board draws at the safe level, or less, down to the least cap of the board.
    """
    level = domain.ladder.deepest if domain.safe_level is None else domain.safe_level
    nodes = tree.nodes_of(domain.name)
    room = domain.budget_watts - sum(node.non_gpu_watts for node in nodes)
    gpus = [gpu for node in nodes for gpu in node.gpus]
    least = [gpu.board.min_cap_watts for gpu in gpus]
    wanted = [
        max(gpu.board.ceiling_watts(domain.ladder.setting(level, gpu.priority)), low)
        for gpu, low in zip(gpus, least, strict=True)
    ]
    if sum(least) > room:
        return None
    spread = sum(wanted) - sum(least)
    part = 1.0 if spread <= 0.0 else min((room - sum(least)) / spread, 1.0)
    return {
        gpu.uuid: max(low, math.floor((low + part * (high - low)) / _STEP_WATTS) * _STEP_WATTS)
        for gpu, low, high in zip(gpus, least, wanted, strict=True)
    }


def _safe_settings(tree: DomainTree, refused: Mapping[str, Refusal]) -> dict[str, GpuSetting]:
    """The deepest of what the accepted domains above a GPU ask of it."""
    priorities = {gpu.uuid: gpu.priority for gpu, _, _ in tree.places}
    found: dict[str, GpuSetting] = {}
    for domain in tree.domains.values():
        if domain.name in refused:
            continue
        level = domain.ladder.deepest if domain.safe_level is None else domain.safe_level
        for uuid, cap in (safe_caps(tree, domain) or {}).items():
            lock = domain.ladder.setting(level, priorities[uuid]).clock_fraction
            found[uuid] = GpuSetting(lock, cap).deeper(found.get(uuid, GpuSetting()))
    return found


def _twice(name: str, count: int) -> Refusal | None:
    if count < 2:
        return None
    return refusal("DomainTwice", name, "metadata.name", name, f"{count} domains have this name; keep one of them")


def _parent(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    tree, domain = given
    if domain.parent is not None and domain.parent not in tree.domains:
        way_out = "no domain has this name; name one that exists, or leave spec.parent out if this domain has none"
        return refusal("UnknownParent", domain.name, "spec.parent", domain.parent, way_out)
    chain = tree.chain(domain.name)
    top = tree.domains[chain[-1]]
    if top.parent is None:
        return None
    circle = " -> ".join((*chain, top.parent))
    way_out = f"{circle} is a cycle; leave out the parent of the domain that is fed from the outside"
    return refusal("DomainCycle", domain.name, "spec.parent", domain.parent, way_out)


def _shared(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    tree, domain = given
    for other in tree.domains.values():
        for node in domain.nodes:
            if other.name != domain.name and node.name in {each.name for each in other.nodes}:
                way_out = f"domain {other.name} feeds it too; select it in one domain, the nearest that feeds it"
                return refusal("NodeInTwoDomains", domain.name, "spec.nodeSelector", node.name, way_out)
    uuids = Counter(gpu.uuid for node in domain.nodes for gpu in node.gpus)
    again = next((uuid for uuid, count in uuids.items() if count > 1), None)
    if again is not None:
        way_out = "two nodes report it; a GPU is on one node, so remove the node that is gone"
        return refusal("GpuOnTwoNodes", domain.name, "gpus", again, way_out)
    return None


def _numbers(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    _, domain = given
    ladder = domain.ladder
    rows = (
        ("spec.budgetWatts", domain.budget_watts, 1.0, math.inf, "give the watts that the feed may carry"),
        ("spec.staleAfterSeconds", domain.stale_seconds, 0.1, 600.0, "give 0.1 to 600 seconds"),
        (
            "spec.staleAfterSeconds",
            domain.stale_seconds,
            domain.telemetry_seconds + 1.0,
            600.0,
            f"readings are {domain.telemetry_seconds:g} s old when they arrive; give at least 1 s more",
        ),
        ("spec.telemetrySeconds", domain.telemetry_seconds, 0.0, 600.0, "give 0 to 600 seconds"),
        ("spec.actuationSeconds", domain.actuation_seconds, 0.0, 600.0, "give 0 to 600 seconds"),
        ("spec.meterError", domain.meter_error, 0.0, 0.5, "give the share that the meter may miss, 0 to 0.5"),
        ("spec.relaxGap", ladder.relax_gap, 0.01, 0.5, "give 0.01 to 0.5 of the budget"),
        ("spec.dwellSeconds", ladder.dwell_seconds, 0.0, 3600.0, "give 0 to 3600 seconds; 30 to 120 are usual"),
        ("spec.rampSeconds", ladder.ramp_seconds, 0.0, 3600.0, "give 0 to 3600 seconds"),
    )
    for field, value, low, high, way_out in rows:
        if not (math.isfinite(value) and low <= value <= high):
            return refusal("OutOfRange", domain.name, field, value, way_out)
    if ladder.ramp_seconds > ladder.dwell_seconds:
        way_out = f"a step back must be over before the next; give at most the dwell, {ladder.dwell_seconds:g} s"
        return refusal("OutOfRange", domain.name, "spec.rampSeconds", ladder.ramp_seconds, way_out)
    if domain.safe_level is not None and not 1 <= domain.safe_level <= ladder.deepest:
        way_out = f"give a level from 1 to {ladder.deepest}, or leave it out for the deepest"
        return refusal("OutOfRange", domain.name, "spec.safeLevel", domain.safe_level, way_out)
    return None


def _levels(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    _, domain = given
    if not domain.ladder.levels:
        return refusal("NoLevels", domain.name, "spec.levels", [], "give at least one level, or a preset")
    before = PowerLevel(0.0, GpuSetting(), GpuSetting(), GpuSetting())
    for field, level in _named_levels(domain.ladder):
        fault = _level_fault(level, before, brake=field == "spec.brake")
        if fault is not None:
            part, value, way_out = fault
            return refusal("LevelOutOfOrder", domain.name, f"{field}.{part}", value, way_out)
        before = level
    return None


def _level_fault(level: PowerLevel, before: PowerLevel, *, brake: bool) -> tuple[str, object, str] | None:
    """The field of a level, its value and the way out."""
    if not 0.0 < level.enter < 1.0:
        return "enter", level.enter, "give a share of the budget above 0 and below 1, where the facility's brake acts"
    if level.enter < before.enter or (brake and level.enter == before.enter):
        return "enter", level.enter, f"the level before is entered at {before.enter:g}; give more"
    for priority in ("low", "normal", "high"):
        setting: GpuSetting = getattr(level, priority)
        if not 0.0 < setting.clock_fraction <= 1.0:
            return f"{priority}.clockFraction", setting.clock_fraction, "give a fraction above 0 and at most 1"
        if setting.cap_watts is not None and not (math.isfinite(setting.cap_watts) and setting.cap_watts > 0.0):
            return f"{priority}.capWatts", setting.cap_watts, "give the watts of one GPU, above 0"
        held = getattr(before, priority)
        if setting.clock_fraction > held.clock_fraction or (setting.cap_watts or 0.0) > (held.cap_watts or math.inf):
            return priority, _written(setting), "the level before holds it lower; a deeper level lowers or keeps it"
    if not (level.low.within(level.normal) and level.normal.within(level.high)):
        return "low", _written(level.low), "a lower priority is capped at least as far as a higher one; lower it"
    return None


def _caps(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    tree, domain = given
    boards = {gpu.board for node in tree.nodes_of(domain.name) for gpu in node.gpus}
    for field, level in _named_levels(domain.ladder):
        for priority in ("low", "normal", "high"):
            cap = getattr(level, priority).cap_watts
            for board in sorted(boards, key=lambda each: each.name):
                if cap is not None and not board.min_cap_watts <= cap <= board.max_watts:
                    way_out = f"a {board.name} takes {board.min_cap_watts:g} to {board.max_watts:g} W; give one of them"
                    return refusal("CapOutOfRange", domain.name, f"{field}.{priority}.capWatts", cap, way_out)
    return None


def _budget(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    tree, domain = given
    idle = tree.idle_watts(domain.name)
    if domain.budget_watts <= idle:
        way_out = f"its nodes draw {idle:.0f} W idle; raise the budget or take nodes out"
        return refusal("BudgetBelowIdle", domain.name, "spec.budgetWatts", domain.budget_watts, way_out)
    above = None if domain.parent is None else tree.domains[domain.parent]
    if above is not None and domain.budget_watts > above.budget_watts:
        way_out = f"its parent {above.name} has {above.budget_watts:.0f} W; give at most that"
        return refusal("BudgetAboveParent", domain.name, "spec.budgetWatts", domain.budget_watts, way_out)
    return None


def _enforceable(given: tuple[DomainTree, CappedDomain]) -> Refusal | None:
    tree, domain = given
    if safe_caps(tree, domain) is not None:
        return None
    nodes = tree.nodes_of(domain.name)
    least = sum(node.non_gpu_watts + sum(gpu.board.min_cap_watts for gpu in node.gpus) for node in nodes)
    way_out = (
        f"with every GPU at its board's least cap the nodes may draw {least:.0f} W, so nothing holds the domain when "
        "its meter or its controller is lost; raise the budget to that, or take nodes out"
    )
    return refusal("NotEnforceable", domain.name, "spec.budgetWatts", domain.budget_watts, way_out)


def _named_levels(ladder: Ladder) -> Iterator[tuple[str, PowerLevel]]:
    for index, level in enumerate(ladder.levels):
        yield f"spec.levels[{index}]", level
    if ladder.brake is not None:
        yield "spec.brake", ladder.brake


def _written(setting: GpuSetting) -> dict[str, float]:
    caps = {} if setting.cap_watts is None else {"capWatts": setting.cap_watts}
    return {"clockFraction": setting.clock_fraction, **caps}


DOMAIN_CHECKS: tuple[Callable[[tuple[DomainTree, CappedDomain]], Refusal | None], ...] = (
    _parent,
    _numbers,
    _levels,
    _shared,
    _caps,
    _budget,
    _enforceable,
)
"""In this order; the first that refuses a domain counts, and the later ones rely on it."""
