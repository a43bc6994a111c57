"""Pools say which queue, NodePool or missing DeviceClass bounds their stock, and the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.values.supply import Supply
from tests.unit.operator.domain.cluster.test_devices import snapshot as with_devices
from tests.unit.operator.domain.cluster.test_growth import made, maker, queue, queues, with_replicas
from tests.unit.operator.domain.report.test_platform_status import conditions, status
from tests.unit.operator.placing import GPU


def test_a_quota_is_in_the_status_and_in_a_condition() -> None:
    snapshot = with_replicas(queues(queue(3)))
    assert status(snapshot)["stockLimits"] == [{"kind": "ClusterQueue", "name": "gpus", "gpus": 3}]
    found = conditions(snapshot)["StockLimited"]
    assert found[:2] == ("True", "QueueQuota")
    assert 'ClusterQueue "gpus" leaves replicas of this pool 3 GPUs together' in found[2]
    assert "StockLimited" not in conditions(with_replicas(Supply()))


@pytest.mark.parametrize(
    ("supply", "reason", "words"),
    [
        (queues(), "QueueNotFound", "create it, or correct spec.queue.clusterQueue"),
        (queues(queue(8, stopped=True)), "QueueStopped", "set stopPolicy to None"),
    ],
    ids=["missing", "stopped"],
)
def test_a_queue_that_admits_nothing_is_named_with_its_way_out(supply: Supply, reason: str, words: str) -> None:
    found = conditions(with_replicas(supply))["StockLimited"]
    assert found[:2] == ("True", reason)
    assert words in found[2]


def test_the_narrowest_limit_gives_the_reason() -> None:
    snapshot = made(maker({GPU: "8"}), queue={"name": "gpus"})
    narrow = replace(snapshot, supply=replace(snapshot.supply, queues={"gpus": queue(10)}))
    wide = replace(snapshot, supply=replace(snapshot.supply, queues={"gpus": queue(100)}))
    assert conditions(narrow)["StockLimited"][1] == "QueueQuota"
    assert conditions(wide)["StockLimited"][1] == "NodePoolLimits"
    assert "NodePool gpu-nodes leave replicas of this pool 16 GPUs" in conditions(wide)["StockLimited"][2]


def test_devices_that_pods_cannot_ask_for_are_told() -> None:
    found = conditions(with_devices(classes=()))["DevicesOffered"]
    assert found[:2] == ("False", "NoDeviceClass")
    assert "offer 8 GPUs" in found[2]
    assert "spec.extendedResourceName nvidia.com/gpu" in found[2]
    assert "DevicesOffered" not in conditions(with_devices())
