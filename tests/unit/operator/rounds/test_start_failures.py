"""Replicas that cannot start: what the status says of them, and where plans go meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.values import labels
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from medley_operator.domain.values.views import PodTrouble, PodView
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, follow, run, settle

NOW = 1_800_000_000.0
NO_ROOM = PodTrouble("Unschedulable", "0/5 nodes are available: 5 Insufficient nvidia.com/gpu.")
BOTH = {"variants": [{"poolRef": "l4", "tensorParallel": 1}, {"poolRef": "h100", "tensorParallel": 1}]}
ALONE = {"variants": [{"poolRef": "l4", "tensorParallel": 1}]}


def pods_of(
    snapshot: Snapshot,
    *,
    trouble: PodTrouble | None,
    waited: float,
    pool: str = "l4",
    ready: int = 0,
    gated: bool = False,
    creating: bool = False,
) -> tuple[PodView, ...]:
    """The pods of the pool's Deployments: the first `ready` are Ready, the others have the trouble for so long, or
    their containers are made for so long."""
    pods: list[PodView] = []
    for key, manifest in snapshot.children.items():
        if key.kind != labels.DEPLOYMENT:
            continue
        own = manifest["spec"]["template"]["metadata"]["labels"]
        for number in range(manifest["spec"]["replicas"]):
            fails = own[labels.POOL] == pool and number >= ready
            pods.append(
                PodView(
                    namespace=key.namespace,
                    name=f"{key.name}-{number}",
                    uid=f"{key.name}-{number}",
                    gpus={"nvidia.com/gpu": 1},
                    node="" if fails else "node-1",
                    labels=own,
                    created_at=NOW - waited,
                    ready=not fails,
                    trouble=replace(trouble, since=NOW - waited) if fails and trouble is not None else None,
                    gated=fails and gated,
                    creating_since=NOW - waited if fails and creating else None,
                )
            )
    return tuple(pods)


def failing(
    spec: dict[str, Any] = BOTH, *, trouble: PodTrouble | None = NO_ROOM, waited: float = 90.0, **fields: Any
) -> Round:
    """A service whose plan is on the pool l4, in the round that sees its pods there fail for so long."""
    steady = settle(make.snapshot(make.service(spec=spec)))
    assert [row.pool for row in steady.snapshot.services[0].status.variants] == ["l4"]
    pods = pods_of(steady.snapshot, trouble=trouble, waited=waited, **fields)
    children = {key: _unready(manifest) for key, manifest in steady.snapshot.children.items()}
    seen = replace(steady.snapshot, pods=pods, children=children, unix_seconds=NOW)
    return run(seen, steady.memory, steps=steady.steps, at_seconds=steady.at_seconds + 30.0, now=utc_text(NOW))


def _unready(manifest: Manifest) -> Manifest:
    if manifest["kind"] != labels.DEPLOYMENT:
        return manifest
    return {**manifest, "status": {**manifest["status"], "readyReplicas": 0}}


def test_pods_that_no_node_has_room_for_are_told_and_planned_elsewhere() -> None:
    """12 GPUs that others held: 0 of 3 Ready for ever, with Sufficient and Optimal, while another pool was empty."""
    done = failing()
    assert done.condition("WorkloadsReady").reason == "Unschedulable"
    assert "5 Insufficient nvidia.com/gpu" in done.condition("WorkloadsReady").message
    assert "GPUPool spec.tolerations" in done.condition("WorkloadsReady").message
    assert (done.condition("CapacityAvailable").status, done.condition("CapacityAvailable").reason) == (
        "False",
        "Unschedulable",
    )
    assert "Unschedulable" in done.reasons()
    (failure,) = done.status()["startFailures"]
    assert (failure["variant"], failure["pool"], failure["attempts"]) == ("l4", "l4", 1)
    assert "llama-h100" in done.replicas()
    assert {row["name"]: row["desired"] > 0 for row in done.status()["variants"]} == {"h100": True, "l4": False}


def test_pods_that_wait_for_less_than_their_pool_gives_them_are_waited_for() -> None:
    done = failing(waited=30.0)
    assert "startFailures" not in done.status() or not done.status()["startFailures"]
    assert done.condition("WorkloadsReady").reason == "Unschedulable"
    assert "llama-h100" not in done.replicas()


def test_an_elastic_pool_has_the_time_to_make_a_node() -> None:
    pools = (make.pool(kind="Elastic"), make.pool("h100", gpu="H100", price="6.88", gpus_per_node=8))
    steady = settle(make.snapshot(make.service(spec=BOTH), pools=pools))
    for waited, elsewhere in ((300.0, False), (900.0, True)):
        seen = replace(steady.snapshot, pods=pods_of(steady.snapshot, trouble=NO_ROOM, waited=waited), unix_seconds=NOW)
        assert ("llama-h100" in run(seen, steady.memory).replicas()) is elsewhere


def test_a_pod_that_a_queue_holds_back_waits() -> None:
    done = failing(waited=9000.0, gated=True)
    assert not done.status().get("startFailures")
    assert "llama-h100" not in done.replicas()


def test_where_nothing_else_can_serve_the_replicas_are_still_asked_for() -> None:
    done = failing(ALONE)
    assert done.condition("WorkloadsReady").reason == "Unschedulable"
    plan = done.condition("PlanReady")
    assert (plan.status, plan.reason) == ("True", "Feasible")
    assert "replicas of l4 cannot start" in plan.message
    assert not done.replicas()


@pytest.mark.parametrize(
    ("said", "reason"),
    [("ErrImagePull", "ImagePullBackOff"), ("CrashLoopBackOff", "CrashLoopBackOff"), ("Odd", "PodNotStarting")],
)
def test_an_engine_that_cannot_run_on_one_gpu_type_is_planned_on_another(said: str, reason: str) -> None:
    done = failing(trouble=PodTrouble(said, "back-off"), waited=180.0)
    assert done.condition("WorkloadsReady").reason == reason
    assert done.condition("CapacityAvailable").reason == "Sufficient"
    assert "llama-h100" in done.replicas()


def test_a_pod_whose_containers_are_never_made_is_a_failure_in_the_end() -> None:
    """A volume that did not mount kept a pod in ContainerCreating, and its plan waited for it for ever."""
    pulls = failing(trouble=None, creating=True, waited=1790.0)
    assert (pulls.condition("WorkloadsReady").reason, pulls.status().get("startFailures")) == ("Progressing", [])
    hangs = failing(trouble=None, creating=True, waited=1800.0)
    assert hangs.condition("WorkloadsReady").reason == "PodNotStarting"
    assert "30 minutes after it was bound" in hangs.condition("WorkloadsReady").message
    assert "llama-h100" in hangs.replicas()


def test_a_failed_variant_is_tried_again_and_waits_twice_as_long_the_next_time() -> None:
    done = failing()
    later = replace(make.carried_out(done.snapshot, done.decision), pods=())
    held = run(replace(later, unix_seconds=NOW + 200.0), done.memory)
    assert {row["name"] for row in held.status()["variants"] if row["desired"]} == {"h100"}
    again = run(replace(later, unix_seconds=NOW + 301.0), done.memory)
    assert again.prepared.problem is not None
    l4 = next(each for each in again.prepared.problem.services[0].variants if each.name == "l4")
    assert l4.max_replicas is None
    grown = make.carried_out(again.snapshot, again.decision)
    failed = run(
        replace(grown, pods=pods_of(grown, trouble=NO_ROOM, waited=61.0), unix_seconds=NOW + 301.0), again.memory
    )
    (failure,) = failed.status()["startFailures"]
    assert failure["attempts"] == 2


def test_a_restart_forgets_no_failure() -> None:
    done = failing()
    later = replace(make.carried_out(done.snapshot, done.decision), pods=(), unix_seconds=NOW + 60.0)
    forgot = run(later)
    assert {row["name"] for row in forgot.status()["variants"] if row["desired"]} == {"h100"}


def test_replicas_that_run_stay_where_more_cannot_start() -> None:
    done = failing(ready=1)
    assert done.prepared.problem is not None
    l4 = next(each for each in done.prepared.problem.services[0].variants if each.name == "l4")
    assert l4.max_replicas == 1


def test_a_quota_that_refuses_pods_is_told_in_its_own_words() -> None:
    steady = settle(make.snapshot(make.service(spec=ALONE)))
    key, child = steady.child("Deployment", "l4")
    message = 'pods "x" is forbidden: exceeded quota: gpus'
    child["status"] = {
        **child["status"],
        "readyReplicas": 0,
        "conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}],
    }
    done = run(steady.with_child(key, child), steady.memory)
    assert done.condition("WorkloadsReady").reason == "ReplicaFailure"
    assert message in done.condition("WorkloadsReady").message
    assert "ReplicaFailure" in done.reasons()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"updatedReplicas": 0}, "Progressing"),
        ({"observedGeneration": 0}, "Progressing"),
        (
            {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
            "RolloutStalled",
        ),
    ],
)
def test_a_stuck_rollout_does_not_say_all_ready(status: dict[str, Any], reason: str) -> None:
    """A bad image in the profile: AllReady with 1 of 3 updated and the new pod Pending."""
    steady = settle(make.snapshot(make.service(spec=ALONE)))
    key, child = steady.child("Deployment", "l4")
    child["status"] = {**child["status"], **status}
    done = run(steady.with_child(key, child), steady.memory)
    assert done.condition("WorkloadsReady").reason == reason


def test_cost_is_of_what_runs_and_the_plans_of_the_plan() -> None:
    started = run(make.snapshot(make.service(spec=ALONE)))
    assert started.status()["costPerHour"] == "0.00"
    planned = float(started.status()["plan"]["costPerHour"])
    assert planned > 0
    ready = follow(started)
    assert float(ready.status()["costPerHour"]) == planned
    draining = replace(make.carried_out(ready.snapshot, ready.decision), unix_seconds=NOW)
    pods = pods_of(draining, trouble=None, waited=0.0, pool="none")
    gone = tuple(replace(pod, name=f"{pod.name}-old", terminating=True, ready=False) for pod in pods)
    both = run(replace(draining, pods=(*pods, *gone)), ready.memory)
    assert float(both.status()["costPerHour"]) == pytest.approx(2 * planned)


def test_a_service_without_failures_says_nothing_of_them() -> None:
    steady = settle(make.snapshot(make.service(spec=ALONE)))
    assert steady.snapshot.services[0].status.start_failures == []
    assert ObjectKey("LLMService", make.NAMESPACE, "llama") not in {write.key for write in steady.decision.statuses}
