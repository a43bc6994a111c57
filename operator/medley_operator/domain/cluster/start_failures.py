"""Variants whose replicas cannot start: since when, why, and until when plans go elsewhere. Pure.

A pod that waits is normal for a while; one that waits longer than its pool gives it is a failure of its variant. Plans
then ask for no more replicas of the variant than can run, for some minutes, and the next failure in a row waits twice
as long. What is remembered is in the status of the service, so that a restart forgets none of it. Times are Unix
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from medley_operator.api.v1alpha1 import CapacityType, GPUPool, LLMService, StartFailureStatus
from medley_operator.domain.values import labels
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_operator.domain.values.views import PodTrouble, PodView

UNSCHEDULABLE = "Unschedulable"
CREATING = "ContainerCreating"
PATIENCE_SECONDS = 60.0
"""For a pod that no node has room for, in a pool with a fixed number of nodes."""
NODE_SECONDS = 600.0
"""The same where nodes are made on demand: making one takes minutes."""
BROKEN_SECONDS = 120.0
"""For a pod that is bound and whose container cannot run: an image or a claim may come a little later."""
CREATING_SECONDS = 1800.0
"""For a bound pod of which no container starts though nothing says why: images and weights are pulled in that time."""
FIRST_WAIT_SECONDS = 300.0
LONGEST_WAIT_SECONDS = 3600.0
MAX_FAILURES = 16


@dataclass(frozen=True, slots=True)
class StartFailure:
    """A variant that cannot start; `replicas`: how many could not. `until`: when it may be asked for again.

    Its fields are those of `StartFailureStatus`, with times as figures.
    """

    variant: str
    pool: str
    reason: str
    message: str
    pod: str
    replicas: int
    since: float
    until: float
    attempts: int

    def holds(self, now: float) -> bool:
        return now < self.until


def pods_of_services(pods: Iterable[PodView], *, now: float) -> dict[tuple[str, str], tuple[PodView, ...]]:
    """Engine pods by namespace and LLMService, those included that are on their way out. One that hangs while its
    containers are made has that as its trouble."""
    found: dict[tuple[str, str], list[PodView]] = {}
    for pod in pods:
        if labels.managed(pod.labels) and labels.SERVICE in pod.labels:
            found.setdefault((pod.namespace, pod.labels[labels.SERVICE]), []).append(
                pod if pod.creating_since is None else _with_hang(pod, pod.creating_since, now)
            )
    return {key: tuple(each) for key, each in found.items()}


def _with_hang(pod: PodView, since: float, now: float) -> PodView:
    if pod.trouble is not None or now - since < CREATING_SECONDS:
        return pod
    said = f"{CREATING_SECONDS / 60:.0f} minutes after it was bound to node {pod.node} no container has started"
    return replace(pod, trouble=PodTrouble(CREATING, said, since))


def start_failures(
    service: LLMService, pods: Sequence[PodView], pools: Mapping[str, GPUPool], *, now: float
) -> tuple[StartFailure, ...]:
    """Those that hold, and those that are over but would count as a further failure in a row. `pods`: the service's."""
    before = {failure.variant: failure for failure in map(_remembered, service.status.start_failures)}
    by_variant: dict[str, list[PodView]] = {}
    for pod in pods:
        if not pod.terminating:
            by_variant.setdefault(pod.labels.get(labels.VARIANT, ""), []).append(pod)
    found = [_failure(name, by_variant.get(name, ()), pools, before.get(name), now=now)
             for name in sorted({*before, *by_variant})]  # fmt: skip
    return tuple(failure for failure in found if failure is not None)[:MAX_FAILURES]


def _failure(
    variant: str, pods: Sequence[PodView], pools: Mapping[str, GPUPool], before: StartFailure | None, *, now: float
) -> StartFailure | None:
    stuck = [(pod, pod.trouble) for pod in pods if pod.trouble is not None and not pod.ready and not pod.gated]
    late = [each for each in stuck if waited_seconds(*each, now) >= patience_seconds(*each, pools)]
    if late:
        pod, trouble = min(late, key=lambda each: (each[0].created_at or now, each[0].name))
        if before is not None and before.holds(now):
            return replace(before, reason=trouble.reason, message=trouble.message, pod=pod.name, replicas=len(stuck))
        attempts = 1 if before is None else before.attempts + 1
        return StartFailure(
            variant=variant,
            pool=pod.labels.get(labels.POOL, ""),
            reason=trouble.reason,
            message=trouble.message,
            pod=pod.name,
            replicas=len(stuck),
            since=now - waited_seconds(pod, trouble, now),
            until=now + min(FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 10), LONGEST_WAIT_SECONDS),
            attempts=attempts,
        )
    if before is None or now >= before.until + LONGEST_WAIT_SECONDS:
        return None
    # Once it was asked for again and came up, it is as good as any other.
    healed = (
        not before.holds(now)
        and not stuck
        and any(pod.ready and (pod.created_at or 0.0) >= before.until for pod in pods)
    )
    return None if healed else before


def waited_seconds(pod: PodView, trouble: PodTrouble, now: float) -> float:
    """How long the pod has had its trouble."""
    since = trouble.since if trouble.since is not None else pod.created_at
    return 0.0 if since is None else max(0.0, now - since)


def patience_seconds(pod: PodView, trouble: PodTrouble, pools: Mapping[str, GPUPool]) -> float:
    """How long such a trouble may last before it is a failure of the variant."""
    if trouble.reason != UNSCHEDULABLE:
        return BROKEN_SECONDS
    pool = pools.get(pod.labels.get(labels.POOL, ""))
    elastic = pool is not None and pool.spec.capacity.type is CapacityType.ELASTIC
    return NODE_SECONDS if elastic else PATIENCE_SECONDS


def runnable(variant: str, pods: Sequence[PodView]) -> int:
    """Replicas of the variant that run or that nothing keeps from starting."""
    return sum(
        1
        for pod in pods
        if pod.labels.get(labels.VARIANT) == variant and not pod.terminating and (pod.ready or pod.trouble is None)
    )


def failure_status(failure: StartFailure) -> StartFailureStatus:
    times = {"since": utc_text(failure.since), "until": utc_text(failure.until)}
    return StartFailureStatus(**asdict(failure) | times)


def _remembered(row: StartFailureStatus) -> StartFailure:
    """The failure that the status shows; a time that is none counts as past."""
    times = {"since": unix_seconds(row.since) or 0.0, "until": unix_seconds(row.until) or 0.0}
    return StartFailure(**row.model_dump() | times | {"attempts": max(row.attempts, 1)})
