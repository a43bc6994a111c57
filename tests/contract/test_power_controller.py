"""`medley power controller` on a real API server: meters that cross thresholds, bad input, a leader that vanishes.

How fast all this is depends on the machine: `make bench-power-boards` and `make e2e-power` hold it to the goals.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.controlplane import ControlPlane
from tests.contract.apiserver import Api
from tests.contract.conftest import CRDS
from tests.contract.operator_process import denied, wait_for
from tests.contract.power_world import (
    Meters,
    add_domain,
    add_event,
    add_rack,
    cap,
    condition,
    domain_status,
    event_status,
    later,
    limits,
    meters,
    query,
    report,
    running_controller,
    uuid,
)

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
UNCAPPED = {("1", None)}
START_SECONDS = 90.0
ELECTION = ("--leader-election=on",)


@pytest.fixture(scope="module")
def racks(admin: Api) -> Api:
    admin.kubectl("apply", "--server-side", "-f", str(CRDS))
    admin.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    admin.kubectl("create", "namespace", "medley-system")
    return admin


@pytest.fixture(scope="module")
def account(racks: Api, plane: ControlPlane) -> Path:
    """The kubeconfig of the chart's ServiceAccount of power, with the chart's rights."""
    chart = ("template", "medley", str(ROOT / "helm" / "medley"), "-n", "medley-system")
    values = "image.repository=example/medley,power.enabled=true,prometheus.url=http://prometheus:9090"
    manifests = racks.helm(*chart, "--show-only", "templates/power.yaml", "--set", values)
    racks.kubectl("apply", "-f", "-", stdin=manifests)
    return plane.service_account_kubeconfig("medley-system", "medley-power")


@pytest.fixture
def prometheus() -> Iterator[Meters]:
    with meters() as server:
        yield server


def test_a_rack_is_capped_and_its_neighbour_is_not(
    racks: Api, account: Path, tmp_path: Path, prometheus: Meters
) -> None:
    hot, cool = query("a"), query("b")
    prometheus.watts = {hot: 8000.0, cool: 8000.0}
    nodes = {name: add_rack(racks, name, nodes=2, budget=12000) for name in ("a", "b")}
    with running_controller(account, tmp_path, prometheus.url) as controller:
        wait_for("the controller is ready", lambda: controller.get("/readyz")[0] == 200, timeout_seconds=START_SECONDS)
        every = [node for rack in nodes.values() for node in rack]
        wait_for("caps of all nodes", lambda: all(cap(racks, node) for node in every))
        for node in every:
            report(racks, node)
        wait_for("limits by UUID", lambda: len(cap(racks, "a-0")["spec"].get("gpus", [])) == 8)
        assert cap(racks, "a-0")["spec"]["gpus"][0]["uuid"] == uuid("a-0", 0)
        assert limits(racks, "a-0") == UNCAPPED
        prometheus.watts[hot] = 11500.0
        wait_for("rack a is capped", lambda: limits(racks, "a-0") == limits(racks, "a-1") == {("0.787", None)})
        assert limits(racks, "b-0") == UNCAPPED
        wait_for("the level is shown", lambda: domain_status(racks, "a").get("level", 0) >= 2)
        assert domain_status(racks, "b")["level"] == 0
        assert condition(domain_status(racks, "a"), "Accepted") == ("True", "Accepted")


def test_bad_input_is_told_and_stops_no_other(racks: Api, account: Path, tmp_path: Path, prometheus: Meters) -> None:
    prometheus.watts = {query("good"): 11500.0, query("cold"): 11500.0, query("twin"): [5000.0, 5000.0]}
    add_rack(racks, "good", nodes=2, budget=12000)
    add_rack(racks, "cold", nodes=2, budget=2000)
    add_rack(racks, "twin", nodes=2, budget=12000)
    add_domain(racks, "left", budget=90000, query=query("left"), parent="right")
    add_domain(racks, "right", budget=90000, query=query("right"), parent="left")
    late = {"domain": "good", "targetWatts": 9000, "start": later(-100), "end": later(-10)}
    add_event(racks, "late", **late)
    with running_controller(account, tmp_path, prometheus.url) as controller:
        wait_for("the controller is ready", lambda: controller.get("/readyz")[0] == 200, timeout_seconds=START_SECONDS)
        wait_for("the good rack is capped", lambda: limits(racks, "good-0") == {("0.787", None)})
        reasons = {"good": "Accepted", "cold": "BudgetBelowIdle", "left": "DomainCycle", "right": "DomainCycle"}
        for name, reason in reasons.items():
            wait_for(name, partial(is_accepted, racks, name, reason))
        wait_for(
            "twin", lambda: condition(domain_status(racks, "twin"), "MeterReadable") == ("False", "MeterAmbiguous")
        )
        wait_for("late", lambda: event_status(racks, "late").get("phase") == "Refused")
        assert condition(event_status(racks, "late"), "Accepted") == ("False", "EventInThePast")
        wait_for("twin is blind", lambda: domain_status(racks, "twin").get("reason") == "Blind")
        assert all(watts is not None for _, watts in limits(racks, "twin-0"))
        assert cap(racks, "cold-0") == {}
        assert 'medley_power_level{domain="good"} 3.0' in controller.get("/metrics")[1]


def test_a_standby_acts_when_the_leader_is_killed(
    racks: Api, account: Path, tmp_path: Path, prometheus: Meters
) -> None:
    prometheus.watts = {query("f"): 8000.0}
    with (
        running_controller(account, tmp_path, prometheus.url, *ELECTION, pod="power-0") as one,
        running_controller(account, tmp_path, prometheus.url, *ELECTION, pod="power-1") as two,
    ):
        wait_for("one is ready", lambda: one.get("/readyz")[0] == 200, timeout_seconds=START_SECONDS)
        wait_for("two is ready", lambda: two.get("/readyz")[0] == 200, timeout_seconds=START_SECONDS)
        add_rack(racks, "f", nodes=2, budget=12000)
        wait_for("caps", lambda: cap(racks, "f-0") != {})
        holder = cap(racks, "f-0")["spec"]["lease"]["holder"]
        prometheus.watts[query("f")] = 10500.0
        wait_for("level 1", lambda: limits(racks, "f-0") == {("0.904", None)})
        leader = one if holder == "power-0" else two
        leader.process.kill()
        prometheus.watts[query("f")] = 11500.0
        deeper = {("0.787", None)}
        wait_for("the standby caps deeper", lambda: limits(racks, "f-0") == deeper, timeout_seconds=START_SECONDS)
        assert cap(racks, "f-0")["spec"]["lease"]["holder"] != holder


def test_the_rights_of_the_chart_are_enough(plane: ControlPlane) -> None:
    """Of all that the tests before this one did."""
    ours = [event for event in plane.audit_events() if "medley-operator (power-" in event.get("userAgent", "")]
    assert {event["verb"] for event in ours} >= {"list", "watch", "patch", "create"}
    assert denied(ours) == []


def is_accepted(api: Api, name: str, reason: str) -> bool:
    return condition(domain_status(api, name), "Accepted")[1] == reason
