"""Lead times are read off pods that started, and off nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from medley_operator.domain.values.labels import child_labels
from medley_operator.domain.values.leadtime import (
    FEWEST_STARTS,
    MAX_STARTS,
    Component,
    LeadKey,
    LeadTimes,
    NodeState,
    Start,
    node_state,
    start_of,
    unix_seconds,
    utc_text,
)
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import PodView
from tests.unit.operator import factories as make

CREATED = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC).timestamp()
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
WARM, COLD = LeadKey(LLAMA, "L4", NodeState.WARM), LeadKey(LLAMA, "L4", NodeState.COLD)


def text(seconds: float) -> str:
    return utc_text(CREATED + seconds)


def pod(
    uid: str = "pod-1",
    *,
    scheduled: float = 3,
    sandbox: float | None = 10,
    pulled: float = 70,
    ready: float = 160,
    ready_status: str = "True",
    restarts: int = 0,
    node: str = "node-1",
    pool: str = "l4",
    **metadata: Any,
) -> Manifest:
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": text(scheduled)},
        {"type": "Ready", "status": ready_status, "lastTransitionTime": text(ready)},
    ]
    if sandbox is not None:
        conditions.append({"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": text(sandbox)})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": uid,
            "namespace": make.NAMESPACE,
            "uid": uid,
            "creationTimestamp": text(0),
            "labels": child_labels(service="llama", component="engine", variant="l4", pool=pool),
            **metadata,
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "vllm", "startupProbe": {"periodSeconds": 10, "failureThreshold": 60}}],
        },
        "status": {
            "conditions": conditions,
            "containerStatuses": [{"restartCount": restarts, "state": {"running": {"startedAt": text(pulled)}}}],
        },
    }


SHOWN = start_of(pod())


def started(uid: str, *, node: str = "node-1", pool: str = "l4") -> PodView:
    """The view of a pod that started as `SHOWN` did."""
    labels = child_labels(service="llama", component="engine", variant="l4", pool=pool)
    start = None if SHOWN is None else replace(SHOWN, uid=uid)
    return PodView(make.NAMESPACE, uid, uid, node=node, labels=labels, created_at=CREATED, ready=True, start=start)


def seconds_of(manifest: Manifest) -> dict[str, float] | None:
    found = start_of(manifest)
    return None if found is None else {part.value: seconds for part, seconds in found.seconds.items()}


def test_a_start_is_split_at_what_kubernetes_tells() -> None:
    assert seconds_of(pod()) == {"scheduled": 3, "started": 7, "pulled": 60, "ready": 90, "total": 160}
    assert seconds_of(pod(sandbox=None)) == {"scheduled": 3, "started": 0, "pulled": 67, "ready": 90, "total": 160}


@pytest.mark.parametrize(("node_age", "state"), [(86400, "warm"), (600, "warm"), (599, "cold"), (-40, "cold")])
def test_a_node_is_cold_until_it_is_ten_minutes_old(node_age: float, state: str) -> None:
    assert node_state(pod_created_at=CREATED, node_created_at=CREATED - node_age).value == state


@pytest.mark.parametrize(
    "changes",
    [
        {"ready_status": "False"},
        {"restarts": 1},
        {"ready": 70 + 10 * 61 + 61},
        {"scheduled": 80},
        {"deletionTimestamp": text(200)},
        {"creationTimestamp": "yesterday"},
        {"creationTimestamp": None},
    ],
    ids=["not ready", "restarted", "lost its readiness", "times in no order", "leaving", "no time", "none"],
)
def test_what_is_no_start_is_not_counted(changes: dict[str, Any]) -> None:
    assert seconds_of(pod(**changes)) is None


@pytest.mark.parametrize("status", [{}, {"conditions": None, "containerStatuses": None}])
def test_a_pod_that_tells_nothing_is_no_start(status: dict[str, Any]) -> None:
    assert seconds_of({**pod(), "status": status}) is None


def start(uid: str, total: float, at: float = 0.0) -> Start:
    return Start(uid, at, dict.fromkeys(Component, total))


def test_p90_is_of_the_last_starts_and_each_pod_counts_once() -> None:
    leads = LeadTimes().with_starts([(WARM, start(f"p{n}", n + 1.0, at=n)) for n in range(10)])
    assert leads.p90(WARM, Component.TOTAL) == 9.0
    assert leads.with_starts([(WARM, start("p3", 999.0, at=50))]) == leads
    more = leads.with_starts([(WARM, start(f"q{n}", 5.0, at=100 + n)) for n in range(MAX_STARTS)])
    assert more.p90(WARM, Component.TOTAL) == 5.0
    # Those that were pushed out are still listed, and do not come back.
    assert more.with_starts([(WARM, start("p3", 4.0, at=3))]) == more
    assert leads.p90(COLD, Component.TOTAL) is None


def test_a_time_is_written_as_it_is_read() -> None:
    assert utc_text(1_796_005_572.9) == "2026-11-30T02:26:12Z"
    assert unix_seconds(utc_text(1_796_005_572.9)) == 1_796_005_572.0


def of(namespace: str, total: float, count: int = FEWEST_STARTS) -> LeadTimes:
    key = replace(WARM, namespace=namespace)
    return LeadTimes().with_starts([(key, start(f"{namespace}-{n}", total)) for n in range(count)])


def together(*parts: LeadTimes) -> LeadTimes:
    return LeadTimes({key: starts for part in parts for key, starts in part.starts.items()})


def seconds_for(namespace: str, leads: LeadTimes) -> float | None:
    return leads.believed_by(namespace).startup_seconds(model=LLAMA, gpu="L4", makes_nodes=False)


def test_lead_time_poison_the_starts_of_one_namespace_are_believed_by_itself_alone() -> None:
    """Pods that a tenant made slow raised the lead time of every service of that model on that GPU."""
    liar = of("liar", 3600.0)
    assert (seconds_for("liar", liar), seconds_for("a", liar)) == (3600.0, None)
    known = together(liar, of("a", 100.0), of("b", 150.0))
    assert [seconds_for(each, known) for each in ("a", "b", "liar", "new")] == [100.0, 150.0, 3600.0, 150.0]
    assert seconds_for("new", together(liar, of("a", 100.0))) is None, "nobody knows which of the two is true"
    few = together(of("new", 900.0, count=FEWEST_STARTS - 1), of("a", 100.0), of("b", 150.0))
    assert seconds_for("new", few) == 100.0


def test_what_is_shown_is_of_all_namespaces() -> None:
    assert len(together(of("a", 1.0), of("b", 2.0)).everywhere().starts[WARM]) == 2 * FEWEST_STARTS
