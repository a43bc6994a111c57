"""`medley power controller` on a real API server: meters that cross thresholds, bad input, a leader that vanishes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.controlplane import ControlPlane
from tests.contract.apiserver import Api
from tests.contract.conftest import CRDS
from tests.contract.operator_process import wait_for
from tests.contract.power_world import (
    DOMAINS,
    Meters,
    add_rack,
    cap,
    condition,
    domain_status,
    limits,
    meters,
    report,
    running_controller,
    uuid,
)

pytestmark = pytest.mark.contract

CAP_SECONDS = 3.0
FAILOVER_SECONDS = 10.0
UNCAPPED = {("1", None)}


@pytest.fixture(scope="module")
def racks(admin: Api) -> Api:
    admin.kubectl("apply", "--server-side", "-f", str(CRDS))
    admin.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    admin.kubectl("create", "namespace", "medley-system")
    return admin


@pytest.fixture
def prometheus() -> Iterator[Meters]:
    with meters() as server:
        yield server


def test_a_rack_is_capped_and_its_neighbour_is_not(
    racks: Api, plane: ControlPlane, tmp_path: Path, prometheus: Meters
) -> None:
    hot, cool = 'pdu_watts{rack="a"}', 'pdu_watts{rack="b"}'
    prometheus.watts = {hot: 8000.0, cool: 8000.0}
    nodes = {name: add_rack(racks, name, nodes=2, budget=12000) for name in ("a", "b")}
    with running_controller(plane.kubeconfig, tmp_path, prometheus.url) as controller:
        controller.wait_ready()
        every = [node for rack in nodes.values() for node in rack]
        wait_for("caps of all nodes", lambda: all(cap(racks, node) for node in every))
        for node in every:
            report(racks, node)
        wait_for("limits by UUID", lambda: len(cap(racks, "a-0")["spec"].get("gpus", [])) == 8)
        assert cap(racks, "a-0")["spec"]["gpus"][0]["uuid"] == uuid("a-0", 0)
        assert limits(racks, "a-0") == UNCAPPED
        crossed = time.monotonic()
        prometheus.watts[hot] = 11500.0
        wait_for("rack a is capped", lambda: limits(racks, "a-0") == limits(racks, "a-1") == {("0.787", None)})
        assert time.monotonic() - crossed < CAP_SECONDS
        assert limits(racks, "b-0") == UNCAPPED
        wait_for("the level is shown", lambda: domain_status(racks, "a").get("level", 0) >= 2)
        assert domain_status(racks, "b")["level"] == 0
        assert condition(domain_status(racks, "a"), "Accepted") == ("True", "Accepted")
    racks.request("DELETE", f"{DOMAINS}/a")
    racks.request("DELETE", f"{DOMAINS}/b")
