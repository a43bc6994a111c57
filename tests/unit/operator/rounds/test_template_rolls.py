"""A changed image, flag or profile: one variant of the fleet first, then one of each service at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medley_operator.domain.values.labels import DEPLOYMENT, SERVICE, VARIANT
from medley_operator.domain.values.snapshot import Manifest, Snapshot
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, run, settle

NEW = "vllm/vllm-openai:v0.33.0"
TWO: dict[str, Any] = {
    "variants": [
        {"poolRef": "l4", "tensorParallel": 1, "minReplicas": 1, "maxReplicas": 1},
        {"poolRef": "h100", "tensorParallel": 1, "minReplicas": 1, "maxReplicas": 1},
    ]
}
ONE: dict[str, Any] = {"variants": [{"poolRef": "h100", "tensorParallel": 1, "maxReplicas": 1}]}


def image(manifest: Manifest) -> str:
    return str(manifest["spec"]["template"]["spec"]["containers"][0]["image"])


def edited(before: Round, **profile: Any) -> Round:
    """The first round after the profile was edited."""
    snapshot = replace(before.snapshot, profiles=(make.profile(**profile),))
    return run(snapshot, before.memory, steps=before.steps, at_seconds=before.at_seconds + 30.0)


def next_round(before: Round, *, becomes_ready: bool) -> Round:
    snapshot = make.carried_out(before.snapshot, before.decision)
    if not becomes_ready:
        snapshot = replace(snapshot, children={key: _stuck(each) for key, each in snapshot.children.items()})
    return run(snapshot, before.memory, steps=before.steps, at_seconds=before.at_seconds + 30.0)


def _stuck(manifest: Manifest) -> Manifest:
    """A Deployment with the new image: its one replica was replaced and does not become Ready."""
    if manifest["kind"] != DEPLOYMENT or image(manifest) != NEW:
        return manifest
    return {**manifest, "status": {**manifest["status"], "readyReplicas": 0}}


def rolled(done: Round) -> list[tuple[str, str]]:
    """(service, variant) of the Deployments that got the new image in this round."""
    return sorted(
        (each["metadata"]["labels"][SERVICE], each["metadata"]["labels"][VARIANT])
        for each in (apply.manifest for apply in done.decision.applies)
        if each["kind"] == DEPLOYMENT and image(each) == NEW
    )


def images(snapshot: Snapshot) -> list[str]:
    return [image(each) for key, each in snapshot.children.items() if key.kind == DEPLOYMENT]


def test_an_image_with_a_typing_error_takes_one_replica_of_the_fleet() -> None:
    """8 services with one replica each on a full pool, and an image that does not exist: all were down at once."""
    fleet = settle(make.snapshot(*(make.service(f"chat-{number}", spec=ONE) for number in range(8))))
    done = edited(fleet, image=NEW)
    assert rolled(done) == [("chat-0", "h100")]
    for _ in range(3):
        done = next_round(done, becomes_ready=False)
        assert rolled(done) == []
    assert images(done.snapshot).count(NEW) == 1
    assert "waiting: h100" in done.condition("WorkloadsReady", "chat-5").message
    assert done.condition("Ready", "chat-5").status == "True"


def test_a_canary_that_is_ready_is_followed_by_all_services_one_variant_each() -> None:
    fleet = settle(make.snapshot(*(make.service(f"chat-{number}", spec=TWO) for number in range(3))))
    first = edited(fleet, image=NEW)
    assert len(rolled(first)) == 1
    seen = set(rolled(first))
    done = first
    for _ in range(4):
        done = next_round(done, becomes_ready=True)
        now = rolled(done)
        assert len({service for service, _ in now}) == len(now), "two variants of a service at once"
        seen |= set(now)
    assert seen == {(f"chat-{number}", pool) for number in range(3) for pool in ("l4", "h100")}


def test_a_service_rolls_one_variant_after_the_other() -> None:
    """Two full pools with one replica each were rolled at once: 0 of 2 Ready for a whole start."""
    steady = settle(make.snapshot(make.service(spec=TWO)))
    first = edited(steady, image=NEW)
    assert len(rolled(first)) == 1
    stuck = next_round(first, becomes_ready=False)
    assert rolled(stuck) == []
    assert len(rolled(next_round(first, becomes_ready=True))) == 1


def test_the_cure_of_a_variant_that_does_not_become_ready_is_let_through() -> None:
    steady = settle(make.snapshot(make.service(spec=TWO)))
    broken = next_round(edited(steady, image=NEW), becomes_ready=False)
    cured = edited(broken, image="vllm/vllm-openai:v0.33.1")
    changed = [
        apply.manifest["metadata"]["labels"][VARIANT]
        for apply in cured.decision.applies
        if apply.manifest["kind"] == DEPLOYMENT
    ]
    ((key, _),) = [
        (key, each) for key, each in broken.snapshot.children.items() if key.kind == DEPLOYMENT and image(each) == NEW
    ]
    assert changed == [broken.snapshot.children[key]["metadata"]["labels"][VARIANT]]


def test_replicas_follow_the_load_while_a_template_waits() -> None:
    steady = settle(make.snapshot(make.service("a", spec=ONE), make.service("b", spec={"variants": ONE["variants"]})))
    waiting = next_round(edited(steady, image=NEW), becomes_ready=False)
    grown = {"variants": [{"poolRef": "h100", "tensorParallel": 1, "minReplicas": 3, "maxReplicas": 3}]}
    services = tuple(
        make.service("b", spec=grown, generation=2).model_copy(update={"status": each.status})
        if each.metadata.name == "b"
        else each
        for each in waiting.snapshot.services
    )
    done = run(replace(waiting.snapshot, services=services), waiting.memory, steps=waiting.steps, at_seconds=300.0)
    (scaled,) = [
        apply.manifest
        for apply in done.decision.applies
        if apply.manifest["kind"] == DEPLOYMENT and apply.service.name == "b"
    ]
    assert (scaled["spec"]["replicas"], image(scaled) == NEW) == (3, False)


def test_a_new_variant_starts_with_the_new_template_at_once() -> None:
    steady = settle(make.snapshot(make.service("a", spec=ONE)))
    services = (*steady.snapshot.services, make.service("b", spec=ONE))
    snapshot = replace(steady.snapshot, services=services, profiles=(make.profile(image=NEW),))
    done = run(snapshot, steady.memory, steps=steady.steps, at_seconds=300.0)
    assert ("b", "h100") in rolled(done)


def strategies(done: Round) -> set[int]:
    """maxSurge of the Deployments that were written in this round."""
    return {
        apply.manifest["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        for apply in done.decision.applies
        if apply.manifest["kind"] == DEPLOYMENT
    }


def filled_up() -> Round:
    """Two settled services, whose pool has no room left for a surge since then."""
    roomy = make.snapshot(*(make.service(f"chat-{number}", spec=ONE) for number in range(2)))
    fleet = settle(replace(roomy, pools=(make.pool("h100", gpu="H100", gpus_per_node=1),)))
    full = replace(fleet.snapshot, pools=(make.pool("h100", gpu="H100", gpus_per_node=1, nodes=2),))
    return run(full, fleet.memory, steps=fleet.steps, at_seconds=fleet.at_seconds + 30.0)


def test_a_pool_that_fills_up_writes_no_deployment() -> None:
    """One pod took the last GPU of a pool, and 250 Deployments were written to say that none of them may surge."""
    assert strategies(filled_up()) == set()


def test_the_write_that_rolls_brings_the_strategy_that_the_pool_has_room_for() -> None:
    assert strategies(edited(filled_up(), image=NEW)) == {0}


def test_a_deployment_that_rolls_gets_the_strategy_at_once() -> None:
    done = filled_up()
    rolling = {
        key: {**each, "status": {**each["status"], "updatedReplicas": 0}} if key.kind == DEPLOYMENT else each
        for key, each in done.snapshot.children.items()
    }
    assert strategies(run(replace(done.snapshot, children=rolling), done.memory, steps=done.steps)) == {0}


def test_a_strategy_that_is_none_of_ours_is_put_back() -> None:
    done = filled_up()
    recreated = {
        key: {**each, "spec": {**each["spec"], "strategy": {"type": "Recreate"}}} if key.kind == DEPLOYMENT else each
        for key, each in done.snapshot.children.items()
    }
    assert strategies(run(replace(done.snapshot, children=recreated), done.memory, steps=done.steps)) == {0}
