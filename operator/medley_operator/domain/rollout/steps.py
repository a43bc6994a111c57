"""How many replicas each variant may have now, on the way from what runs to what the plan wants.

New capacity is Ready before old is removed: growth is applied at once; a variant shrinks only when every other variant
has as many Ready replicas as the plan wants of it. A scale-down takes pods that are not Ready first (the ReplicaSet
controller ranks them so), hence a step by this function never takes the ready capacity of a service below the lower of
what is ready now and what the plan provides. Pure; called anew each round, so it needs no memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medley_operator.domain.values.service_key import ServiceKey


@dataclass(frozen=True, slots=True)
class VariantScale:
    """One variant of one service: replicas that the plan wants, that its Deployment asks for now, and that are Ready.

    `current` is 0 where there is no Deployment. A `paused` one keeps what it has.
    """

    desired: int
    current: int
    ready: int
    paused: bool = False


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
    """Where a variant's replicas stand: its pool and the GPUs of one replica."""

    pool: str
    gpus_per_replica: int


def fleet_replicas(
    services: Mapping[ServiceKey, Mapping[str, VariantScale]],
    *,
    uses: Mapping[ServiceKey, Mapping[str, PoolUse]],
    stock_gpus: Mapping[str, int | None],
    other_gpus: Mapping[str, int],
) -> dict[ServiceKey, dict[str, int]]:
    """`next_replicas` of all services, with one exception where waiting would never end.

    On a full pool a growing variant may wait for GPUs that another variant's surplus holds, while that surplus waits
    for a variant on a pool that is full in the same way. The plan itself fits the stock, so one release unties it:
    only then, and for one service a round (the first by name), variants that wait for GPUs of an overfull pool are
    not waited for. `other_gpus` are GPUs by pool that services outside of `services` hold.
    """
    applied = {key: next_replicas(variants) for key, variants in services.items()}
    overfull = _overfull_pools(applied, uses=uses, stock_gpus=stock_gpus, other_gpus=other_gpus)
    if not overfull or _can_move(services, applied, uses=uses, overfull=overfull):
        return applied
    for key in sorted(services):
        blocked = frozenset(
            name
            for name, scale in services[key].items()
            if scale.ready < scale.desired and uses[key][name].pool in overfull
        )
        released = next_replicas(services[key], excused=blocked)
        frees = any(released[name] < count and uses[key][name].pool in overfull for name, count in applied[key].items())
        if blocked and frees:
            applied[key] = released
            break
    return applied


def _overfull_pools(
    applied: Mapping[ServiceKey, Mapping[str, int]],
    *,
    uses: Mapping[ServiceKey, Mapping[str, PoolUse]],
    stock_gpus: Mapping[str, int | None],
    other_gpus: Mapping[str, int],
) -> frozenset[str]:
    used = dict(other_gpus)
    for key, replicas in applied.items():
        for name, count in replicas.items():
            use = uses[key][name]
            used[use.pool] = used.get(use.pool, 0) + count * use.gpus_per_replica
    return frozenset(
        pool for pool, gpus in used.items() if (stock := stock_gpus.get(pool)) is not None and gpus > stock
    )


def _can_move(
    services: Mapping[ServiceKey, Mapping[str, VariantScale]],
    applied: Mapping[ServiceKey, Mapping[str, int]],
    *,
    uses: Mapping[ServiceKey, Mapping[str, PoolUse]],
    overfull: frozenset[str],
) -> bool:
    """Whether something will still change without a release: a shrink under way, or a start on a pool with room."""
    for key, variants in services.items():
        for name, scale in variants.items():
            if applied[key][name] < scale.current:
                return True
            if scale.ready < scale.desired and uses[key][name].pool not in overfull:
                return True
    return False
