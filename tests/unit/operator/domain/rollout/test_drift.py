"""A field that is taken back again and again is left, and what others add is told."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.rollout.drift import Drift, Repair, repair
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import Autoscaler
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import deployment


def held(**spec: Any) -> Manifest:
    found = copy.deepcopy(make.with_defaults(deployment()))
    found["spec"].update(spec)
    return found


def rounds(observed: Manifest, *, every: float, count: int, start: Drift | None = None) -> list[Repair]:
    """The same thing found in each of the looks."""
    drift, made = start or Drift(), []
    for number in range(count):
        drift = replace(drift, at_seconds=every * number + 1.0)
        made.append(repair(deployment(), observed, drift))
        drift = replace(drift, taken_back=made[-1].taken_back)
    return made


@pytest.mark.parametrize(
    ("changed", "calm"),
    [
        ({"metadata": {"annotations": {}}}, True),
        ({"spec": {"revisionHistoryLimit": 9}}, True),
        ({"metadata": {"labels": {}}}, False),
        ({"spec": {"replicas": 0}}, False),
        ({"spec": {"replicas": 0}, "metadata": {"annotations": {}}}, False),
    ],
)
def test_only_what_changes_nothing_that_runs_may_wait(changed: dict[str, dict[str, Any]], calm: bool) -> None:
    observed = held()
    for part, fields in changed.items():
        observed[part].update(fields)
    made = repair(deployment(), observed, Drift())
    assert made.manifest is not None
    assert made.calm is calm


def test_a_field_taken_back_five_times_in_ten_minutes_is_left_and_told() -> None:
    made = rounds(held(replicas=9), every=16.0, count=10)
    assert [each.manifest is not None for each in made] == [True] * 5 + [False] * 5
    assert [[change.path for change in each.left] for each in made[4:6]] == [[], ["spec.replicas"]]


def test_a_field_taken_back_now_and_then_is_always_put_back() -> None:
    assert all(each.manifest is not None for each in rounds(held(replicas=9), every=301.0, count=20))


def test_what_is_left_is_tried_again_after_ten_minutes() -> None:
    made = rounds(held(replicas=9), every=30.0, count=60)
    tried = [number for number, each in enumerate(made) if each.manifest is not None]
    assert tried[:5] == [0, 1, 2, 3, 4]
    assert len(tried) <= 5 + 60 * 30 / 600
    assert len(tried) > 5


def in_a_loop(changed: Manifest, *, stays: float, seconds: float) -> list[Repair]:
    """Somebody changes it again each time, once it has been well for so long."""
    drift, made = Drift(), list[Repair]()
    while drift.at_seconds < seconds:
        well = bool(made) and made[-1].manifest is not None
        drift = replace(drift, at_seconds=drift.at_seconds + stays)
        made.append(repair(deployment(), held() if well else changed, drift))
        drift = replace(drift, taken_back=made[-1].taken_back)
    return made


def test_what_an_adversary_changed_is_put_back_within_a_minute_of_its_end() -> None:
    """After five changes within minutes the field was left for ten more, though nobody changed it any longer."""
    last = in_a_loop(held(progressDeadlineSeconds=1), stays=3.0, seconds=120.0)[-1]
    drift = Drift(taken_back=last.taken_back, at_seconds=123.0)
    left = repair(deployment(), held(progressDeadlineSeconds=1), drift)
    wait_seconds = 0.0 if left.manifest is not None else left.wait_seconds
    assert wait_seconds is not None
    assert wait_seconds <= 30.0
    later = replace(drift, at_seconds=drift.at_seconds + wait_seconds)
    assert repair(deployment(), held(progressDeadlineSeconds=1), later).manifest is not None


def test_replicas_that_an_adversary_scales_up_again_and_again_stay_for_ten_seconds_at_most() -> None:
    """Replicas that were scaled up five times stayed for ten minutes on GPUs that nobody had planned."""
    made = in_a_loop(held(replicas=20), stays=5.0, seconds=600.0)
    assert all(each.manifest is not None or (each.wait_seconds or 0.0) <= 10.0 for each in made)
    assert sum(each.manifest is not None for each in made) <= 5 + 600 / 10


def test_a_client_in_a_loop_gets_two_writes_a_minute_once_it_is_known() -> None:
    made = in_a_loop(held(progressDeadlineSeconds=1), stays=3.0, seconds=600.0)
    assert sum(each.manifest is not None for each in made) <= 5 + 600 / 30
    assert any(each.left for each in made[-2:])


def test_what_never_stays_for_two_seconds_is_left_for_ten_minutes() -> None:
    made = in_a_loop(held(progressDeadlineSeconds=1), stays=1.0, seconds=500.0)
    assert sum(each.manifest is not None for each in made) == 5


def test_other_fields_are_put_back_beside_one_that_is_left() -> None:
    left = rounds(held(replicas=9), every=16.0, count=7)[-1]
    worse = held(replicas=9, progressDeadlineSeconds=1)
    done = repair(deployment(), worse, Drift(taken_back=left.taken_back, at_seconds=120.0))
    assert done.manifest is not None
    assert done.manifest["spec"]["replicas"] == 9


def test_another_wish_of_ours_starts_anew() -> None:
    left = rounds(held(replicas=9), every=16.0, count=7)[-1]
    done = repair(deployment(replicas=5), held(replicas=9), Drift(taken_back=left.taken_back, at_seconds=120.0))
    assert done.manifest is not None
    assert not done.left


def test_what_is_changed_back_at_once_is_set_again_every_two_seconds() -> None:
    fast = rounds(held(replicas=9), every=0.25, count=24)
    assert [index for index, each in enumerate(fast) if each.manifest is not None] == [0, 8, 16]
    assert all(0 < (each.wait_seconds or 0) <= 2 for each in fast if each.manifest is None)


def test_writes_that_failed_are_not_counted() -> None:
    failed = Drift(counts=False)
    assert all(each.manifest is not None for each in rounds(held(replicas=9), every=16.0, count=20, start=failed))


def test_replicas_are_an_autoscalers_where_there_is_one() -> None:
    key = key_of(deployment())
    drift = Drift(autoscalers={key: Autoscaler(replicas="HorizontalPodAutoscaler demo/hpa")})
    assert repair(deployment(), held(replicas=9), drift).manifest is None
    mended = repair(deployment(), held(replicas=9, progressDeadlineSeconds=1), drift).manifest
    assert mended is not None
    assert mended["spec"]["replicas"] == 9


def test_replicas_stay_ours_beside_an_autoscaler_that_sets_resources() -> None:
    """A VerticalPodAutoscaler never writes replicas: to leave them would leave them to nobody."""
    drift = Drift(autoscalers={key_of(deployment()): Autoscaler(resources="VerticalPodAutoscaler demo/vpa")})
    mended = repair(deployment(), held(replicas=9), drift).manifest
    assert mended is not None
    assert mended["spec"]["replicas"] == deployment()["spec"]["replicas"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"hostNetwork": True}, "spec.template.spec.hostNetwork"),
        ({"hostPID": True}, "spec.template.spec.hostPID"),
        ({"nodeName": "node-1"}, "spec.template.spec.nodeName"),
        ({"serviceAccountName": "admin"}, "spec.template.spec.serviceAccountName"),
        ({"schedulerName": "other"}, "spec.template.spec.schedulerName"),
        ({"priorityClassName": "high"}, "spec.template.spec.priorityClassName"),
        ({"initContainers": [{"name": "setup"}]}, "spec.template.spec.initContainers[setup]"),
    ],
)
def test_what_others_add_and_changes_how_pods_run_is_told(change: Manifest, path: str) -> None:
    found = held()
    found["spec"]["template"]["spec"].update(change)
    done = repair(deployment(), found, Drift())
    assert done.manifest is None
    assert [each.path for each in done.added] == [path]
    assert not repair(deployment(), held(), Drift()).added


@pytest.mark.parametrize("gpus", [1, 4], ids=["beside ours", "alone"])
@pytest.mark.parametrize("part", ["nodeAffinity", "podAffinity", "podAntiAffinity"])
def test_affinity_that_others_add_is_told(part: str, gpus: int) -> None:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    ours = deployment(gpus_per_replica=gpus)
    found = copy.deepcopy(make.with_defaults(ours))
    found["spec"]["template"]["spec"].setdefault("affinity", {}).setdefault(part, {})[required] = [{"topologyKey": "z"}]
    done = repair(ours, found, Drift())
    assert done.manifest is None
    assert [each.path for each in done.added] == [f"spec.template.spec.affinity.{part}.{required}"]
