"""The phases of the scale suite on a world that is made up: which figures they take, and from what."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from e2e.scale import phases
from e2e.scale.figures import Target, Write
from e2e.scale.fleet import FleetShape, Load
from e2e.scale.goals import Figure
from e2e.scale.usage import Moment, Used
from e2e.scale.world import ADMIN, World

SOLVE_SECONDS = 0.25
CALM = 0.05


class FakeWorld:
    """An operator that answers each change at once, or after `delay` seconds; never where that is None."""

    def __init__(self, folder: Path) -> None:
        self.services = FleetShape(8).service_list()
        self.query_log = folder / "queries.log"
        self.query_log.touch()
        self.operator = SimpleNamespace(pid=os.getpid(), log=folder / "operator.log")
        self.operator.log.touch()
        self.delay: float | None = 0.0
        self.said: list[str] = []
        self.started: list[tuple[str, ...]] = []
        self.patched: list[tuple[str, Any]] = []
        self.solves = 0
        self._ours: list[Write] = []
        self._theirs: list[Write] = []
        for service in self.services:
            for pool in service.pools:
                self._wrote(Target("deployments", service.namespace, f"{service.name}-{pool.name}-abcdefgh"), "patch")

    def say(self, text: str) -> None:
        self.said.append(text)

    def _wrote(self, target: Target, verb: str, *, at: float | None = None, subresource: str = "") -> None:
        at = time.time() - 100 if at is None else at
        self._ours.append(Write(target, verb, subresource, received=at, done=at, good=True))

    def start_operator(self, *more: str) -> None:
        self.started.append(more)

    def stop_operator(self) -> None:
        return

    def writes(self, user: str = "") -> list[Write]:
        return list(self._theirs if user == ADMIN else self._ours)

    def moment(self) -> Moment:
        now = time.monotonic()
        return Moment(now, Used(0.1 * now, 250.0), Used(0.05 * now, 95.0), busy_seconds=1.5 * now)

    def metrics(self) -> str:
        lines = [
            f"medley_plan_last_success_timestamp_seconds {time.time()}",
            f"medley_plan_solve_seconds_count {self.solves}",
            f"medley_plan_solve_seconds_sum {self.solves * SOLVE_SECONDS}",
        ]
        for service in self.services:
            for pool in service.pools:
                labels = f'namespace="{service.namespace}",pool="{pool.name}",service="{service.name}"'
                lines += [
                    f"medley_recommended_replicas{{{labels}}} 2",
                    f"medley_variant_desired_replicas{{{labels}}} 2",
                ]
                lines.append(f"medley_variant_ready_replicas{{{labels}}} 2")
        return "\n".join(lines)

    def patch(self, path: str, body: Any) -> None:
        self.patched.append((path, body))
        if "deployments" not in path:
            return
        *_, namespace, _, name = path.split("/")
        target, now = Target("deployments", namespace, name), time.time()
        self._theirs.append(Write(target, "patch", "", received=now, done=now, good=True))
        if self.delay is not None:
            self._wrote(target, "patch", at=now + self.delay)

    def set_loads(self, loads: Mapping[str, Load]) -> None:
        look = datetime.now(tz=UTC).isoformat().replace("+00:00", "Z")
        with self.query_log.open("a") as log:
            log.write(json.dumps({"params": {"query": "time()"}, "time": look}) + "\n")
        self.solves += 1
        for name in loads if self.delay is not None else ():
            namespace, service = name.split("/")
            target = Target("deployments", namespace, f"{service}-l40s-a-abcdefgh")
            self._wrote(target, "patch", at=time.time() + SOLVE_SECONDS + (self.delay or 0.0))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    for name, value in (
        ("POLL_SECONDS", 0.02),
        ("ANSWER_SECONDS", 0.3),
        ("PAUSE_SECONDS", (0.0, 0.01)),
        ("MARK_SECONDS", 0.02),
        ("LOAD_SECONDS", 0.3),
    ):
        monkeypatch.setattr(phases, name, value)
    return FakeWorld(tmp_path)


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def as_world(fake: FakeWorld) -> World:
    return cast(World, fake)


def test_a_cold_start_counts_services_deployments_and_pods(fake: FakeWorld) -> None:
    found = named(phases.cold_start(as_world(fake), "--kube-qps=200", calm_seconds=CALM))
    assert fake.started == [("--kube-qps=200",)]
    assert found["services planned"].row()[2:] == ("8", "", "of 8")
    assert (found["Deployments"].value, found["Deployments"].about) == (32, "with 64 Ready pods")


def test_a_restart_counts_what_is_written_because_of_it(fake: FakeWorld) -> None:
    found = named(phases.restart(as_world(fake), calm_seconds=CALM))
    assert fake.started == [()]
    assert found["children written because of a restart"].value == 0


def test_rest_tells_the_operator_from_its_worker(fake: FakeWorld) -> None:
    found = named(phases.rest(as_world(fake), seconds=0.1))
    assert found["operator at rest"].value == pytest.approx(0.1)
    assert not found["operator at rest"].missed
    assert found["planning worker at rest"].value == pytest.approx(0.05)
    assert (found["operator's RSS"].value, found["planning worker's RSS"].value) == (250.0, 95.0)
    assert not next(figure for figure in found.values() if figure.name.startswith("writes")).missed


def test_a_write_at_rest_is_a_miss_that_names_what_was_written(
    fake: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_seconds: float) -> None:
        fake._wrote(Target("llmservices", "team-00", "chat-000"), "patch", at=time.time() + 1, subresource="status")

    monkeypatch.setattr(time, "sleep", sleep)
    figure = phases.rest(as_world(fake), seconds=60.0)[0]
    assert (figure.missed, figure.about) == (True, "1 llmservices/status")


def test_events_are_changes_of_different_deployments_while_rounds_go_on(fake: FakeWorld) -> None:
    fake.delay = 0.2
    found = named(phases.events(as_world(fake), samples=10))
    changed = [path for path, _ in fake.patched if "deployments" in path]
    assert len(set(changed)) == len(changed) == 10
    assert any("runtimeprofiles" in path for path, _ in fake.patched)
    assert found["event to write, p99"].value == pytest.approx(0.2, abs=0.01)
    assert not found["event to write, p99"].missed


def test_an_event_that_nobody_answers_counts_with_the_whole_wait(
    fake: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.delay = None
    monkeypatch.setattr(phases, "EVENT_GOAL", 0.2)
    assert named(phases.events(as_world(fake), samples=3))["event to write, p99"].value == phases.ANSWER_SECONDS


def test_a_load_is_timed_from_its_look_without_the_solve(fake: FakeWorld) -> None:
    fake.delay = 0.1
    found = named(phases.loads(as_world(fake), trials=2, services=3))
    assert found["new load to write, p50"].about.startswith("6 of 6 services")
    assert found["new load to write, p99"].value == pytest.approx(0.1, abs=0.09)
    assert found["solve, mean"].value == pytest.approx(SOLVE_SECONDS)


def test_loads_that_nobody_follows_are_a_miss(fake: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.delay = None
    monkeypatch.setattr(phases, "LOAD_P50_GOAL", 0.2)
    found = named(phases.loads(as_world(fake), trials=1, services=2))
    assert found["new load to write, p50"].missed
    assert found["new load to write, p50"].about.startswith("0 of 2 services")


def test_a_fleet_that_is_written_all_the_time_is_never_settled(
    fake: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "SETTLE_SECONDS", 0.1)
    fake._wrote(Target("deployments", "team-00", "chat"), "patch", at=time.time() + 60)
    with pytest.raises(TimeoutError, match="not settled"):
        phases.settle(as_world(fake), CALM)
