"""Two operators on a real API server: one acts, and the other takes over when it ends, vanishes or is stopped.

Who wrote what is read from the audit log, where the two have one account and names of their own.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane import ControlPlane
from e2e.controlplane.audit import unix_seconds
from medley_planner.exit_status import ExitStatus
from tests.contract.apiserver import Api
from tests.contract.objects import POOLS, RUNTIME_PROFILES, gpu_pool, llm_service, profile, services_of
from tests.contract.operator_process import OperatorProcess, running_operator, wait_for

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
NAMESPACE = "medley-system"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/medley-operator"
SERVICES = services_of("team")
READ_VERBS = ("get", "list", "watch")
GRACEFUL_SECONDS = 3.0
FAILOVER_SECONDS = 20.0
STOPPED_SECONDS = 20.0
SHORT = ("--lease-duration-seconds=4", "--lease-renew-deadline-seconds=3", "--lease-retry-seconds=0.5")
"""Where the time is not what is tested."""


@dataclass
class Replicas:
    """Two operators beside each other; `since` is the time before they started."""

    plane: ControlPlane
    admin: Api
    one: OperatorProcess
    two: OperatorProcess
    since: float

    def writes(self, name: str) -> list[dict[str, Any]]:
        """Everything that this replica changed, but for refused attempts at the Lease, which change nothing."""
        return [
            event
            for event in self.plane.audit_events(since=self.since)
            if f"({name})" in event.get("userAgent", "")
            and event["verb"] not in READ_VERBS
            and event["responseStatus"]["code"] < 300
        ]

    def acts(self, name: str) -> list[dict[str, Any]]:
        """What it changed beside the Lease."""
        return [event for event in self.writes(name) if event["objectRef"]["resource"] != "leases"]

    def lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.admin.request("GET", LEASE)[1].get("spec", {})
        return spec

    def holder(self) -> str:
        return str(self.lease().get("holderIdentity") or "").partition("_")[0]

    def lose(self) -> None:
        """Have the operators something to write: a status that is not as it should be."""
        change = {"status": {"desiredReplicas": 99}}
        options = ("--type=merge", "--subresource=status", "-p", json.dumps(change))
        self.admin.kubectl("patch", "llms", "chat", "-n", "team", *options)

    def repaired(self) -> bool:
        return bool(self.admin.request("GET", f"{SERVICES}/chat")[1]["status"].get("desiredReplicas") != 99)


@pytest.fixture(scope="module")
def admin(admin: Api) -> Api:
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    for name in (NAMESPACE, "team"):
        admin.kubectl("create", "namespace", name)
    for path, body in (
        (POOLS, gpu_pool("l4", "L4", "0.805")),
        (RUNTIME_PROFILES, profile()),
        (SERVICES, llm_service("4")),
    ):
        status, answer = admin.request("POST", path, body)
        assert status == 201, answer
    return admin


@pytest.fixture(scope="module")
def account(plane: ControlPlane, admin: Api) -> Path:
    """Kubeconfig of the chart's ServiceAccount with exactly the chart's RBAC."""
    shown = [word for name in ("rbac", "serviceaccount") for word in ("--show-only", f"templates/{name}.yaml")]
    chart = (str(ROOT / "helm" / "medley"), "--set", "image.repository=example/medley")
    manifests = admin.helm("template", "medley", *chart, "--namespace", NAMESPACE, *shown)
    admin.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=manifests)
    return plane.service_account_kubeconfig(NAMESPACE, "medley")


@pytest.fixture
def replicas(
    request: pytest.FixtureRequest, plane: ControlPlane, admin: Api, account: Path, tmp_path: Path
) -> Iterator[Replicas]:
    """The first leads, the second follows. Parametrized with the times of the Lease."""
    arguments = ("--leader-election=on", f"--namespace={NAMESPACE}", "--resync-seconds=2", *request.param)
    since = time.time()
    admin.request("DELETE", LEASE)
    with ExitStack() as stack:
        one = stack.enter_context(running_operator(account, tmp_path, *arguments, pod="one"))
        one.wait_ready()
        two = stack.enter_context(running_operator(account, tmp_path, *arguments, pod="two"))
        two.wait_ready()
        both = Replicas(plane, admin, one, two, since)
        wait_for("the first round has written", both.repaired)
        yield both


def led_by_two(replicas: Replicas, *, since: float, within_seconds: float) -> float:
    """Seconds from then until the second replica took the Lease, by the API server's own clock."""
    wait_for("the second one leads", lambda: replicas.holder() == "two", timeout_seconds=within_seconds + 5.0)
    return unix_seconds(replicas.lease()["acquireTime"]) - since


def takes_over(replicas: Replicas) -> None:
    """The second replica does the work now."""
    replicas.lose()
    wait_for(f"the new leader acts; log:\n{replicas.two.log.read_text()}", replicas.repaired)
    wait_for("the audit log has its write", lambda: bool(replicas.acts("two")))


def no_write_of_two_at_once(replicas: Replicas) -> None:
    """Not one write of the first replica comes after the second one took the Lease, and none of the second before."""
    taken = min(
        unix_seconds(event["stageTimestamp"])
        for event in replicas.writes("two")
        if event["objectRef"]["resource"] == "leases"
    )
    late = [event["requestURI"] for event in replicas.writes("one") if ended(event) > taken]
    early = [event["requestURI"] for event in replicas.acts("two") if ended(event) < taken]
    assert (late, early) == ([], [])


def ended(event: dict[str, Any]) -> float:
    return unix_seconds(event["stageTimestamp"])


@pytest.mark.parametrize("replicas", [()], indirect=True)
def test_one_of_two_operators_acts_and_hands_over_within_3_s_of_sigterm(replicas: Replicas) -> None:
    """Two operators wrote everything twice."""
    assert replicas.two.get("/readyz") == (200, f"follower: {replicas.lease()['holderIdentity']} leads\n")
    assert replicas.two.get("/healthz")[0] == 200
    assert "medley_leader 0.0" in replicas.two.get("/metrics")[1]
    assert "medley_leader 1.0" in replicas.one.get("/metrics")[1]
    replicas.lose()
    wait_for("the leader repairs it", replicas.repaired)
    assert replicas.writes("two") == []
    wait_for("the audit log has its write", lambda: bool(replicas.acts("one")))

    asked = time.time()
    assert replicas.one.stop()[0] == ExitStatus.OK
    assert led_by_two(replicas, since=asked, within_seconds=GRACEFUL_SECONDS) <= GRACEFUL_SECONDS
    assert replicas.lease()["leaseTransitions"] == 1
    takes_over(replicas)
    no_write_of_two_at_once(replicas)
    wait_for("ready as leader", lambda: replicas.two.get("/readyz") == (200, "ok\n"))


@pytest.mark.parametrize("replicas", [()], indirect=True)
def test_a_leader_that_is_killed_is_replaced_within_20_s(replicas: Replicas) -> None:
    replicas.one.process.kill()
    killed = time.time()
    assert led_by_two(replicas, since=killed, within_seconds=FAILOVER_SECONDS) <= FAILOVER_SECONDS
    takes_over(replicas)


@pytest.mark.parametrize("replicas", [()], indirect=True)
def test_a_leader_that_is_stopped_for_20_s_writes_nothing_when_it_goes_on_and_ends(replicas: Replicas) -> None:
    replicas.one.process.send_signal(signal.SIGSTOP)
    stopped = time.time()
    assert led_by_two(replicas, since=stopped, within_seconds=FAILOVER_SECONDS) <= FAILOVER_SECONDS
    takes_over(replicas)
    time.sleep(max(0.0, stopped + STOPPED_SECONDS - time.time()))
    # It wakes up to a state that it would change, were it the leader still.
    replicas.lose()
    replicas.one.process.send_signal(signal.SIGCONT)
    assert replicas.one.process.wait(timeout=15) == ExitStatus.LEASE_LOST
    assert "leadership lost" in [line["message"] for line in replicas.one.lines()]
    wait_for("the new leader repairs it", replicas.repaired)
    no_write_of_two_at_once(replicas)


@pytest.mark.parametrize("replicas", [SHORT], indirect=True)
def test_a_leader_whose_lease_is_taken_away_ends_and_may_come_back_as_a_follower(
    replicas: Replicas, account: Path, tmp_path: Path
) -> None:
    change = {"spec": {"holderIdentity": "somebody", "renewTime": "2000-01-01T00:00:00.000000Z"}}
    replicas.admin.kubectl(
        "patch", "lease", "medley-operator", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(change)
    )
    assert replicas.one.process.wait(timeout=10) == ExitStatus.LEASE_LOST
    wait_for("the second one leads", lambda: replicas.holder() == "two")
    arguments = ("--leader-election=on", f"--namespace={NAMESPACE}", *SHORT)
    with running_operator(account, tmp_path, *arguments, pod="one") as again:
        again.wait_ready()
        assert again.get("/readyz")[1].startswith("follower: two_")


@pytest.mark.parametrize("replicas", [SHORT], indirect=True)
def test_a_lease_that_somebody_deletes_costs_no_leader(replicas: Replicas) -> None:
    replicas.admin.request("DELETE", LEASE)
    wait_for("it is there again", lambda: replicas.holder() == "one")
    time.sleep(5.0)
    assert replicas.holder() == "one"
    assert replicas.one.process.poll() is None
    assert replicas.acts("two") == []
