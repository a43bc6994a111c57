"""How many replicas each variant may have now, on the way from what runs to what the plan wants.

New capacity is Ready before old is removed: growth is applied at once; a variant shrinks only when every other variant
has as many Ready replicas as the plan wants of it. A scale-down takes pods that are not Ready first (the ReplicaSet
controller ranks them so), hence a step by this function never takes the ready capacity of a service below the lower of
what is ready now and what the plan provides; `removals` checks the load. Pure; called anew each round, so it needs no
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from medley_operator.domain.cluster.children import variant_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, Ledger


@dataclass(frozen=True, slots=True)
class VariantScale:
    """One variant of one service: replicas that the plan wants, that its Deployment asks for now, and that are Ready.

    `current` is 0 where there is no Deployment. A `paused` one keeps what it has. `stuck`: its replicas were given time
    and did not start.
    """

    desired: int
    current: int
    ready: int
    paused: bool = False
    stuck: bool = False

    @property
    def surplus(self) -> bool:
        """Whether it has more than is planned, and may give it up."""
        return self.desired < self.current and not self.paused


def next_replicas(variants: Mapping[str, VariantScale], *, excused: frozenset[str] = frozenset()) -> dict[str, int]:
    """Replicas to apply now, by variant. Nobody waits for a variant in `excused`."""
    applied: dict[str, int] = {}
    for name, scale in variants.items():
        if scale.paused:
            applied[name] = scale.current
            continue
        if scale.desired >= scale.current:
            applied[name] = scale.desired
            continue
        others_ready = all(
            other.ready >= other.desired
            for other_name, other in variants.items()
            if other_name != name and other_name not in excused
        )
        applied[name] = scale.desired if others_ready else scale.current
    return applied


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Where a variant's replicas stand: its pool, the GPUs of one replica, and its Deployment ("" for none yet)."""

    pool: str
    gpus_per_replica: int
    deployment: str = ""


Scales = Mapping[ServiceKey, Mapping[str, VariantScale]]
Uses = Mapping[ServiceKey, Mapping[str, PoolUse]]
Replicas = Mapping[ServiceKey, Mapping[str, int]]
KeepsLoad = Callable[[ServiceKey, Mapping[str, int]], bool]
"""Whether what stays Ready of a service carries its load where it has so many replicas, by variant."""

Goes = Callable[[ServiceKey, str], bool]
"""Whether a variant that may shrink now will: nothing that may never end keeps it from it."""


def may_be_tied(services: Scales, applied: Replicas) -> bool:
    """Whether some surplus waits: only then is it worth to look who waits for whose GPUs."""
    return any(
        scale.surplus and applied[key][name] >= scale.current
        for key, variants in services.items()
        for name, scale in variants.items()
    )


def untied(
    services: Scales,
    applied: dict[ServiceKey, dict[str, int]],
    *,
    uses: Uses,
    ledger: Ledger,
    keeps_load: KeepsLoad = lambda _key, _replicas: True,
    goes: Goes = lambda _key, _name: True,
) -> dict[ServiceKey, dict[str, int]]:
    """`applied` (`next_replicas` of all services), with one exception where waiting would never end.

    A growing variant may wait for GPUs that another variant's surplus holds, while that surplus waits for a variant
    that no node has room for in the same way. The plan itself fits the stock, so one release unties it: only where
    nothing else makes room, and for one service a pass, variants without room are not waited for: one that still
    carries its load after it (`keeps_load`) before others, then the first by name. Where its load is not carried then,
    as few of its replicas go as give one waiting replica room. None go that give none room: Ready replicas on a node
    that takes no pods go for nobody. Pods that end make room by themselves, and so do a surplus that goes in the pool
    now, and one that waits for replicas which start. What can make no room, such as the start of another service
    without a surplus there, is not waited for: one tenant would hold up all others.
    """
    going = {
        uses[key][name].pool
        for key, variants in services.items()
        for name, scale in variants.items()
        if applied[key][name] < scale.current and goes(key, name)
    }
    lacking = {(each.holder.service.namespace, each.deployment): ledger.lacking(each) for each in ledger.workloads}

    def is_without_room(key: ServiceKey, name: str, scale: VariantScale) -> bool:
        use = uses[key][name]
        lacks = scale.ready < scale.desired and lacking.get((key.namespace, use.deployment), 0) > 0
        return lacks and use.pool not in going and not ledger.room_for(use.pool, use.gpus_per_replica)

    waiting = {
        key: frozenset(name for name, scale in variants.items() if is_without_room(key, name, scale))
        for key, variants in services.items()
    }
    wanted = {uses[key][name] for key, names in waiting.items() for name in names}
    if _is_starting(services, waiting, uses, pools={use.pool for use in wanted}):
        return applied
    released = {key: next_replicas(services[key], excused=waiting[key]) for key in services if waiting[key]}
    surplus: dict[Holder, int] = {}
    for key, replicas in released.items():
        for name, count in replicas.items():
            freed = (applied[key][name] - count) * uses[key][name].gpus_per_replica
            holder = Holder(key, variant_of(name))
            surplus[holder] = surplus.get(holder, 0) + max(freed, 0)
    surplus = {holder: gpus for holder, gpus in surplus.items() if gpus > 0}
    needed: dict[Holder, int] = {}
    for use in sorted(wanted, key=lambda use: (use.pool, use.gpus_per_replica)):
        for holder, gpus in ledger.in_the_way(use.pool, use.gpus_per_replica, surplus).items():
            needed[holder] = min(needed.get(holder, gpus), gpus)
    useful: dict[ServiceKey, Mapping[str, int]] = {}
    for holder, gpus in sorted(needed.items(), reverse=True):
        key = holder.service
        whole = keeps_load(key, released[key])
        useful[key] = released[key] if whole else _fewest(holder, gpus, applied, released, uses)
    first = min(useful, key=lambda key: (not keeps_load(key, useful[key]), key), default=None)
    return applied if first is None else {**applied, first: dict(useful[first])}


def _fewest(holder: Holder, gpus: int, applied: Replicas, released: Replicas, uses: Uses) -> dict[str, int]:
    """The holder's service with as few replicas less as hold so many GPUs; growth as it is applied."""
    key, left = holder.service, gpus
    replicas = dict(applied[key])
    for name, least in sorted(released[key].items()):
        size = uses[key][name].gpus_per_replica
        if variant_of(name) != holder.variant or left <= 0 or replicas[name] <= least:
            continue
        going = min(-(-left // max(size, 1)), replicas[name] - least)
        replicas[name] -= going
        left -= going * size
    return replicas


def _is_starting(
    services: Scales, waiting: Mapping[ServiceKey, frozenset[str]], uses: Uses, *, pools: Collection[str]
) -> bool:
    """Whether some surplus in these pools will go without a release: the replicas start, or find a node, that it waits
    for."""

    def starts(key: ServiceKey, variants: Mapping[str, VariantScale]) -> bool:
        there = any(scale.surplus and uses[key][name].pool in pools for name, scale in variants.items())
        return there and any(
            scale.ready < scale.desired and not scale.stuck and name not in waiting[key]
            for name, scale in variants.items()
        )

    return any(starts(key, variants) for key, variants in services.items())
