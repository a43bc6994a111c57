"""Which Ready pods a Deployment that shrinks should lose; their `pod-deletion-cost` shows it to its controller. Pure.

The controller of a ReplicaSet removes pods without a node first, then those that are not Ready, then those of the
lowest cost. So costs are set only where Ready pods go and some are better to lose than others: those on a node that is
going first, then the idlest, as far as the difference is more than noise, then those whose end frees a whole node, node
by node. A step that shrinks waits until the costs are seen on the pods; where they cannot be set, or are taken back, it
goes without after a while. A cost that others set ranks before all else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.cluster.leaving import LeavingNodes
from medley_operator.domain.rollout.step_memory import Marking, Shrink
from medley_operator.domain.values import labels
from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView

FIRST = -1000
"""The cost of a pod that is to go first; one without the annotation has 0."""
PATIENCE_SECONDS = 5.0
"""A step that waits for costs to be seen waits no longer than this."""
MOST_NOTES = 20
"""Pods of one service whose costs are set in one pass."""
LOAD_STEPS = 3
"""Pods count as idle, or by thirds of what the busiest of them has: requests come and go between two looks."""
NOTHING_KNOWN: Mapping[str, float] = MappingProxyType({})


def ordered(
    step: Shrink,
    running: Mapping[str, RunningVariant],
    pods: Sequence[PodView],
    all_pods: Iterable[PodView],
    leaving: LeavingNodes,
    *,
    busy: Mapping[str, float],
    at_seconds: float,
) -> Shrink:
    """The step as far as the pods that it takes are marked, with the marks to set. `pods`: the service's; `busy`:
    requests that they have, by name."""
    going = [name for name, count in step.replicas.items() if name in running and running[name].loses(count)]
    if not going:
        return replace(step, steps=replace(step.steps, marking={})) if step.steps.marking else step
    held, replicas, shrunk_at = gpus_by_node(all_pods), dict(step.replicas), dict(step.steps.shrunk_at)
    marking: dict[str, Marking] = {}
    notes: list[PodNote] = []
    wait = step.wait_seconds
    for name in going:
        variant = running[name]
        own = _ready_pods(variant, pods)
        first = first_to_go(own, variant.ready - step.replicas[name], leaving=leaving, held=held, busy=busy)
        due = cost_notes(own, first)
        before = step.steps.marking.get(name, Marking(at_seconds))
        left_seconds = before.since + PATIENCE_SECONDS - at_seconds
        if not due or left_seconds <= 0:
            continue
        new = [note for note in due if note.uid not in before.asked][: MOST_NOTES - len(notes)]
        notes += new
        marking[name] = replace(before, asked=before.asked | {note.uid for note in new})
        replicas[name] = variant.replicas
        shrunk_at.pop(name, None)
        wait = left_seconds if wait is None else min(wait, left_seconds)
    return Shrink(replicas, wait, replace(step.steps, marking=marking, shrunk_at=shrunk_at), tuple(notes))


def _ready_pods(variant: RunningVariant, pods: Iterable[PodView]) -> tuple[PodView, ...]:
    return tuple(pod for pod in pods if variant.has(pod) and pod.ready and not pod.terminating)


def gpus_by_node(pods: Iterable[PodView]) -> Mapping[str, int]:
    """GPUs that pods of anybody hold."""
    held: Counter[str] = Counter()
    for pod in pods:
        if pod.place and not pod.ended:
            held[pod.place] += sum(pod.gpus.values())
    return held


def first_to_go(
    pods: Sequence[PodView],
    count: int,
    *,
    leaving: LeavingNodes,
    held: Mapping[str, int],
    busy: Mapping[str, float] = NOTHING_KNOWN,
) -> tuple[PodView, ...]:
    """So many of the Ready `pods` of one Deployment, the first to go first; none where the controller's own order is as
    good, or all go. `held`: GPUs that pods hold, by node; `busy`: requests by pod."""
    if not 0 < count < len(pods):
        return ()
    own_gpus: Counter[str] = Counter()
    for pod in pods:
        own_gpus[pod.node] += sum(pod.gpus.values())

    most = max((busy.get(pod.name, 0.0) for pod in pods), default=0.0)

    def worth(pod: PodView) -> tuple[int, bool, int, int, int]:
        own = own_gpus[pod.node]
        theirs = 0 if pod.deletion_cost == FIRST else pod.deletion_cost
        # A pod that Prometheus does not see is taken for a busy one.
        load = math.ceil(busy.get(pod.name, most) / most * LOAD_STEPS) if most > 0.0 else 0
        return theirs, not leaving.hold(pod), load, held.get(pod.node, 0) - own, own

    alone = len(own_gpus) in (1, len(pods))
    if alone and len({worth(pod) for pod in pods}) == 1:
        return ()
    ranked = sorted(pods, key=lambda pod: (*worth(pod), pod.node, -(pod.created_at or 0.0), pod.name))
    return tuple(ranked[:count])


def cost_notes(pods: Sequence[PodView], first: Sequence[PodView]) -> tuple[PodNote, ...]:
    """The notes that make `first` go before the others of `pods`; none where that is seen already."""
    if not first:
        return ()
    going = {pod.uid for pod in first}
    marked = [pod for pod in pods if pod.uid not in going and pod.deletion_cost == FIRST]
    lowest = min(0 if pod.deletion_cost == FIRST else pod.deletion_cost for pod in pods if pod.uid not in going)
    late = [pod for pod in first if pod.deletion_cost >= lowest]
    return (
        *(_note(pod, str(FIRST), "goes first as its Deployment shrinks") for pod in late),
        *(_note(pod, None, "goes no sooner than others any more") for pod in marked),
    )


def _note(pod: PodView, cost: str | None, why: str) -> PodNote:
    return PodNote(ObjectKey(labels.POD, pod.namespace, pod.name), pod.uid, {labels.DELETION_COST: cost}, why)
