"""The replay of what a scenario recorded: the same requests, objects and nodes, without the control plane; and how far
the two stories are apart.

A story is what the Deployments were asked for, between one change of the load and the next. Two tell the same where
they come to the same fleets in the same order, each about as late as the other. `python -m e2e.twin FILE` sets the
recording that a run left in its logs beside its replay.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from e2e.harness import EXAMPLES, FLEET_NODES, RESYNC_SECONDS, TRUTH
from e2e.recording import LOOK_SECONDS, Fleet, Recording, Sight, sight_of
from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.cli.manifests import read_objects
from medley_operator.domain.values import labels
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.objects import OwnObjects
from medley_operator.replay.operator_loop import OperatorLoop
from medley_operator.replay.scenario import Scenario
from medley_operator.replay.settings import WorldSettings
from medley_operator.replay.world import World
from medley_planner.engine import Trace

SCRAPE_SECONDS = 1.0
STARTUP_SECONDS = 0.3
"""From a bound pod to Ready, as kwok plays it: from the write of a Deployment to what the operator wrote next."""
DRAWS = 5
APART_SECONDS = 15 * RESYNC_SECONDS
"""The replay may ask for half of a change this much earlier or later. The goal is two rounds. Seven runs, beside other
tests, were up to 23 s apart in the first stage, whose first window covers little, and up to 5 s in the second."""
STAGES_HELD = 2
"""The first stages of the end-to-end story are held. Later ones begin with a fleet that need not have come to rest, and
two runs on a control plane are apart there as well."""
REPLICAS_APART = 1
"""Of a variant at rest. A plan rests on what is seen in a window: two replays of the same requests, which send them to
other pods of a variant, are as far apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """The way of one variant in a stage: from the replicas that were asked for before to those at its end; `half_at`:
    when half of it was asked for, in seconds since the stage began."""

    variant: str
    before: int
    after: int
    half_at: float


@dataclass(frozen=True, slots=True)
class Stage:
    """What happened between two changes of the load. `rest`: the fleet that is planned at its end."""

    rest: Fleet
    changes: tuple[Change, ...]
    """In the order of their times."""


def replayed(recording: Recording, *, seed: int = 0) -> list[Sight]:
    """The sights of a replay of the quickstart, at the times of the recording, to its last request."""
    began = recording.sights[0].at_seconds
    world = World(_scenario(recording, began, seed))
    loop = OperatorLoop(world, {})
    loop.begin()
    sights: list[Sight] = []

    def look() -> None:
        (service,) = loop.objects.own.services
        view = loop.objects.view()
        deployments = [each for key, each in view.children.items() if key.kind == labels.DEPLOYMENT]
        sights.append(sight_of(service.model_dump(by_alias=True), deployments, began + world.now))

    world.agenda.every(LOOK_SECONDS, look, first=0.0)
    world.run()
    return sights


def story(sights: Sequence[Sight], stages: Sequence[float], *, end: float) -> list[Stage]:
    """What was asked for in each stage, of which these are the beginnings, to that end; all in Unix seconds."""
    found: list[Stage] = []
    for began, until in pairwise((*stages, end)):
        before, inside = _stage(sights, began, until)
        ways = [_change(variant, before, inside, began) for variant in before.keys() | inside[-1].asked.keys()]
        moved = sorted((way for way in ways if way.before != way.after), key=lambda way: (way.half_at, way.variant))
        found.append(Stage(inside[-1].planned, tuple(moved)))
    return found


def _stage(sights: Sequence[Sight], began: float, until: float) -> tuple[Fleet, list[Sight]]:
    """The replicas that were asked for before `began`, and the sights from `began` until `until`."""
    before = next((sight.asked for sight in reversed(sights) if sight.at_seconds < began), {})
    return before, [sight for sight in sights if began <= sight.at_seconds < until]


def _change(variant: str, before: Fleet, inside: Sequence[Sight], began: float) -> Change:
    first, last = before.get(variant, 0), inside[-1].asked.get(variant, 0)
    counts = [(sight.at_seconds, sight.asked.get(variant, 0)) for sight in inside]
    # From then on it is nearer to where it goes than to where it came from.
    half_at = max((at for at, count in counts if abs(count - first) <= abs(count - last)), default=began)
    return Change(variant, first, last, half_at - began)


def told_otherwise(recording: Recording, *, within_seconds: float = 2 * RESYNC_SECONDS) -> list[str]:
    """What the replay tells otherwise. Which pod of a variant each request went to is not recorded, and when plans come
    depends on it; so of some replays, which draw these pods anew, the one that is nearest counts."""
    end = recording.sights[-1].at_seconds
    real = story(recording.sights, recording.stages, end=end)
    nearest: list[str] = []
    for seed in range(DRAWS):
        replay = story(replayed(recording, seed=seed), recording.stages, end=end)
        found = differences(real, replay, within_seconds=within_seconds)
        if not found:
            return []
        nearest = min(nearest or found, found, key=len)
    return nearest


def changed_otherwise(recording: Recording) -> list[str]:
    """Where half of what the cost of the fleet changes by comes at another time in the first stages of the replay, or
    the fleet at their end costs more than a replica more or less. Types of nearly one price stand in for each other in
    two runs on a control plane too, so what the fleets cost is compared, in US dollars per hour."""
    end = recording.sights[-1].at_seconds
    stages = list(pairwise((*recording.stages, end)))[:STAGES_HELD]
    replay = replayed(recording)
    prices = _prices([*recording.sights, *replay])
    found: list[str] = []
    for number, (began, until) in enumerate(stages):
        real, other = (_bill(sights, began, until, prices) for sights in (recording.sights, replay))
        print(f"stage {number}: {real}\nreplayed: {other}")
        if abs(real.rest - other.rest) > max(real.dearest, other.dearest) + 0.01:
            found.append(f"stage {number}: {real.rest:.2f} $/h at its end, replayed {other.rest:.2f} $/h")
        if abs(real.half_at - other.half_at) > APART_SECONDS:
            found.append(f"stage {number}: half of it after {real.half_at:.1f} s, replayed {other.half_at:.1f} s")
    return found


@dataclass(frozen=True, slots=True)
class _Bill:
    """A stage by what its fleet costs, in US dollars per hour. `rest`: the fleet that is planned at its end; `dearest`:
    the dearest replica of that one; `half_at`: when half of the change was asked for, in seconds since it began."""

    rest: float
    dearest: float
    half_at: float


def _bill(sights: Sequence[Sight], began: float, until: float, prices: Mapping[str, float]) -> _Bill:
    def cost(fleet: Fleet) -> float:
        return sum(count * prices[variant] for variant, count in fleet.items())

    asked_before, inside = _stage(sights, began, until)
    before, rest = cost(asked_before), cost(inside[-1].planned)
    way = 1.0 if rest > before else -1.0
    half = (before + rest) / 2
    there = (sight.at_seconds for sight in inside if way * (cost(sight.asked) - half) >= 0)
    dearest = max((prices[variant] for variant in inside[-1].planned), default=0.0)
    return _Bill(rest, dearest, next(there, until) - began)


def _prices(sights: Sequence[Sight]) -> dict[str, float]:
    """The price of one replica of each variant that was seen, by the quickstart's pools, in US dollars per hour."""
    pools = read_objects([str(EXAMPLES / "quickstart" / "pools.yaml")]).pools
    of_gpu = {pool.metadata.name: float(pool.spec.cost.per_hour or 0) for pool in pools}
    return {variant: of_gpu[pool] * gpus for sight in sights for variant, (pool, gpus) in sight.gpus.items()}


def differences(real: Sequence[Stage], replay: Sequence[Stage], *, within_seconds: float) -> list[str]:
    """What the second story tells otherwise; changes that are as late as each other may come in either order."""
    found: list[str] = []
    for number, (one, other) in enumerate(zip(real, replay, strict=True)):
        if not _alike(one.rest, other.rest):
            found.append(f"stage {number}: rests at {dict(one.rest)}, replayed at {dict(other.rest)}")
        times = {change.variant: change.half_at for change in other.changes}
        both = [change for change in one.changes if change.variant in times]
        for change in both:
            late = times[change.variant] - change.half_at
            if abs(late) > within_seconds:
                found.append(f"stage {number}: {change} comes {late:+.1f} s later in the replay")
        for before, after in combinations(both, 2):
            if after.half_at - before.half_at > within_seconds and times[after.variant] < times[before.variant]:
                found.append(f"stage {number}: {after.variant} changes before {before.variant} in the replay")
    return found


def _alike(one: Fleet, other: Fleet) -> bool:
    """The same variants, each with about as many replicas."""
    return one.keys() == other.keys() and all(abs(one[variant] - other[variant]) <= REPLICAS_APART for variant in one)


def _scenario(recording: Recording, began: float, seed: int) -> Scenario:
    quickstart = EXAMPLES / "quickstart"
    objects = read_objects([str(quickstart / name) for name in ("pools.yaml", "runtime-profile.yaml", "service.yaml")])
    (service,) = objects.services
    own = OwnObjects((service,), tuple(_with_nodes(pool) for pool in objects.pools), tuple(objects.profiles))
    arrivals, prompts, generations = (np.asarray(column) for column in zip(*recording.requests, strict=True))
    settings = WorldSettings(
        startup_seconds=STARTUP_SECONDS,
        startup_spread=0.0,
        step_factors=TRUTH,
        scrape_seconds=SCRAPE_SECONDS,
        resync_seconds=RESYNC_SECONDS,
        seed=seed,
    )
    trace = Trace.of(arrivals - began, prompts, generations)
    return Scenario(own, {ServiceKey.of(service): trace}, settings, drain_seconds=0.0)


def _with_nodes(pool: GPUPool) -> GPUPool:
    """The pool with the nodes that the harness makes for it."""
    nodes = sum(group.count for group in FLEET_NODES if group.gpu == pool.spec.gpu)
    capacity = pool.spec.capacity.model_copy(update={"nodes": nodes})
    return pool.model_copy(update={"spec": pool.spec.model_copy(update={"capacity": capacity})})


if __name__ == "__main__":
    print("\n".join(told_otherwise(Recording.read(Path(sys.argv[1])))))
