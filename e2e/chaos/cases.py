"""All faults, as a table; and the ends of the operator, of which there are as many as writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from e2e.chaos import adversary, disturb, fakes
from e2e.chaos.calls import WATCH
from e2e.chaos.faults import Effect, Fault
from e2e.chaos.proxy import Line
from e2e.chaos.run import Case
from e2e.chaos.scenario import SHORT

ALWAYS = 10**6
WATCHES = frozenset({WATCH})
LISTS = frozenset({"list"})
PATCHES = frozenset({"patch"})
NODE_GRACE_SECONDS = 30.0
"""Who takes a node away takes what is Ready on it: that is not the operator's breach."""
WHEN_PLANNED = (".plan.limits",)
"""A plan shows the limits that bound when it was made; that of the faultless run was made with the whole stock."""
L4_NODES = ("l4-0", "l4-1", "l4-2")
LEASE = ("--leader-election=on",)
PROMETHEUS = ("--prometheus-url={prometheus}",)


def _one(fault: Callable[[], Fault]) -> Callable[[], Sequence[Fault]]:
    return lambda: [fault()]


def kill(effect: Effect, nth: int) -> Case:
    """The operator dies around its n-th write of each step."""
    place = "before" if effect is Effect.KILL_BEFORE else "after"
    return Case(f"killed {place} write {nth} of each step", at="", faults=lambda: [Fault(effect, writes=True, nth=nth)])


def kills(most: int) -> list[Case]:
    """The operator dies around each write in turn; no step of the faultless run has more than `most`."""
    return [kill(effect, nth) for nth in range(1, most + 1) for effect in (Effect.KILL_AFTER, Effect.KILL_BEFORE)]


KILL_ALL = Case(
    "killed after every write, one after the other",
    at="",
    faults=_one(lambda: Fault(Effect.KILL_AFTER, writes=True, times=ALWAYS, lasts=None)),
)

ANSWERS = [
    Case(
        f"{status} to {times} writes of each step",
        at="",
        faults=lambda status=status, times=times, headers=headers: [  # type: ignore[misc]
            Fault(Effect.ANSWER, writes=True, status=status, times=times, headers=headers)
        ],
        strikes=2,
    )
    for status, times, headers in (
        (409, 3, {}),
        (429, 4, {"Retry-After": "1"}),
        (500, 3, {}),
        (503, 3, {"Retry-After": "1"}),
    )
]

STORMS = [
    Case(
        "500 to everything for 20 s",
        faults=_one(lambda: Fault(Effect.ANSWER, lasts=20)),
    ),
    Case(
        "429 with Retry-After to everything for 10 s",
        faults=_one(lambda: Fault(Effect.ANSWER, status=429, headers={"Retry-After": "2"}, lasts=10)),
    ),
    Case(
        "connections close without an answer for 10 s",
        at="move",
        faults=_one(lambda: Fault(Effect.CLOSE, lasts=10)),
    ),
    Case(
        "answers to 5 writes are lost",
        at="",
        faults=_one(lambda: Fault(Effect.LOSE_ANSWER, writes=True, times=5)),
    ),
    Case(
        "500 to the statuses of services for 40 s",
        faults=_one(lambda: Fault(Effect.ANSWER, resource="llmservices/status", writes=True, lasts=40)),
    ),
    Case(
        "403 to routes alone for 20 s",
        at="create",
        faults=_one(lambda: Fault(Effect.ANSWER, resource="httproutes", writes=True, status=403, lasts=20)),
    ),
    Case(
        "500 to all writes but Events for 20 s",
        faults=lambda: [
            Fault(Effect.ANSWER, resource=resource, writes=True, lasts=20)
            for resource in ("llmservices/status", "deployments", "services", "httproutes")
        ],
    ),
    Case(
        "writes take 3 s longer for 20 s",
        at="move",
        faults=_one(lambda: Fault(Effect.DELAY, writes=True, seconds=3, lasts=20)),
    ),
    Case("a write hangs for 30 s", faults=_one(lambda: Fault(Effect.HANG, writes=True, seconds=30))),
    Case(
        "three patches in a row hang for 30 s",
        at="move",
        faults=_one(lambda: Fault(Effect.HANG, verbs=PATCHES, seconds=30, times=3)),
    ),
]

WATCH_FAULTS = [
    Case("410 in every watch", at="", faults=_one(lambda: Fault(Effect.EXPIRE, WATCHES, times=14))),
    Case("watches break for 5 s", at="move", faults=_one(lambda: Fault(Effect.END_STREAM, WATCHES, lasts=5))),
    Case(
        "events come 3 s late",
        at="move",
        faults=_one(lambda: Fault(Effect.DELAY_EVENTS, WATCHES, seconds=3, lasts=20)),
    ),
    Case(
        "watches are mute for 10 s, then break",
        at="move",
        faults=_one(lambda: Fault(Effect.MUTE, WATCHES, seconds=10, lasts=10)),
    ),
    Case(
        "lists are stale after 410",
        at="move",
        faults=lambda: [Fault(Effect.EXPIRE, WATCHES, times=14), Fault(Effect.STALE, LISTS, times=14)],
    ),
]

PLANE_FAULTS = [
    Case(
        "partition of 30 s",
        act=disturb.partition(30),
    ),
    Case("partition of 30 s while it moves", at="move", act=disturb.partition(30)),
    Case("silence of 30 s", at="move", act=disturb.partition(30, line=Line.SILENT)),
    Case("the API server restarts", at="move", act=disturb.restart("kube-apiserver", away_seconds=3)),
    Case(
        "etcd restarts and has forgotten its history",
        at="move",
        act=disturb.restart("etcd", away_seconds=3, compact=True),
    ),
    Case(
        "history is forgotten while watches run, and the API server restarts",
        at="move",
        act=disturb.restart("kube-apiserver", away_seconds=3, compact=True),
    ),
    Case(
        "history is forgotten while watches run, and they break",
        at="move",
        faults=lambda: [Fault(Effect.END_STREAM, WATCHES, times=14, not_before=3)],
        act=disturb.forgets(2),
    ),
    Case(
        "the leader is frozen for 30 s",
        arguments=LEASE,
        operators=2,
        act=disturb.freeze_leader(30),
    ),
]

NODE_FAULTS = [
    Case("a node is cordoned for 10 s", act=disturb.cordon(10), ignored=WHEN_PLANNED),
    Case("a node is cordoned for 10 s while all pods are there", at="shrink", first=True, act=disturb.cordon(10)),
    Case("a node is tainted for 10 s", act=disturb.taint(10), ignored=WHEN_PLANNED),
    Case(
        "a node is tainted for 10 s with what its pods do not bear",
        first=True,
        act=disturb.taint(10, effect="NoExecute"),
        ignored=WHEN_PLANNED,
        grace_seconds=NODE_GRACE_SECONDS,
    ),
    Case("a node with pods is tainted for 10 s", at="shrink", first=True, act=disturb.taint(10)),
    Case("a node loses its GPUs for 10 s", first=True, act=disturb.gpus_lost(10, left=0), ignored=WHEN_PLANNED),
    Case(
        "a node loses its GPUs for 10 s while all pods are there",
        at="shrink",
        first=True,
        act=disturb.gpus_lost(10, left=0),
    ),
    Case(
        "nodes lose half of their GPUs for 10 s while all pods are there",
        at="shrink",
        first=True,
        act=disturb.gpus_lost(10, left=2, nodes=L4_NODES),
    ),
    Case(
        "nodes lose all GPUs for 40 s while all pods are there",
        at="image",
        first=True,
        act=disturb.gpus_lost(40, left=0, nodes=L4_NODES),
    ),
    Case("a node is gone for 10 s", act=disturb.node_gone(10), grace_seconds=NODE_GRACE_SECONDS, ignored=WHEN_PLANNED),
    Case("pods of others take 4 GPUs for 10 s", act=disturb.foreign_pods(10), ignored=WHEN_PLANNED),
    Case(
        "pods of others take 4 GPUs for 10 s before it grows",
        first=True,
        act=disturb.foreign_pods(10),
        ignored=WHEN_PLANNED,
    ),
]

PEOPLE = [
    Case("a finalizer of others holds the service for 8 s", at="delete", first=True, act=disturb.finalizer(8)),
    Case("the namespace ends and comes again", act=disturb.namespace_ends, strikes=3),
]


def siege(seconds: float, seed: int) -> Case:
    """A tenant and the platform do their worst."""
    return Case(
        f"an adversary does its worst for {seconds:g} s (seed {seed})",
        act=adversary.attack(seconds, seed=seed),
        grace_seconds=adversary.PEAK_SECONDS,
        strikes=round(seconds),
        ignored=adversary.NOT_AS_BEFORE,
    )


OTHERS = [
    Case(
        "a policy rewrites the image for 20 s",
        act=fakes.mutating_policy(fakes.MIRRORED_IMAGE, 20),
        # The policy wins: the field is left to it for a while, and shown.
        ignored=(".image", "conditions"),
        grace_seconds=NODE_GRACE_SECONDS,
        strikes=3,
    ),
    Case(
        "a policy adds a sidecar for 20 s",
        act=fakes.mutating_policy(fakes.SIDECAR, 20),
        ignored=(".containers", "conditions"),
        # Each replica is replaced, and the status counts them.
        strikes=2,
    ),
    Case("a webhook hangs for 30 s", act=fakes.hanging_webhook(30)),
    Case("a policy refuses routes for 20 s while it moves", at="move", act=disturb.refused_routes(20)),
    Case("a policy refuses routes for 20 s while it moves back", at="back", act=disturb.refused_routes(20)),
    Case(
        "Prometheus is down",
        arguments=PROMETHEUS,
        measured=True,
        act=disturb.partition(0),
        ignored=("LLMService",),
    ),
    *(
        Case(
            f"Prometheus answers with {what} for 10 s",
            arguments=PROMETHEUS,
            measured=True,
            act=fakes.lying_prometheus(what, 10),
            ignored=("LLMService",),
        )
        for what in fakes.PROMETHEUS_ANSWERS
    ),
]

CASES: tuple[Case, ...] = (
    *ANSWERS,
    *STORMS,
    *WATCH_FAULTS,
    *PLANE_FAULTS,
    *NODE_FAULTS,
    *PEOPLE,
    *OTHERS,
    KILL_ALL,
)

SHORT_CASES = (
    Case(
        "killed after four writes",
        at="",
        steps=SHORT,
        faults=lambda: [Fault(Effect.KILL_AFTER, writes=True, nth=1), Fault(Effect.KILL_AFTER, writes=True, nth=5)],
    ),
    Case(
        "429, then 410 in every watch",
        at="",
        steps=SHORT,
        faults=lambda: [
            Fault(Effect.ANSWER, writes=True, status=429, times=2, headers={"Retry-After": "1"}),
            Fault(Effect.EXPIRE, WATCHES, times=14),
        ],
    ),
    Case("partition of 5 s", steps=SHORT, act=disturb.partition(5)),
)
