"""Services of which nothing changed since a pass that had nothing to do for them: the next pass leaves them out.

A pass answers an event of one child, while hundreds of services stay as they are. What a pass made of a service is kept
beside all that it was made from; where all of that is the same, and no child was to be written then, none is to be
written now, and a status that is not written yet is the same. Time alone changes nothing either: a step that waits for
it says so, and is made anew. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from medley_operator.api.v1alpha1 import GPUPool, GPUType, LLMService
from medley_operator.domain.firewall import guarded
from medley_operator.domain.rollout.intent import FleetIntent, ServiceIntent
from medley_operator.domain.rollout.step_memory import ServiceSteps
from medley_operator.domain.rollout.turns import Allowed
from medley_operator.domain.routing.routers import SHARED_KINDS
from medley_operator.domain.values.labels import OWNER_KIND
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.snapshot import ActuatorView, ObjectKey
from medley_planner.workload import Forecaster, SizeTrend

Turn = TypeVar("Turn")
Done = TypeVar("Done")
Item = TypeVar("Item", LLMService, GPUPool)
Own = TypeVar("Own", GPUPool, GPUType)


@dataclass(frozen=True, slots=True)
class Part(Generic[Turn, Done]):
    """One service's part of a pass. `turn`: what it is to have and what it has; `allowed`: what stock, nodes and other
    services leave it; `steps`: what was remembered after it; `around`: all else that was seen. `quiet`: it has no
    child to write, and waits for no time."""

    turn: Turn
    allowed: Allowed
    steps: ServiceSteps
    around: ActuatorView
    done: Done
    quiet: bool

    def stands(self, turn: Turn, allowed: Allowed, steps: ServiceSteps, around: ActuatorView) -> bool:
        """Whether a pass that begins with these would make the same part again."""
        same = self.turn is turn and self.allowed == allowed and self.steps == steps
        return self.quiet and same and self.around == around


def around(view: ActuatorView) -> ActuatorView:
    """The view without the services, their children and their pods, and of pools and GPU types only which they are:
    rounds write their statuses, and no step rests on these. Objects that services share stay in it: where the one that
    made it goes, another makes it anew."""
    shared = {key: manifest for key, manifest in view.children.items() if key.kind in SHARED_KINDS}
    pools, gpu_types = _written(view.pools), _written(view.gpu_types)
    return replace(view, services=(), children=shared, pods=(), at_seconds=0.0, pools=pools, gpu_types=gpu_types)


def _written(items: tuple[Own, ...]) -> tuple[Own, ...]:
    """Without their statuses."""
    return tuple(each.model_copy(update={"status": None}) for each in items)


def with_former(intent: FleetIntent, former: FleetIntent | None) -> FleetIntent:
    """The intent for the actuator: less what the planner alone needs, and with those services taken from the former one
    that ask for the same. Each round makes all of them anew, and most often nothing has changed."""
    known = {each.candidate.key: each for each in former.services} if former is not None else {}
    return replace(intent, services=tuple(_former(each, known.get(each.candidate.key)) for each in intent.services))


def _former(new: ServiceIntent, old: ServiceIntent | None) -> ServiceIntent:
    lean = _lean(new)
    if old is None:
        return lean
    same = guarded(
        ObjectKey.of(OWNER_KIND, new.candidate.service.metadata), lambda: _like(lean, old) == _like(old, old)
    )
    return old if same is True else lean


def _lean(intent: ServiceIntent) -> ServiceIntent:
    """Without the rates of this round and what only the planner remembers."""
    candidate, choice = intent.candidate, intent.candidate.choice
    if choice is not None:
        choice = replace(
            choice,
            now=None,
            drifting_since=None,
            falling_since=None,
            jump=None,
            ready_lately=(),
            forecaster=Forecaster(),
            sizes=SizeTrend(),
        )
    memory = ServiceMemory(uid=candidate.service.metadata.uid)
    margins = {name: margin.told for name, margin in candidate.margins.items()}
    lean = replace(candidate, memory=memory, choice=choice, at_seconds=0.0, margins=margins)
    return replace(intent, candidate=lean)


def _like(intent: ServiceIntent, other: ServiceIntent) -> ServiceIntent:
    """The intent with the objects of the other one where only their statuses may differ, since each pass looks at the
    service itself, and without the plans of other services."""
    pools = {each.pool.metadata.name: each.pool for each in other.candidate.variants}
    candidate = replace(
        intent.candidate,
        service=_of_one_spec(intent.candidate.service, other.candidate.service),
        variants=tuple(
            replace(each, pool=_of_one_spec(each.pool, pools.get(each.pool.metadata.name)))
            for each in intent.candidate.variants
        ),
    )
    return replace(intent, candidate=candidate, goal=replace(intent.goal, fleet=None))


def _of_one_spec(item: Item, like: Item | None) -> Item:
    """`like`, where it is the same object and only its status may differ."""
    if like is None or item.metadata.uid != like.metadata.uid:
        return item
    return like if item.metadata.generation == like.metadata.generation else item
