"""The keeper of calibrations: how often it asks and writes, what a restart finds, and that no failure stops a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from medley_operator.domain.engine.pods import EngineFigures, PodGroup
from medley_operator.domain.speed.calibration_record import CONFIG_MAP
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.fleet.calibration import WRITE_SECONDS, Calibrator
from medley_operator.kube.errors import Forbidden, KubeError, Unavailable
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.exporter import Exporter
from medley_planner.capacity import Speed
from medley_planner.capacity.window import SkipReason
from medley_planner.model import Provenance
from tests.unit.operator.domain.speed.test_calibration import GROUP, deployment, snapshot_of, window
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.looks import look

SEEN = snapshot_of(deployment())
KEY = ObjectKey("ConfigMap", "medley", CONFIG_MAP)


@dataclass
class Engines:
    """A Prometheus with one ReplicaSet whose load goes up and down."""

    error: PrometheusUnavailableError | None = None
    asked: list[int] = field(default_factory=list)

    async def windows(self, *, window_seconds: int) -> Mapping[PodGroup, EngineFigures]:
        self.asked.append(window_seconds)
        if self.error is not None:
            raise self.error
        decoding = 2.0 + 5.0 * (len(self.asked) % 4)
        return {GROUP: EngineFigures(window(decoding), kv_tokens=40_000)}


@dataclass
class World:
    """A calibrator and all that it touches; time stands still unless it is moved."""

    client: FakeKubeClient = field(default_factory=FakeKubeClient)
    engines: Engines = field(default_factory=Engines)
    exporter: Exporter = field(default_factory=Exporter)
    namespace: str = "medley"
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.exporter = Exporter()
        self.calibrator = Calibrator(
            source=self.engines,
            client=self.client,
            counter=self.exporter,
            exporter=CalibrationExporter(self.exporter.registry),
            window_seconds=60,
            namespace=self.namespace,
            clock=lambda: self.now,
        )

    async def speed(self) -> Speed | None:
        """After one more round: what it learned counts from the next one on."""
        await self.calibrator.speeds()
        await self.calibrator.learn(SEEN)
        return next(iter((await self.calibrator.speeds()).values()), None)

    async def learn(self, windows: int) -> Speed | None:
        for _ in range(windows):
            self.now += 60
            speed = await self.speed()
        return speed

    def metric(self, text: str) -> list[str]:
        lines = generate_latest(self.exporter.registry).decode().splitlines()
        return [line for line in lines if line.startswith(text)]


async def test_prometheus_is_asked_once_per_window_whatever_the_rounds() -> None:
    world = World()
    for _ in range(100):
        await world.speed()
        world.now += 3
    assert world.engines.asked == [60] * 5


async def test_a_restart_goes_on_where_it_was() -> None:
    world = World()
    known = await world.learn(30)
    assert known is not None
    assert known.provenance is Provenance.CALIBRATED
    world.now += WRITE_SECONDS
    await world.learn(1)
    asked = len(world.engines.asked)
    world.restart()
    world.engines.error = PrometheusUnavailableError("down")
    again = await world.speed()
    assert again is not None
    assert again.factors.fixed == pytest.approx(known.factors.fixed, rel=1e-4)
    assert again.provenance is Provenance.CALIBRATED
    assert len(world.engines.asked) == asked + 1


async def test_writes_become_rare() -> None:
    world = World()
    await world.learn(60)
    hour = len(world.client.writes())
    assert 1 <= hour <= 1 + 60 * 60 / WRITE_SECONDS
    await world.learn(180)
    assert len(world.client.writes()) - hour <= 3, "only as much again as was learned is worth a write"
    assert world.metric("medley_writes_total{")[0].endswith(f" {float(len(world.client.writes()))}")


@pytest.mark.parametrize("error", [Forbidden("no"), KubeError("no")])
async def test_an_unreadable_memory_is_begun_anew(error: KubeError) -> None:
    world = World()
    world.client.failing["get", CONFIG_MAP] = error
    assert await world.learn(2) is not None
    assert [call for call in world.client.calls if call[0] == "get"] == [("get", CONFIG_MAP)]


async def test_a_memory_that_cannot_be_read_now_is_not_overwritten() -> None:
    world = World()
    await world.learn(30)
    world.now += WRITE_SECONDS
    await world.learn(1)
    kept = world.client.objects[KEY]
    world.restart()
    world.client.failing["get", CONFIG_MAP] = Unavailable("later")
    assert await world.learn(3) is None
    assert world.client.objects[KEY] == kept
    world.client.failing.clear()
    speed = await world.learn(1)
    assert speed is not None
    assert speed.provenance is Provenance.CALIBRATED


async def test_a_memory_with_nonsense_is_begun_anew_and_told(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    metadata = {"namespace": "medley", "name": CONFIG_MAP}
    world.client.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": "{"}})
    assert await world.learn(2) is not None
    assert any("learned anew" in record.message for record in caplog.records)


async def test_a_refused_write_is_counted_and_stops_nothing() -> None:
    world = World()
    world.client.failing["apply", f"ConfigMap {CONFIG_MAP}"] = Forbidden("no")
    assert await world.learn(10) is not None
    assert world.metric('medley_errors_total{component="apply"}') == ['medley_errors_total{component="apply"} 2.0']


async def test_without_prometheus_what_is_known_stays() -> None:
    world = World()
    known = await world.learn(20)
    world.engines.error = PrometheusUnavailableError("down")
    assert await world.learn(5) == known
    assert world.metric('medley_errors_total{component="metrics"}')[0].endswith(" 5.0")


async def test_without_a_namespace_nothing_is_kept_and_everything_learned() -> None:
    world = World(namespace="")
    assert await world.learn(20) is not None
    assert world.client.calls == []


async def test_metrics_tell_what_is_known_and_why_windows_are_skipped() -> None:
    world = World()
    await world.learn(20)
    (used,) = world.metric("medley_calibration_used{")
    assert used.endswith(" 1.0")
    assert 'gpu="L4"' in used
    factors = world.metric("medley_calibration_factor{")
    assert len(factors) == 4
    assert world.metric("medley_calibration_windows_total ") == ["medley_calibration_windows_total 20.0"]
    skipped = world.metric("medley_calibration_skipped_windows_total{")
    assert {line.split('"')[1] for line in skipped} == {reason.value for reason in SkipReason}


def test_engines_that_are_gone_are_shown_no_longer() -> None:
    registry = CollectorRegistry()
    CalibrationExporter(registry).show({})
    assert b"medley_calibration_factor{" not in generate_latest(registry)


async def test_a_look_carries_what_is_known() -> None:
    class Known:
        async def speeds(self) -> dict[object, Speed]:
            return {"key": Speed(kv_tokens=7)}

    seen = await look(FakeKubeClient(), calibration=Known())
    assert list(seen.snapshot.calibrated.values()) == [Speed(kv_tokens=7)]
