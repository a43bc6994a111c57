"""Whether Ready replicas may go: what stays must carry the load that is believed, also where one more is lost.

Each step that takes Ready replicas away, be it a shrink or the deletion of a Deployment that was replaced, is checked:

- *N-1*: without the largest of the replicas that stay Ready, the rest still carries the load, by its size mix; or
- what stays Ready carries as much as the plan in force does. A plan that has no replica to spare,
  where the spec asks for none, is thereby followed, and never undercut. Replicas count for this
  once they have been Ready for some seconds: the last spare one does not go for one that ends with its first requests.

Either way what stays carries the smallest of the load, the plan's capacity and what was Ready. The plan's replicas
always pass, so a plan whose replicas become Ready is reached. Where the stock does not allow any of it
(`steps.untied`), as few go as give one waiting replica room, and are not checked. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.step_memory import Shrink
from medley_operator.domain.values.views import PodView

PROVEN_SECONDS = 5.0
"""A replica that has been Ready for this long is one to rest a removal on."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Carries:
    """The rate of the load's size mix that one replica of each variant serves, the load, and the replicas of the
    plan in force."""

    capacity_rps: Mapping[str, float]
    load_rps: float
    planned: Mapping[str, int]

    def rps(self, replicas: Mapping[str, int]) -> float:
        return sum(self.capacity_rps.get(name, 0.0) * count for name, count in replicas.items())

    def spares_one(self, staying: Mapping[str, int]) -> bool:
        """Whether the load is carried without any one of these."""
        largest = max((self.capacity_rps.get(name, 0.0) for name, count in staying.items() if count > 0), default=0.0)
        return self.rps(staying) - largest >= self.load_rps * (1.0 - _ROUNDING)

    def is_as_planned(self, staying: Mapping[str, int]) -> bool:
        """Whether these carry as much as the plan; where nobody knows what that is, whether they are as many."""
        if self.rps(self.planned) <= 0.0:
            return all(staying.get(name, 0) >= count for name, count in self.planned.items())
        return self.rps(staying) >= self.rps(self.planned) * (1.0 - _ROUNDING)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Replicas, by variant, that are Ready for less than `PROVEN_SECONDS`, and when the last of them is for that."""

    replicas: Mapping[str, int]
    left_seconds: float = 0.0


NONE_FRESH = Fresh({})


def fresh_replicas(running: Mapping[str, RunningVariant], pods: Sequence[PodView], *, now: float) -> Fresh:
    """As the service's `pods` show it; `now` in Unix seconds."""
    found: dict[str, int] = {}
    left = 0.0
    for pod in pods:
        if not pod.ready or pod.terminating or pod.start is None:
            continue
        rest = pod.start.at + PROVEN_SECONDS - now
        name = next((name for name, variant in running.items() if variant.has(pod)), None)
        # A time to come is that of a clock that is ahead of ours.
        if name is not None and 0.0 < rest <= PROVEN_SECONDS:
            found[name] = found.get(name, 0) + 1
            left = max(left, rest)
    return Fresh(found, left)


def checked(step: Shrink, running: Mapping[str, RunningVariant], carries: Carries, fresh: Fresh = NONE_FRESH) -> Shrink:
    """The step with as many removals of Ready replicas as may be made now."""
    staying = {name: variant.staying(variant.replicas) for name, variant in running.items()}
    going = [name for name, count in sorted(step.replicas.items()) if name in running and running[name].loses(count)]
    replicas, wait = dict(step.replicas), step.wait_seconds
    for name in going:
        variant, wanted = running[name], step.replicas[name]

        def may_stay(count: int, name: str = name) -> bool:
            after = {**staying, name: count}
            return carries.spares_one(after) or carries.is_as_planned(_less(after, fresh.replicas))

        kept = range(variant.staying(wanted), staying[name])
        staying[name] = variant.staying(wanted) + bisect_left(kept, True, key=may_stay)
        replicas[name] = variant.fewest(wanted, staying=staying[name])
        if replicas[name] > step.replicas[name] and fresh.replicas:
            wait = step.sooner(fresh.left_seconds)
    return Shrink(replicas, wait, step.steps)


def _less(replicas: Mapping[str, int], fresh: Mapping[str, int]) -> dict[str, int]:
    return {name: max(count - fresh.get(name, 0), 0) for name, count in replicas.items()}
