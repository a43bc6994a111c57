"""Pods of the simulated cluster: how they start, wait for GPUs, drain and go."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.values.leadtime import Component
from medley_operator.replay.agenda import Agenda
from medley_operator.replay.cluster import PodEvents, SimulatedCluster
from medley_operator.replay.pods import EnginePod, EngineWorkload
from medley_operator.replay.settings import WorldSettings
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape
from medley_planner.variants import Replica
from tests.unit.operator import factories as make
from tests.unit.operator.replay.worlds import LLAMA

SETTINGS = WorldSettings(startup_seconds=100.0, startup_spread=0.0, node_seconds=50.0)
SHAPE = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
REPLICA = Replica(SHAPE, Layout(gpu("L4")), 2048, 256, 8192, 0.9)


@dataclass
class Stage:
    """A cluster whose engines are idle or busy as the test says."""

    pool: GPUPool
    agenda: Agenda = field(default_factory=Agenda)
    busy: bool = False
    ended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        events = PodEvents(begin=lambda pod: 0, idle=lambda pod: not self.busy, end=self._end, changed=lambda: None)
        self.cluster = SimulatedCluster([self.pool], self.agenda, SETTINGS, events)

    def _end(self, pod: EnginePod) -> None:
        self.ended.append(pod.name)

    def put(self, replicas: int, *, name: str = "d", gpus: int = 1) -> None:
        labels = {"app": name}
        self.cluster.put(
            EngineWorkload(name, LLAMA, "v", self.pool.metadata.name, gpus, REPLICA, labels, replicas, 15.0, 120.0)
        )

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.cluster.pods.values())


def fixed(nodes: int = 1, gpus: int = 4) -> Stage:
    return Stage(make.pool("l4", nodes=nodes, gpus_per_node=gpus))


def test_pods_become_ready_after_their_start_up() -> None:
    stage = fixed()
    stage.put(2)
    stage.agenda.run(99.0)
    assert stage.ready == 0
    stage.agenda.run(100.0)
    assert stage.ready == 2
    start = next(iter(stage.cluster.pod_views())).start
    assert start is not None
    assert sum(start.seconds.values()) == pytest.approx(200.0)


def test_a_pod_that_stood_before_the_replay_shows_no_start() -> None:
    stage = fixed()
    stage.cluster.instant = True
    stage.put(1)
    stage.agenda.run(0.0)
    stage.cluster.instant = False
    stage.put(2)
    stage.agenda.run(100.0)
    stood, started = stage.cluster.pod_views()
    assert stood.ready
    assert stood.start is None
    assert started.start is not None
    assert started.start.seconds[Component.TOTAL] == pytest.approx(100.0)


def test_a_pod_without_room_waits_and_shows_it() -> None:
    stage = fixed(nodes=1, gpus=2)
    stage.put(3)
    stuck = [view for view in stage.cluster.pod_views() if view.trouble is not None]
    assert [view.trouble.reason for view in stuck if view.trouble] == ["Unschedulable"]
    stage.agenda.run(100.0)
    stage.put(2)
    assert len(stage.cluster.pods) == 2


def test_a_replica_never_spans_nodes() -> None:
    stage = fixed(nodes=2, gpus=3)
    stage.put(3, gpus=2)
    assert sum(pod.node == "" for pod in stage.cluster.pods.values()) == 1


def test_an_idle_pod_goes_after_its_pre_stop_and_frees_its_gpus() -> None:
    stage = fixed(gpus=1)
    stage.put(1)
    stage.agenda.run(100.0)
    stage.put(0)
    stage.put(1, name="other")
    stage.agenda.run(114.0)
    assert stage.ended == []
    stage.agenda.run(115.0)
    assert len(stage.ended) == 1
    stage.agenda.run(215.0)
    assert stage.ready == 1


def test_a_busy_pod_goes_when_its_drain_is_over() -> None:
    stage = fixed()
    stage.put(1)
    stage.agenda.run(100.0)
    stage.busy = True
    stage.put(0)
    stage.agenda.run(234.0)
    assert stage.ended == []
    stage.agenda.run(235.0)
    assert len(stage.ended) == 1


def test_pods_that_are_not_ready_go_first_then_those_of_the_lowest_cost() -> None:
    stage = fixed()
    stage.put(2)
    stage.agenda.run(100.0)
    first, second = stage.cluster.pods.values()
    second.deletion_cost = -1000
    stage.put(3)
    starting = list(stage.cluster.pods)[2]
    stage.put(2)
    assert starting not in stage.cluster.pods
    stage.put(1)
    assert second.terminating
    assert not first.terminating


def test_an_elastic_pool_makes_nodes_and_drops_them_when_they_are_empty() -> None:
    stage = Stage(make.pool("l4", kind="Elastic", nodes=2, gpus_per_node=1))
    stage.put(3)
    assert len(stage.cluster.node_views()) == 2
    stage.agenda.run(149.0)
    assert stage.ready == 0
    stage.agenda.run(150.0)
    assert stage.ready == 2
    stage.put(0)
    stage.agenda.run(1000.0)
    assert stage.cluster.node_views() == ()


def test_a_pool_has_its_own_start_up() -> None:
    settings = WorldSettings(startup_seconds=100.0, startup_spread=0.0, pool_startups={"h100": 600.0})
    agenda = Agenda()
    events = PodEvents(begin=lambda pod: 0, idle=lambda pod: True, end=lambda pod: None, changed=lambda: None)
    pools = [make.pool(name, nodes=1, gpus_per_node=8) for name in ("l4", "h100")]
    cluster = SimulatedCluster(pools, agenda, settings, events)
    for name in ("l4", "h100"):
        cluster.put(EngineWorkload(name, LLAMA, "v", name, 1, REPLICA, {"app": name}, 1, 15.0, 120.0))
    agenda.run(1000.0)
    assert {pod.workload.pool: pod.ready_at for pod in cluster.pods.values()} == {"l4": 100.0, "h100": 600.0}


def test_start_ups_spread_and_have_a_part_in_common() -> None:
    settings = WorldSettings(startup_seconds=100.0, startup_spread=0.5)
    agenda = Agenda()
    events = PodEvents(begin=lambda pod: 0, idle=lambda pod: True, end=lambda pod: None, changed=lambda: None)
    cluster = SimulatedCluster([make.pool("l4", nodes=50, gpus_per_node=8)], agenda, settings, events)
    labels = {"app": "d"}
    cluster.put(EngineWorkload("d", LLAMA, "v", "l4", 1, REPLICA, labels, 300, 15.0, 120.0))
    agenda.run(5000.0)
    taken = sorted(pod.ready_at or 0.0 for pod in cluster.pods.values())
    assert len(set(taken)) == 300
    # Within one minute only the pods' own half of the variance is seen.
    assert taken[250] / taken[50] < 2.718 ** (0.5 * 2 * 0.97)
