"""Which buckets of a service can be served at all, before any program is built: a pure pre-step.

What a router cannot tell apart must be served by each variant in use whole. So of a class of buckets that not all
variants cover whole, a *cut* is served: what all variants in use cover. A class has as many cuts as the covers of its
variants have intersections; the one with most demand is planned first, and where limits keep that from being served
whole, the plan chooses among all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from medley_planner.model import LimitKind, Service, Unserved, UnservedReason
from medley_planner.optimize.task.limits import Limit, Room
from medley_planner.optimize.task.task import Cut, Matrix, Task, bucket_work, replica_cap

_Buckets = frozenset[int]
_TIE = 1e-12
"""Relative to the rate of a class: so near to each other two cuts serve equally much."""
_MOST_CUTS = 16
"""Most cuts of one class; those with most demand are kept. Nested covers, the usual ones, have one for each variant."""


def prepare(service: Service, room: Room) -> Coverage:
    """The cuts of each class of the service, that with most demand first."""
    maker = _Maker(service, room)
    classes = service.routing.classes(service.demand.buckets, maker.demanded)
    cuts = [maker.cuts_of(members) for members in classes]
    first = [each[0] if each else () for each in cuts]
    if service.routing.equal_pods and classes:
        # A replica that a minimum forces gets its part of the traffic, so it must cover what is served; other cuts are
        # of use only where the minimum is missed.
        kept = frozenset(maker.demanded)
        for cover in maker.forced:
            kept &= cover
        within = maker.cuts_of(tuple(sorted(kept)))
        first = [within[0] if within else ()]
        cuts = [list(dict.fromkeys((*within, *cuts[0])))]
    return Coverage(maker, cuts, first)


class Coverage:
    """One service with the cuts of each of its classes; a class that nothing covers has none."""

    def __init__(
        self, maker: _Maker, cuts: Sequence[Sequence[tuple[int, ...]]], first: Sequence[tuple[int, ...]]
    ) -> None:
        self._maker = maker
        self._cuts = tuple(tuple(each) for each in cuts)
        self._first = tuple(first)

    @cached_property
    def open(self) -> bool:
        """Whether there is anything to choose."""
        choices = zip(self._cuts, self._first, strict=True)
        return self._maker.asked and any(len(cuts) > 1 or first not in cuts for cuts, first in choices if cuts)

    @cached_property
    def tied(self) -> bool:
        """Whether cuts of one class serve equally much, so that cost has to choose even where all of one fits."""
        rates = ([self._maker.rate_of(cut) for cut in cuts] for cuts in self._cuts if len(cuts) > 1)
        return self.open and any(sum(rate >= max(each) * (1 - _TIE) for rate in each) > 1 for each in rates)

    @cached_property
    def first(self) -> Task:
        """With most demand in each class, as far as minima allow."""
        return self._maker.task([cut for cut in self._first if cut])

    def others(self, task: Task, served: Sequence[bool]) -> Iterator[Task]:
        """The tasks with another cut in one class of `task`, of which nothing is `served` (by class of the task)."""
        kept = {buckets for buckets, some in zip(task.classes, served, strict=True) if some}
        chosen = [next((cut for cut in cuts if cut in task.classes), ()) for cuts in self._cuts]
        for place, cuts in enumerate(self._cuts):
            for cut in cuts if chosen[place] not in kept else ():
                if cut != chosen[place]:
                    changed = [cut if other == place else old for other, old in enumerate(chosen)]
                    yield self._maker.task([each for each in changed if each])

    def task(self, chosen: Sequence[Cut]) -> Task:
        """With these cuts of its classes that have any, in order."""
        return self._maker.task([cut.buckets for cut in chosen])

    def cuts(self) -> list[list[Cut]]:
        """The cuts of each class that has any."""
        return [[self._maker.cut(buckets, cuts) for buckets in cuts] for cuts in self._cuts if cuts]

    @cached_property
    def widest(self) -> Task:
        """The first task with the most work that any cut makes, each variant able that is so with any: no plan with
        any cuts has more of a variant than this one could use."""
        given = self.cuts()
        works = [np.stack([cut.work for cut in cuts]) for cuts in given]
        if not works:
            return self.first
        most = [np.where(np.isfinite(work), work, -np.inf).max(axis=0) for work in works]
        work = np.stack([np.where(np.isfinite(each), each, np.inf) for each in most], axis=1)
        able = np.isfinite(work.min(axis=1, initial=np.inf))
        return replace(
            self.first,
            classes=tuple(tuple(sorted({bucket for cut in cuts for bucket in cut.buckets})) for cuts in given),
            rates=tuple(max(cut.rate_rps for cut in cuts) for cuts in given),
            work=work,
            able=tuple(able.tolist()),
        )


class _Maker:
    """The common parts of all tasks of one service."""

    def __init__(self, service: Service, room: Room) -> None:
        self._service = service
        self._room = room
        self._work = bucket_work(service)
        shares = service.demand.shares
        self.asked = service.demand.rate_rps > 0
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
        self.forced = [
            cover
            for variant, cover, cap in zip(service.variants, self.covers, self.caps, strict=True)
            if service.routing.equal_pods and variant.min_replicas > 0 and cap >= 1
        ]
        self._servable = frozenset[int]().union(*self.usable)
        self._starting = tuple(
            variant.cost_per_hour * (variant.startup_seconds + variant.drain_seconds) / service.stay_seconds
            for variant in service.variants
        )

    def _cuts(self, within: _Buckets) -> list[_Buckets]:
        """The parts of these buckets that variants cover, alone or several alike, the one with most demand first; one
        empty cut if none do."""
        found: set[_Buckets] = set()
        for cover in sorted({cover & within for cover in self.usable}, key=sorted):
            found |= {cover} | {cover & other for other in found}
            found.discard(frozenset())
            if len(found) > _MOST_CUTS:
                found = set(sorted(found, key=self._preference)[:_MOST_CUTS])
        found = found or {frozenset[int]()}
        return list(found) if len(found) == 1 else sorted(found, key=self._preference)

    def cuts_of(self, members: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The cuts of a class. One bucket is served or not: an oracle has as many classes as buckets."""
        if len(members) == 1:
            return [members] if members[0] in self._servable else []
        return [tuple(sorted(cut)) for cut in self._cuts(frozenset(members)) if cut]

    def cut(self, buckets: tuple[int, ...], among: Sequence[tuple[int, ...]]) -> Cut:
        """With what it leaves out of what the cuts `among` could serve."""
        rest = frozenset[int]().union(*among) - frozenset(buckets)
        return Cut(
            buckets,
            _class_work(self._work, [buckets])[:, 0],
            self.rate_of(buckets),
            self.rate_of(sorted(rest)),
        )

    def rate_of(self, buckets: Sequence[int]) -> float:
        """Requests per second in all of these."""
        return math.fsum(self._rates[bucket] for bucket in buckets)

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
        out = [bucket for bucket in self.demanded if bucket not in served and demand.rate_rps > 0]
        left_out = {bucket: self._serving(served, bucket) for bucket in out}
        unserved = tuple(
            Unserved(bucket, self._rates[bucket], *self._why(served, bucket)) for bucket in out if not left_out[bucket]
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
            left_out=tuple((bucket, variants) for bucket, variants in left_out.items() if variants),
            cost=tuple(variant.cost_per_hour for variant in service.variants),
            starting=self._starting,
            current=tuple(variant.current_replicas for variant in service.variants),
            spot=tuple(pool.spot for pool in pools),
            zones=tuple(pool.zones for pool in pools),
        )

    def _serving(self, served: _Buckets, bucket: int) -> tuple[int, ...]:
        """The variants that could serve the bucket along with the rest, if there were enough of them."""
        needed = self._routed_with(served, bucket)
        if not all(needed <= cover for cover in self.forced):
            return ()
        able = enumerate(zip(self.covers, self.caps, strict=True))
        return tuple(index for index, (cover, cap) in able if cap >= 1 and needed <= cover)

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
