"""Whole rounds in each mode: what is acted on, what waits, what is only shown, and what outlives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import APPROVED_PLAN, APPROVED_UNTIL, ActingMode, LLMService
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from tests.unit.operator import factories as make
from tests.unit.operator.placing import nodes, on, settled_placed, with_seen
from tests.unit.operator.placing import service as placed
from tests.unit.operator.rounds.play import Round, changed, follow, is_quiet, run, settle

UNTIL = "2026-11-24T13:00:00Z"
EXPIRED = "2026-11-24T12:00:00Z"
SOME = {"requestsPerSecond": "10", "promptTokens": 500, "generationTokens": 150}
BUSY = {"requestsPerSecond": "40", "promptTokens": 500, "generationTokens": 150}
BUSIER = {"requestsPerSecond": "80", "promptTokens": 500, "generationTokens": 150}


def service(mode: str, *, load: dict[str, Any] = make.STATIC, generation: int = 1, **annotations: str) -> LLMService:
    spec = {"scaling": {"mode": mode}, "workload": {"source": "Static", "static": load}}
    made = make.service(spec=spec, generation=generation)
    given = {"medley.dev/" + name.replace("_", "-"): text for name, text in annotations.items()}
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"annotations": given})})


def then(
    earlier: Round, mode: str, *, load: dict[str, Any] = make.STATIC, forget: bool = False, **annotations: str
) -> Round:
    """The next round, after the earlier one was carried out and the service was changed to this."""
    moved = make.carried_out(earlier.snapshot, earlier.decision)
    generation = moved.services[0].metadata.generation + 1
    again = changed(moved, service(mode, load=load, generation=generation, **annotations))
    steps = None if forget else earlier.steps
    return run(
        again, None if forget else earlier.memory, now=make.LATER, steps=steps, at_seconds=earlier.at_seconds + 30
    )


def waiting_id(done: Round) -> str:
    return str(done.status()["plan"]["id"])


def desired(status: Manifest) -> dict[str, int]:
    return {row["name"]: row["desired"] for row in status["variants"] if row["desired"]}


def proposed(status: Manifest) -> dict[str, int]:
    return {row["variant"]: row["replicas"] for row in status["plan"]["replicas"]}


def approve(waiting: Round, *, load: dict[str, Any] = BUSY, until: str = UNTIL, forget: bool = False) -> Round:
    return then(waiting, "Approve", load=load, forget=forget, approved_plan=waiting_id(waiting), approved_until=until)


def first_waiting() -> Round:
    return run(make.snapshot(service("Approve")))


def approved() -> Round:
    """A service in mode Approve whose first plan was approved and is carried out."""
    done = follow(approve(first_waiting(), load=make.STATIC))
    for _ in range(4):
        if is_quiet(done.decision):
            return done
        done = follow(done)
    raise AssertionError("still writing")


def waiting() -> Round:
    """The round in which a larger plan begins to wait, beside an approved one."""
    return then(approved(), "Approve", load=BUSY)


def wrote_children(done: Round) -> bool:
    return bool(done.decision.applies or done.decision.deletes)


# Advisory


def test_advisory_shows_the_plan_and_writes_no_child() -> None:
    done = run(make.snapshot(service("Advisory")))
    assert not wrote_children(done)
    condition = done.condition("PlanReady")
    assert (condition.status, condition.reason) == ("True", "Advisory")
    assert "spec.scaling.mode is Advisory: this plan is only shown" in condition.message
    status = done.status()
    assert status["variants"] == []
    assert "target" not in status
    assert status["history"] == []
    assert (done.condition("Ready").status, done.condition("Ready").reason) == ("False", "NoReadyReplicas")
    ((variant, replicas),) = proposed(status).items()
    assert done.gauge("recommended_replicas", make.NAMESPACE, "llama", variant, "l4") == replicas
    assert is_quiet(follow(done).decision)
    assert is_quiet(follow(done, forget=True).decision)


def test_advisory_leaves_what_runs_as_others_scale_it() -> None:
    steady = settle(make.snapshot(service("Auto")))
    advised = then(steady, "Advisory", load=BUSY)
    assert not wrote_children(advised)
    ((variant, before),) = desired(advised.status()).items()
    recommended = proposed(advised.status())
    assert recommended != {variant: before}
    assert "target" not in advised.status()
    # An autoscaler acts on the gauge; Medley counts what it finds and takes nothing back.
    key, child = follow(advised).child("Deployment", variant)
    child["spec"]["replicas"] = before + 2
    scaled = run(follow(advised).with_child(key, child), advised.memory)
    assert not wrote_children(scaled)
    assert desired(scaled.status()) == {variant: before + 2}
    workloads = scaled.condition("WorkloadsReady")
    assert (workloads.status, workloads.reason) == ("False", "Progressing")
    assert advised.condition("WorkloadsReady").message == "all replicas that run are Ready"
    for name, replicas in recommended.items():
        pool = "h100" if name.startswith("h100") else "l4"
        assert advised.gauge("recommended_replicas", make.NAMESPACE, "llama", name, pool) == replicas


def test_advisory_makes_nothing_anew_that_vanished() -> None:
    advised = follow(then(settle(make.snapshot(service("Auto"))), "Advisory"))
    gone = run(changed(advised.snapshot, children={}), advised.memory)
    assert not wrote_children(gone)
    assert gone.status()["variants"] == []


def test_a_service_goes_from_advisory_to_auto_at_once() -> None:
    auto = then(run(make.snapshot(service("Advisory"))), "Auto")
    assert auto.replicas()
    assert "replicas" not in auto.status()["plan"]
    assert auto.status()["target"]["reason"] == "Planned"


# Approve


def test_a_first_plan_waits_for_approval() -> None:
    first = first_waiting()
    assert not wrote_children(first)
    condition = first.condition("PlanReady")
    plan_id = waiting_id(first)
    assert (condition.status, condition.reason) == ("True", "AwaitingApproval")
    assert f"medley approve demo/llama {plan_id} approves it" in condition.message
    assert "the cost is $" in condition.message
    assert first.reasons() == ["PlanAwaitingApproval"]
    assert "target" not in first.status()
    again = follow(first)
    assert is_quiet(again.decision), "an Event for each plan id, not for each round"
    assert is_quiet(follow(first, forget=True).decision)


def test_an_approved_plan_is_in_force_and_in_the_history() -> None:
    first = first_waiting()
    done = approve(first, load=make.STATIC)
    assert done.replicas()
    status = done.status()
    assert status["target"] == {"planId": waiting_id(first), "since": make.LATER, "reason": "Approved"}
    assert [(row["planId"], row["at"]) for row in status["history"]] == [(waiting_id(first), make.LATER)]
    assert status["history"][0]["reason"] == f"plan {waiting_id(first)} was approved"
    assert status["history"][0]["costPerHour"] == status["plan"]["costPerHour"]
    assert "PlanApproved" in done.reasons()
    assert done.condition("PlanReady").reason == "Optimal"


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_a_new_plan_waits_and_the_approved_one_stays(forget: bool) -> None:
    steady = approved()
    before = steady.candidate().last_replicas
    held = then(steady, "Approve", load=BUSY, forget=forget)
    assert not wrote_children(held)
    status = held.status()
    assert desired(status) == before
    assert proposed(status) != before
    assert status["target"]["planId"] != waiting_id(held)
    assert status["load"]["requestsPerSecond"] == "40"
    message = held.condition("PlanReady").message
    assert "the cost changes from $" in message
    assert "the last approved plan stays in force" in message
    assert held.reasons() == ["PlanAwaitingApproval"]
    assert len(status["history"]) == 1
    assert is_quiet(follow(held).decision)
    assert is_quiet(follow(held, forget=True).decision)


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_drift_is_put_back_and_the_dead_are_remade_while_a_plan_waits(forget: bool) -> None:
    held = waiting()
    after = follow(held, forget=forget)
    ((variant, replicas),) = held.candidate().last_replicas.items()
    key, child = after.child("Deployment", variant)
    child["spec"]["replicas"] = replicas + 3
    memory = None if forget else after.memory
    back = run(after.with_child(key, child), memory)
    assert list(back.replicas().values()) == [replicas]
    remade = run(changed(after.snapshot, children={}), memory)
    assert list(remade.replicas().values()) == [replicas]
    assert set(remade.applied("Service")) >= {"llama"}


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_an_approval_puts_the_waiting_plan_in_force(forget: bool) -> None:
    held = waiting()
    wanted = proposed(held.status())
    done = approve(held, forget=forget)
    assert desired(done.status()) == wanted
    assert done.status()["target"]["planId"] == waiting_id(held)
    assert "replicas" not in done.status()["plan"]
    assert len(done.status()["history"]) == 2
    assert "PlanApproved" in done.reasons()


def test_an_approval_of_a_superseded_plan_does_not_count() -> None:
    held = waiting()
    moved = then(held, "Approve", load=BUSIER, approved_plan=waiting_id(held), approved_until=UNTIL)
    assert not wrote_children(moved)
    assert waiting_id(moved) != waiting_id(held)
    condition = moved.condition("PlanReady")
    assert condition.reason == "AwaitingApproval"
    assert f"names plan {waiting_id(held)}, which does not wait, so it does not count" in condition.message
    assert moved.reasons() == ["PlanAwaitingApproval"]


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (EXPIRED, f"The approval of this plan ended at {EXPIRED}"),
        (make.LATER, f"The approval of this plan ended at {make.LATER}"),
        ("tomorrow", 'medley.dev/approved-until is "tomorrow" and not a time'),
        ("", 'medley.dev/approved-until is "" and not a time'),
    ],
)
def test_an_approval_that_is_over_or_has_no_end_does_not_count(until: str, said: str) -> None:
    late = approve(waiting(), until=until)
    assert not wrote_children(late)
    assert said in late.condition("PlanReady").message


def test_an_approval_that_was_used_in_time_stays_in_force_after_its_end() -> None:
    done = approve(waiting())
    after = follow(done, now="2026-11-24T14:00:00Z", forget=True)
    assert after.condition("PlanReady").reason == "Optimal"
    assert desired(done.status()) == after.candidate().last_replicas


def test_a_plan_of_the_same_replicas_needs_no_approval() -> None:
    steady = approved()
    near = {**make.STATIC, "requestsPerSecond": "4.01"}
    same = then(steady, "Approve", load=near)
    assert same.condition("PlanReady").reason == "Optimal"
    assert not wrote_children(same)
    assert len(same.status()["history"]) == 1


def test_the_plan_of_mode_auto_stays_in_force_in_mode_approve() -> None:
    steady = settle(make.snapshot(service("Auto")))
    held = then(steady, "Approve", load=BUSY)
    assert not wrote_children(held)
    assert held.status()["target"]["reason"] == "Planned"
    assert desired(held.status()) == steady.candidate().last_replicas


def test_lost_load_keeps_what_is_in_force_and_not_what_waits() -> None:
    """A held plan is the last one in force, also where a newer one waits."""
    spec = {"scaling": {"mode": "Approve"}, "workload": {"source": "Prometheus", "static": make.STATIC}}
    snapshot = make.snapshot(
        make.service(spec={**spec, "scaling": {"mode": "Auto"}}), observations={"llama": make.found(4.0)}
    )
    steady = settle(snapshot)
    before = steady.candidate().last_replicas
    moved = changed(steady.snapshot, make.service(spec=spec, generation=2))
    held = follow(run(moved, steady.memory), observations={"llama": make.found(40.0)})
    assert held.condition("PlanReady").reason == "AwaitingApproval"
    for forget in (False, True):
        lost = follow(held, observations={"llama": make.lost()}, forget=forget)
        assert lost.condition("PlanReady").reason == "Held"
        assert not wrote_children(lost)
        assert lost.candidate().last_replicas == before
        assert proposed(lost.status())


def test_a_restart_keeps_the_id_of_the_plan_that_waits() -> None:
    """The id that a person was shown is still the one to approve, though the load is measured anew."""
    spec = {"scaling": {"mode": "Approve"}, "workload": {"source": "Prometheus", "static": make.STATIC}}
    held = run(make.snapshot(make.service(spec=spec), observations={"llama": make.found(40.0)}))
    again = follow(held, observations={"llama": make.found(40.4)}, forget=True)
    assert again.condition("PlanReady").reason == "AwaitingApproval"
    assert again.prepared.advice is not None
    assert make.carried_out(again.snapshot, again.decision).services[0].status.plan == held_plan(held)


def held_plan(held: Round) -> Any:
    return make.carried_out(held.snapshot, held.decision).services[0].status.plan


def test_the_costs_of_a_waiting_plan_are_of_plans_and_not_of_what_runs() -> None:
    """While pods are gone, what runs costs nothing; the plan in force costs what it did."""
    steady = approved()
    shown = steady.snapshot.services[0].status
    assert shown.plan is not None
    none = without_pods_of(steady)
    held = run(changed(none, service("Approve", load=BUSY, generation=9)), steady.memory)
    assert f"the cost changes from ${shown.plan.cost_per_hour}/h to $" in held.condition("PlanReady").message


def without_pods_of(steady: Round) -> Snapshot:
    """The cluster when the operator has seen that no pod runs."""
    gone = replace(steady.snapshot, children=unready(steady.snapshot.children), pods=())
    done = run(gone, steady.memory)
    moved = make.carried_out(done.snapshot, done.decision)
    assert moved.services[0].status.cost_per_hour_usd == 0.0
    return replace(moved, children=unready(moved.children))


def unready(children: Mapping[ObjectKey, Manifest]) -> dict[ObjectKey, Manifest]:
    return {
        key: {**child, "status": {**child.get("status", {}), "readyReplicas": 0}} if key.kind == "Deployment" else child
        for key, child in children.items()
    }


# Paused


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_paused_makes_no_plan_and_writes_no_child(forget: bool) -> None:
    steady = settle(make.snapshot(service("Auto")))
    before = steady.snapshot.services[0].status
    done = then(steady, "Paused", load=BUSY, forget=forget)
    assert done.prepared.problem is None
    assert not wrote_children(done)
    condition = done.condition("PlanReady")
    assert (condition.status, condition.reason) == ("Unknown", "Paused")
    assert "spec.scaling.mode is Paused" in condition.message
    status = done.status()
    assert status["load"]["requestsPerSecond"] == "4"
    assert before.plan is not None
    assert status["plan"]["id"] == before.plan.id
    assert desired(status) == {row.name: row.desired for row in before.variants}
    assert done.gauge("recommended_replicas", make.NAMESPACE, "llama", "l4-tp2", "l4") is None
    assert is_quiet(follow(done, forget=forget).decision)


@pytest.mark.parametrize("forget", [False, True], ids=["running", "restarted"])
def test_what_was_in_force_is_known_after_a_pause_in_which_a_child_vanished(forget: bool) -> None:
    done = then(approved(), "Paused")
    gone = run(changed(make.carried_out(done.snapshot, done.decision), children={}), done.memory)
    assert not wrote_children(gone)
    assert gone.condition("WorkloadsReady").reason == "Paused"
    back = then(gone, "Approve", forget=forget)
    assert back.replicas()
    assert back.status()["target"]["reason"] == "Approved"


# Beside services of other modes


@pytest.mark.parametrize("mode", ["Approve", "Advisory"])
def test_gpus_that_a_waiting_plan_would_free_are_not_given_away(mode: str) -> None:
    """A plan that nobody acts on must not make room for a service that is acted on."""
    pools = [make.pool(nodes=12, gpus_per_node=1)]
    spec = {"variants": [{"poolRef": "l4", "tensorParallel": 1}], "workload": {"source": "Static", "static": SOME}}
    steady = settle(make.snapshot(make.service(spec=spec), pools=pools))
    held = sum(steady.candidate().last_replicas.values())
    assert 1 < held < 12
    idle = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "0.1"}}
    llama = make.service(spec={**spec, "workload": idle, "scaling": {"mode": mode}}, generation=2)
    other = make.service("other", spec={**spec, "workload": {"source": "Static", "static": BUSIER}})
    done = run(changed(steady.snapshot, llama, other), steady.memory)
    assert proposed(done.status()) == {"l4": 1}
    assert done.prepared.problem is not None
    assert done.prepared.problem.pools[0].stock_gpus == 12 - held
    assert desired(done.status("other")) == {"l4": 12 - held}
    # The waiting plan in turn finds the GPUs of its own service free, and those that others hold taken.
    after = follow(done)
    assert after.prepared.advice is not None
    assert after.prepared.advice.pools[0].stock_gpus == held


@pytest.mark.parametrize("mode", ["Approve", "Advisory"])
def test_pods_of_a_service_that_is_not_acted_on_keep_their_places_while_they_come_back(mode: str) -> None:
    """Two of its pods wait for a node again: their GPUs are no room for a service that is acted on at once."""
    variants = [on("l4", minReplicas=6, maxReplicas=6)]
    cluster = make.snapshot(placed("llama", variants=variants), pools=[make.pool(nodes=None)], nodes=nodes("l4", 3))
    steady = settled_placed(cluster)
    evicted = {each.name for each in steady.snapshot.pods[:2]}
    pods = [replace(each, node="", ready=False) if each.name in evicted else each for each in steady.snapshot.pods]
    llama = placed("llama", variants=variants, scaling={"mode": mode})
    other = placed("other", rate="400", variants=[on("l4")])
    done = run(changed(with_seen(steady.snapshot, pods), llama, other), steady.memory)
    assert done.prepared.problem is not None
    assert done.prepared.problem.pools[0].stock_gpus == 12 - 6
    assert done.prepared.advice is not None
    assert done.prepared.advice.pools[0].stock_gpus == 12
    assert desired(done.status("other")) == {"l4": 6}


# The whole fleet


@pytest.mark.parametrize(
    ("fleet", "own", "reason"),
    [
        ("Paused", "Auto", "Paused"),
        ("Advisory", "Approve", "Advisory"),
        ("Approve", "Auto", "AwaitingApproval"),
        ("Auto", "Advisory", "Advisory"),
        ("Approve", "Paused", "Paused"),
    ],
)
def test_the_more_careful_mode_counts(fleet: str, own: str, reason: str) -> None:
    done = run(make.snapshot(service(own)), fleet_mode=ActingMode(fleet))
    assert not wrote_children(done)
    condition = done.condition("PlanReady")
    assert condition.reason == reason
    if own == "Auto" and fleet != "Approve":
        assert "--mode of the operator is" in condition.message


# History


def test_the_history_is_bounded_and_grows_with_the_target_alone() -> None:
    done = settle(make.snapshot(service("Auto")))
    assert len(done.snapshot.services[0].status.history) == 1
    for turn in range(12):
        done = then(done, "Auto", load=BUSY if turn % 2 == 0 else make.STATIC)
        settled = settle(make.carried_out(done.snapshot, done.decision), done.memory)
        done = settled
    history = done.snapshot.services[0].status.history
    assert len(history) == 10
    target = done.snapshot.services[0].status.target
    assert target is not None
    assert (history[-1].plan_id, history[-1].at) == (target.plan_id, target.since)
    assert history[-1].reason == "load changed from 40 req/s to 4 req/s"
    assert history[-1].mix != history[-2].mix


def test_annotations_of_others_are_not_read() -> None:
    metadata = {"name": "a", "annotations": {APPROVED_PLAN: "x", APPROVED_UNTIL: "y", "other": "z"}}
    read = LLMService.model_validate({"metadata": metadata, "spec": {"model": {"uri": make.LLAMA}}})
    assert read.metadata.annotations == {APPROVED_PLAN: "x", APPROVED_UNTIL: "y"}
