"""Which buckets of a service can be served at all, before any program is built: a pure pre-step.

What a router cannot tell apart must be served by one variant whole. So a class of buckets that no variant covers whole
is cut down to what some variant covers: where the router is blind to size each cut that a variant makes is a separate
task, the one with most demand first; behind an InferencePool each class takes the cut with most demand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from medley_planner.model import LimitKind, Service, Unserved, UnservedReason
from medley_planner.optimize.task.limits import Limit, Room
from medley_planner.optimize.task.task import Matrix, Task, bucket_work, replica_cap

_Buckets = frozenset[int]


def prepare(service: Service, room: Room) -> Iterator[Task]:
    """The tasks worth trying for this service, best first; more than one only where the router is blind to size.

    A later task serves fewer buckets and is of use only where limits keep the earlier ones from serving their demand,
    so each is made when it is asked for.
    """
    maker = _Maker(service, room)
    if not service.routing.blind:
        classes = service.routing.classes(service.demand.buckets, maker.demanded)
        cuts = (maker.best_cut(members) for members in classes)
        yield maker.task([cut for cut in cuts if cut])
        return
    within = frozenset(maker.demanded)
    if service.routing.equal_pods:
        # A replica that a minimum forces gets its part of the traffic, so it must cover what is served.
        for variant, cover in zip(service.variants, maker.covers, strict=True):
            if variant.min_replicas > 0:
                within &= cover
    for cut in maker.cuts(within):
        yield maker.task([tuple(sorted(cut))] if cut else [])


class _Maker:
    """The common parts of all tasks of one service."""

    def __init__(self, service: Service, room: Room) -> None:
        self._service = service
        self._room = room
        self._work = bucket_work(service)
        shares = service.demand.shares
        self._rates = [service.demand.bucket_rate_rps(bucket) for bucket in range(len(shares))]
        self.demanded = [bucket for bucket, share in enumerate(shares) if share > 0]
        self.caps = tuple(replica_cap(service, variant, room.most(variant)) for variant in service.variants)
        everything = frozenset(self.demanded)
        self.covers = [
            everything
            if 0 not in variant.capacity_rps
            else frozenset(bucket for bucket in self.demanded if variant.capacity_rps[bucket] > 0)
            for variant in service.variants
        ]
        self.usable = {cover for cover, cap in zip(self.covers, self.caps, strict=True) if cap >= 1}
        self._servable = frozenset[int]().union(*self.usable)
        self._starting = tuple(
            variant.cost_per_hour * (variant.startup_seconds + variant.drain_seconds) / service.stay_seconds
            for variant in service.variants
        )

    def cuts(self, within: _Buckets) -> list[_Buckets]:
        """The parts of these buckets that single variants cover, the one with most demand first; one empty cut if none
        do."""
        found = {cover & within for cover in self.usable}
        found = {cut for cut in found if cut} or {frozenset[int]()}
        return list(found) if len(found) == 1 else sorted(found, key=self._preference)

    def best_cut(self, members: tuple[int, ...]) -> tuple[int, ...]:
        """The first of the cuts of a class. One bucket is served or not: an oracle has as many classes as buckets."""
        if len(members) == 1:
            return members if members[0] in self._servable else ()
        return tuple(sorted(self.cuts(frozenset(members))[0]))

    def _preference(self, served: _Buckets) -> tuple[float, float, str]:
        """Most demand first; then cheapest by work alone, then by the first name of a variant that covers it."""
        work = self._work[:, sorted(served)].sum(axis=1)
        costs = [
            (variant.cost_per_hour * float(total), variant.name)
            for variant, cover, cap, total in zip(self._service.variants, self.covers, self.caps, work, strict=True)
            if cap >= 1 and served <= cover
        ]
        cheapest, name = min(costs, default=(math.inf, ""))
        # Rounded, so that sums of the same shares in another order do not decide.
        return -round(math.fsum(self._service.demand.shares[b] for b in served), 12), cheapest, name

    def task(self, classes: Sequence[tuple[int, ...]]) -> Task:
        service = self._service
        demand = service.demand
        work = _class_work(self._work, classes)
        served = frozenset(bucket for members in classes for bucket in members)
        able = np.isfinite(work.min(axis=1, initial=np.inf)) | (not self.demanded)
        unserved = tuple(
            Unserved(bucket, self._rates[bucket], *self._why(served, bucket))
            for bucket in self.demanded
            if bucket not in served and demand.rate_rps > 0
        )
        pools = [self._room.pools[variant.pool] for variant in service.variants]
        return Task(
            service=service,
            classes=tuple(classes),
            rates=tuple(math.fsum(self._rates[bucket] for bucket in members) for members in classes),
            work=work,
            able=tuple(able.tolist()),
            caps=self.caps,
            unserved=unserved,
            cost=tuple(variant.cost_per_hour for variant in service.variants),
            starting=self._starting,
            current=tuple(variant.current_replicas for variant in service.variants),
            spot=tuple(pool.spot for pool in pools),
            zones=tuple(pool.zones for pool in pools),
        )

    def _why(self, served: _Buckets, bucket: int) -> tuple[UnservedReason, tuple[str, ...]]:
        """A limit is the reason only where lifting it would let the bucket be served along with the rest."""
        needed = self._routed_with(served, bucket)
        blocked = [
            variant
            for variant, cover, cap in zip(self._service.variants, self.covers, self.caps, strict=True)
            if cap < 1 and needed <= cover
        ]
        if not blocked:
            return UnservedReason.NO_VARIANT_MEETS_TARGET, ()
        if all(variant.max_replicas == 0 or self._service.max_replicas == 0 for variant in blocked):
            return UnservedReason.MAX_REPLICAS, ()
        scarce = [limit for variant in blocked for limit in self._room.scarce(variant)]
        return shared_reason(scarce), tuple(sorted({limit.name for limit in scarce}))

    def _routed_with(self, served: _Buckets, bucket: int) -> _Buckets:
        classes = self._service.routing.classes(self._service.demand.buckets, served | {bucket})
        return frozenset(next(members for members in classes if bucket in members))


def shared_reason(scarce: Sequence[Limit]) -> UnservedReason:
    """The reason that the first of these limits is; a node that is too small is in no limit."""
    if not scarce:
        return UnservedReason.NODES
    return {
        LimitKind.STOCK: UnservedReason.STOCK,
        LimitKind.SLOTS: UnservedReason.NODES,
        LimitKind.POWER: UnservedReason.POWER,
        LimitKind.QUOTA_GPUS: UnservedReason.QUOTA,
        LimitKind.QUOTA_COST: UnservedReason.QUOTA,
    }[scarce[0].kind]


def _class_work(work: Matrix, classes: Sequence[tuple[int, ...]]) -> Matrix:
    if not classes:
        return work[:, :0]
    if all(len(members) == 1 for members in classes):
        return work[:, [members[0] for members in classes]]
    return np.stack([work[:, list(members)].sum(axis=1) for members in classes], axis=1)
