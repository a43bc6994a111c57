"""The limits of each node's GPUs, and the NodePowerCaps that have to be written for them. Pure.

A node's caps are written when a limit changes, and for nothing else but the renewal of their lease. Nothing in here
removes a cap because something is not known: a node that no domain selects any more keeps its caps while the domain
that gave them is there and caps; they are released when that domain is deleted or set to a mode that does not cap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from zlib import crc32

from medley_operator.api.v1alpha1 import API_VERSION, ServicePriority
from medley_operator.api.v1alpha1.power import (
    CapLease,
    CapMode,
    GpuCap,
    NodePowerCap,
    NodePowerCapSpec,
    OtherGpuCap,
    PowerMode,
)
from medley_operator.domain.power.forest import Forest
from medley_operator.domain.power.ladders import limit_of, setting_of
from medley_operator.domain.power.members import is_synthetic
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.power import CappedGpu, Commanded, DomainTree, GpuSetting, PolicyState

KIND = "NodePowerCap"
RENEW_SHARES = (0.4, 0.5)
"""A lease is renewed at an age between these parts of its duration, by node, so that renewals spread over time."""
UNCAPPED = GpuSetting()
NO_CEILINGS: Mapping[str, float] = MappingProxyType({})
CAP_MODES = {PowerMode.ENFORCE: CapMode.ENFORCE, PowerMode.SHADOW: CapMode.SHADOW}


@dataclass(frozen=True, slots=True)
class GpuLimits:
    """The limits of one GPU, as settings of the policy."""

    gpu: CappedGpu
    level: int
    limit: GpuSetting
    safe: GpuSetting

    @property
    def capped(self) -> bool:
        return self.limit != UNCAPPED


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """The limits of the GPUs of one node, and the domains above it, the nearest first."""

    mode: CapMode
    domains: tuple[str, ...]
    gpus: tuple[GpuLimits, ...]

    @property
    def capped_gpus(self) -> int:
        return sum(each.capped for each in self.gpus)


@dataclass(frozen=True, slots=True)
class CapRules:
    """Who writes caps, and for how long each write counts."""

    holder: str
    lease_seconds: int
    annotates_pods: bool = False
    """Whether the pods of LLMServices get Dynamo's annotation."""


@dataclass(frozen=True, slots=True)
class CapWrite:
    """A NodePowerCap to apply. `renewal`: nothing but its lease is new."""

    node: str
    manifest: Manifest
    renewal: bool = False


@dataclass(slots=True)
class Limits:
    """The limits of all nodes, kept from round to round; only what changed is worked out anew."""

    nodes: dict[str, NodeLimits] = field(default_factory=dict)
    capped_gpus: dict[str, int] = field(default_factory=dict)
    """How many GPUs of each node are capped."""
    _trees: dict[PowerMode, DomainTree] = field(default_factory=dict)
    _ceilings: Mapping[str, float] = field(default_factory=dict)
    _agreed: dict[str, tuple[NodeLimits, NodePowerCapSpec]] = field(default_factory=dict)
    """Limits and specs that were compared and say the same."""

    def update(
        self,
        forest: Forest,
        states: Mapping[PowerMode, PolicyState],
        touched: Iterable[str],
        ceilings: Mapping[str, float] = NO_CEILINGS,
    ) -> None:
        """`touched`: nodes of which a GPU got a command in this round. `ceilings`: watts beyond which a GPU is not
        let, whatever its domains allow, by UUID."""
        trees = {mode: forest[mode].tree for mode in CAP_MODES if mode in forest}
        same = trees == self._trees and all(trees[mode] is self._trees[mode] for mode in trees)
        if not same or ceilings != self._ceilings:
            self._trees, self._ceilings, self.nodes = trees, ceilings, {}
            wanted = None
        else:
            wanted = frozenset(touched)
            if not wanted:
                return
        found: dict[str, NodeLimits] = {}
        for mode, tree in trees.items():
            own = _limits_of(mode, tree, states[mode], ceilings, wanted)
            found |= {name: limits for name, limits in own.items() if name not in found}
        self.nodes = self.nodes | found
        self.capped_gpus = {name: limits.capped_gpus for name, limits in self.nodes.items()}

    def writes(
        self, caps: Mapping[str, NodePowerCap], capping: AbstractSet[str], rules: CapRules, *, now: float
    ) -> list[CapWrite]:
        """The caps to write now. `capping`: the domains that are there and cap. `now` is Unix time."""
        found = [write for name, limits in self.nodes.items() if (write := self._write(name, limits, caps, rules, now))]
        for name in caps.keys() - self.nodes.keys():
            write = _outside(caps[name], capping, rules, now)
            if write is not None:
                found.append(write)
        return found

    def _write(
        self, name: str, limits: NodeLimits, caps: Mapping[str, NodePowerCap], rules: CapRules, now: float
    ) -> CapWrite | None:
        cap = caps.get(name)
        if cap is None:
            spec = _spec(name, limits, rules, revision=1, now=now)
            return CapWrite(name, _manifest(name, spec))
        agreed = self._agreed.get(name)
        if agreed is None or agreed[0] is not limits or agreed[1] is not cap.spec:
            spec = _spec(name, limits, rules, revision=cap.spec.revision, now=now)
            if spec.model_copy(update={"lease": cap.spec.lease}) != cap.spec:
                changed = spec.model_copy(update={"revision": cap.spec.revision + 1})
                return CapWrite(name, _manifest(name, changed))
            self._agreed[name] = (limits, cap.spec)
        return _renewed(cap, rules, now)


def commanded(cap: NodePowerCap, uuid: str) -> Commanded | None:
    """The limit that a node's caps set on a GPU; the policy goes on from there after a change of leader."""
    if cap.spec.mode is not CapMode.ENFORCE:
        return None
    listed = next((gpu.limit for gpu in cap.spec.gpus if gpu.uuid == uuid), cap.spec.others.limit)
    setting = setting_of(listed)
    return None if setting == UNCAPPED else Commanded(setting)


def _limits_of(
    mode: PowerMode,
    tree: DomainTree,
    state: PolicyState,
    ceilings: Mapping[str, float],
    wanted: frozenset[str] | None,
) -> dict[str, NodeLimits]:
    """The limits of the nodes in a tree, or of those that are wanted. A node of which all domains are refused is left
    out: its caps stay as they are."""
    gpus: dict[str, list[GpuLimits]] = {}
    chains: dict[str, tuple[str, ...]] = {}
    for gpu, node, chain in tree.places:
        if (wanted is not None and node.name not in wanted) or tree.refused.keys() >= set(chain):
            continue
        known = state.gpus.get(gpu.uuid)
        limit = UNCAPPED if known is None else known.setting
        if ceilings.get(gpu.uuid, math.inf) < gpu.board.max_watts:
            limit = limit.deeper(GpuSetting(cap_watts=max(ceilings[gpu.uuid], gpu.board.min_cap_watts)))
        level = max((state.domains[name].level for name in chain if name in state.domains), default=0)
        safe = tree.safe.get(gpu.uuid, limit)
        gpus.setdefault(node.name, []).append(GpuLimits(gpu, level, limit, safe))
        chains[node.name] = chain
    return {name: NodeLimits(CAP_MODES[mode], chains[name], tuple(own)) for name, own in gpus.items()}


def _spec(node: str, limits: NodeLimits, rules: CapRules, *, revision: int, now: float) -> NodePowerCapSpec:
    listed = [each for each in limits.gpus if not is_synthetic(each.gpu.uuid, node)]
    deepest = GpuSetting()
    safest = GpuSetting()
    for each in limits.gpus:
        deepest, safest = deepest.deeper(each.limit), safest.deeper(each.safe)
    return NodePowerCapSpec(
        mode=limits.mode,
        revision=revision,
        lease=_lease(rules, now),
        domains=list(limits.domains),
        gpus=[
            GpuCap(
                uuid=each.gpu.uuid,
                priority=ServicePriority(each.gpu.priority.value),
                level=each.level,
                limit=limit_of(each.limit),
                safe=limit_of(each.safe),
            )
            for each in listed
        ],
        others=OtherGpuCap(
            level=max((each.level for each in limits.gpus), default=0),
            limit=limit_of(deepest),
            safe=limit_of(safest),
        ),
    )


def _outside(cap: NodePowerCap, capping: AbstractSet[str], rules: CapRules, now: float) -> CapWrite | None:
    """For a node that no accepted domain selects that caps."""
    if cap.spec.mode is CapMode.RELEASE:
        return None
    if not capping.isdisjoint(cap.spec.domains):
        return _renewed(cap, rules, now)
    released = NodePowerCapSpec(mode=CapMode.RELEASE, revision=cap.spec.revision + 1, lease=_lease(rules, now))
    return CapWrite(cap.metadata.name, _manifest(cap.metadata.name, released))


def _renewed(cap: NodePowerCap, rules: CapRules, now: float) -> CapWrite | None:
    """The spec as it is with a lease renewed, where that is due."""
    least, most = RENEW_SHARES
    lease = cap.spec.lease
    due = rules.lease_seconds * (least + (most - least) * (crc32(cap.metadata.name.encode()) % 1024) / 1024)
    age = now - (unix_seconds(lease.renew_time) or -math.inf)
    if 0.0 <= age < due and lease.duration_seconds == rules.lease_seconds:
        return None
    spec = cap.spec.model_copy(update={"lease": _lease(rules, now)})
    return CapWrite(cap.metadata.name, _manifest(cap.metadata.name, spec), renewal=True)


def _lease(rules: CapRules, now: float) -> CapLease:
    return CapLease(holder=rules.holder, renew_time=utc_text(now), duration_seconds=rules.lease_seconds)


def _manifest(node: str, spec: NodePowerCapSpec) -> Manifest:
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": node}, "spec": written}
