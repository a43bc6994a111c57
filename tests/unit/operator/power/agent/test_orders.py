"""From NodePowerCaps to orders: modes, leases on two clocks, and what an agent before this one left."""

from __future__ import annotations

import math

import pytest

from medley_operator.domain.values.leadtime import utc_text
from medley_operator.power.agent.machine import NEW_GPU, GpuOrder
from medley_operator.power.agent.orders import LEASE_MARGIN_SECONDS, NO_ORDERS, orders_of, remembered
from medley_planner.power import GpuSetting
from tests.unit.operator.power.agent.caps import LIMIT, SAFE, UNIX, at, node_power_cap

SETTING, DEEP = GpuSetting(0.787, 300.0), GpuSetting(0.5, 200.0)


def test_a_gpu_that_is_not_listed_gets_what_all_others_do() -> None:
    listed = {"uuid": "GPU-1", "limit": {"capWatts": 350}, "safe": SAFE}
    orders = orders_of(node_power_cap(gpus=[listed]), at(0.0))
    assert orders.of("GPU-1") == GpuOrder(GpuSetting(1.0, 350.0), DEEP)
    assert orders.of("GPU-2") == GpuOrder(SETTING, DEEP)


def test_a_shadow_orders_nothing_and_a_release_orders_every_gpu() -> None:
    listed = {"uuid": "GPU-1", "limit": LIMIT, "safe": SAFE}
    shadow = orders_of(node_power_cap(mode="Shadow", gpus=[listed]), at(0.0))
    assert (shadow.of("GPU-1"), shadow.of("GPU-2")) == (None, None)
    release = orders_of(node_power_cap(mode="Release", gpus=[listed]), at(0.0))
    found = [release.of(uuid) for uuid in ("GPU-1", "GPU-2")]
    assert [order is not None and order.release for order in found] == [True, True]


@pytest.mark.parametrize(
    ("renewed", "seen", "left"),
    [
        (0.0, 0.0, 30.0),
        (0.0, 20.0, 10.0),
        (0.0, 50.0, -20.0),
        (40.0, 0.0, 30.0),
    ],
    ids=["at once", "late", "too late", "a clock ahead lengthens no lease"],
)
def test_a_lease_counts_from_its_renewal_and_never_for_longer_than_its_duration(
    renewed: float, seen: float, left: float
) -> None:
    orders = orders_of(node_power_cap(renewed=renewed), at(seen))
    assert orders.lease_ends_seconds == at(seen).monotonic_seconds + left - LEASE_MARGIN_SECONDS


def test_without_orders_nothing_is_asked() -> None:
    assert NO_ORDERS.of("GPU-1") is None
    assert NO_ORDERS.lease_ends_seconds == -math.inf


@pytest.mark.parametrize(("ago", "changed"), [(2.0, -1.0), (0.0, 0.0), (5.0, -4.0), (60.0, -math.inf)])
def test_the_last_change_of_the_agent_before_counts(ago: float, changed: float) -> None:
    gpu = {"uuid": "GPU-1", "state": "Ok", "appliedAt": utc_text(UNIX - ago)}
    memory = remembered(node_power_cap(status={"gpus": [gpu]}), at(0.0))["GPU-1"]
    assert memory.changed_seconds == 100.0 + changed


def test_a_gpu_that_was_never_changed_is_new() -> None:
    gpu = {"uuid": "GPU-1", "state": "Ok"}
    assert remembered(node_power_cap(status={"gpus": [gpu]}), at(0.0)) == {"GPU-1": NEW_GPU}


def test_what_was_released_is_not_released_again() -> None:
    gpu = {"uuid": "GPU-1", "state": "Ok"}
    done = node_power_cap(mode="Release", revision=3, status={"observedRevision": 3, "gpus": [gpu]})
    assert remembered(done, at(0.0))["GPU-1"].released
    before = node_power_cap(mode="Release", revision=3, status={"observedRevision": 2, "gpus": [gpu]})
    assert not remembered(before, at(0.0))["GPU-1"].released
