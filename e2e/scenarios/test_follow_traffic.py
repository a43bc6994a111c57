"""The main job on live input: apply, plan, place, weigh; follow the traffic; judged from the outside.

The tests of this file are one story and run in order: each goes on from where the one before left the service.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.dashboard import board_queries, dashboards, filled_in
from e2e.harness import DRAIN_SECONDS, EXAMPLES, FOLLOW_SECONDS, OPERATOR_NAMESPACE, Harness, Load
from e2e.recording import Recording, recorded
from e2e.twin import changed_otherwise, story
from medley_operator.cli.main import main
from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.panels import ProvedBy

pytestmark = pytest.mark.e2e

NAMESPACE, NAME = "demo", "llama"
TTFT_SECONDS, TPOT_SECONDS, PERCENTILE = 2.0, 0.06, 95
JUDGED_SECONDS = 12
FINISH_SECONDS = 6
ATTEMPTS = 5
CALM_SECONDS = 5
# What the plan is made for may lie this far off the load that is sent: the operator's band and the noise of a window.
CLOSE = 0.15
NEAR = 0.06
# Two windows of the example's 30 s, after which a lasting difference is believed, and some rounds.
UNMOVED_SECONDS = 68
LOADS_SENT = 4
FIRST_LOAD = Load(rate_rps=24, prompt_tokens=500, generation_tokens=150)
STEADY_SECONDS = 60
WRITING_VERBS = {"create", "update", "patch", "delete", "deletecollection"}


@pytest.fixture(scope="module", autouse=True)
def recording(harness: Harness) -> Iterator[Recording]:
    """What the service was planned and given while the story is told."""
    with recorded(harness, NAMESPACE, NAME) as found:
        yield found
        if not _recording_file(harness).exists():  # the story ended early
            _told_so_far(harness, found)


def _recording_file(harness: Harness) -> Path:
    return harness.plane.logs_dir / "recording.json"


def _told_so_far(harness: Harness, recording: Recording) -> Recording:
    """With the requests that were sent; also written among the logs."""
    sent = harness.fetch(f"{harness.fleet_url}/requests/{NAMESPACE}/{NAME}")
    requests = [tuple(request) for request in sent]
    so_far = Recording(sights=list(recording.sights), requests=requests, stages=list(harness.load_changes))
    so_far.write(_recording_file(harness))
    return so_far


def _service(harness: Harness) -> dict[str, Any]:
    return harness.get("llmservices.medley.dev", NAMESPACE, NAME)


def _conditions(harness: Harness) -> dict[str, tuple[str, str]]:
    conditions = _service(harness).get("status", {}).get("conditions", [])
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in conditions}


def _mix(harness: Harness) -> dict[str, tuple[int, int]]:
    """(ready, desired) replicas by variant, of those with any."""
    variants = _service(harness)["status"].get("variants", [])
    return {v["name"]: (v["ready"], v["desired"]) for v in variants if v["ready"] or v["desired"]}


def _planned_load_is(harness: Harness, load: Load, *, within: float) -> bool:
    """Whether each figure that the plan is made for is this near to what is sent, relative."""
    seen = _service(harness)["status"].get("load", {})
    if seen.get("source") != "Prometheus":
        return False
    pairs = (
        (float(seen["requestsPerSecond"]), load.rate_rps),
        (seen["promptTokens"], load.prompt_tokens),
        (seen["generationTokens"], load.generation_tokens),
    )
    return all(abs(is_ - should) <= within * should for is_, should in pairs)


def _settled(harness: Harness, load: Load) -> bool:
    """Whether the plan is for (about) this load and everything it asks for is Ready."""
    return (
        _planned_load_is(harness, load, within=CLOSE)
        and _conditions(harness).get("WorkloadsReady") == ("True", "AllReady")
        and all(ready == desired for ready, desired in _mix(harness).values())
    )


def _follow(harness: Harness, load: Load) -> dict[str, Any]:
    """Sends `load`, waits until it is planned for and Ready, and returns the status."""
    harness.set_load(NAMESPACE, NAME, load)
    harness.wait_for(f"the plan follows {load}", lambda: _settled(harness, load), timeout_seconds=FOLLOW_SECONDS)
    harness.wait_for_uncrowded_engines(NAMESPACE, NAME, timeout_seconds=DRAIN_SECONDS)
    status: dict[str, Any] = _service(harness)["status"]
    print(f"{load}: {status['mix']} at ${status['costPerHour']}/h")
    return status


def _judge(harness: Harness, *, seconds: float = JUDGED_SECONDS) -> dict[str, Any]:
    """The results of the requests of the next seconds; asserts the target percentile."""
    # Requests that waited for the capacity that has just come are not the plan's.
    harness.wait_for_empty_queues(NAMESPACE, NAME, timeout_seconds=DRAIN_SECONDS)
    report = harness.judge(
        NAMESPACE, NAME, seconds=seconds, finish_seconds=FINISH_SECONDS, ttft_s=TTFT_SECONDS, tpot_s=TPOT_SECONDS
    )
    print(json.dumps(report))
    assert report["requests"] > 50
    assert report["failed"] == 0
    assert report["met_share"] >= PERCENTILE / 100
    return report


def test_the_static_workload_is_planned_before_there_is_traffic(harness: Harness) -> None:
    harness.wait_for("Ready", lambda: _conditions(harness).get("Ready") == ("True", "Serving"), timeout_seconds=60)
    harness.wait_for(
        "WorkloadsReady", lambda: _conditions(harness).get("WorkloadsReady") == ("True", "AllReady"), timeout_seconds=30
    )
    status = _service(harness)["status"]
    assert status["load"]["source"] == "Static"
    assert _conditions(harness)["PlanReady"] == ("True", "Optimal")
    shown = harness.plane.kubectl("get", "llms,gpool", "-n", NAMESPACE)
    assert status["mix"] in shown


def test_pods_are_on_nodes_of_their_gpu(harness: Harness) -> None:
    pods = harness.list_objects("pods", NAMESPACE, f"medley.dev/service={NAME}")
    assert pods
    for pod in pods:
        node = harness.get("nodes", "", pod["spec"]["nodeName"])
        pool = harness.get("gpupools.medley.dev", "", pod["metadata"]["labels"]["medley.dev/pool"])
        assert node["metadata"]["labels"]["medley.dev/gpu"] == pool["spec"]["gpu"]


def test_it_follows_live_traffic(harness: Harness) -> None:
    _follow(harness, FIRST_LOAD)
    assert _conditions(harness)["MetricsAvailable"] == ("True", "MetricsFound")
    assert _service(harness)["status"]["load"]["sizeSource"] in ("Independent", "Tilted")


def _wait_until_calm(harness: Harness, load: Load) -> None:
    """The first plan rests on the first seconds of traffic, and is made anew if it turns out to be off.

    Returns once it is so near to the truth that noise will not move it, or was not moved for as long as that takes.
    """
    deadline = time.monotonic() + UNMOVED_SECONDS
    plan_id = _service(harness)["status"]["plan"]["id"]
    while not _planned_load_is(harness, load, within=NEAR) and time.monotonic() < deadline:
        time.sleep(1)
        now = _service(harness)["status"]["plan"]["id"]
        if now != plan_id:
            plan_id, deadline = now, time.monotonic() + UNMOVED_SECONDS
    # The weights follow what became Ready in the same round.
    time.sleep(CALM_SECONDS)


def test_a_steady_state_keeps_the_target_and_writes_nothing(harness: Harness) -> None:
    _wait_until_calm(harness, FIRST_LOAD)
    # Traffic is random, so once in a while a minute has a new plan, and is not in a steady state.
    for _ in range(ATTEMPTS):
        since, before = time.time(), _service(harness)["status"]
        _judge(harness, seconds=STEADY_SECONDS)
        requests, after = harness.operator_requests(since=since), _service(harness)["status"]
        changes = [event for event in requests if event["verb"] in WRITING_VERBS]
        # The Lease is renewed all the time, and a status shows each margin that was learned.
        passed_over = {"leases", "llmservices"} if after["margin"] != before["margin"] else {"leases"}
        writes = [event for event in changes if event["objectRef"].get("resource") not in passed_over]
        if not writes:
            break
        print(f"written in a steady state: {before}\nafter it: {after}")
    assert len(changes) > len(writes), "the operator does not even renew its Lease"
    assert [(w["verb"], w["objectRef"].get("resource"), w["objectRef"].get("name")) for w in writes] == []


def test_more_traffic_brings_more_capacity_before_any_goes(harness: Harness) -> None:
    before = _service(harness)["status"]
    load = Load(rate_rps=72, prompt_tokens=500, generation_tokens=150)
    harness.set_load(NAMESPACE, NAME, load)
    least_ready = before["readyReplicas"]
    deadline = time.monotonic() + FOLLOW_SECONDS
    while not _settled(harness, load):
        assert time.monotonic() < deadline, "the plan does not follow"
        least_ready = min(least_ready, _service(harness)["status"]["readyReplicas"])
        time.sleep(0.5)
    after = _service(harness)["status"]
    print(f"{load}: {after['mix']} at ${after['costPerHour']}/h, was {before['mix']} at ${before['costPerHour']}/h")
    assert float(after["costPerHour"]) > float(before["costPerHour"])
    assert least_ready >= 1
    harness.wait_for_uncrowded_engines(NAMESPACE, NAME, timeout_seconds=DRAIN_SECONDS)
    _judge(harness)


def test_longer_prompts_change_the_plan_and_traffic_follows_the_weights(harness: Harness) -> None:
    before = _service(harness)["status"]
    after = _follow(harness, Load(rate_rps=24, prompt_tokens=2500, generation_tokens=150))
    assert after["plan"]["id"] != before["plan"]["id"]
    _judge_by_weights(harness)


def _judge_by_weights(harness: Harness) -> None:
    """Traffic splits by the weights of the route, as long as nothing changes them meanwhile."""
    for _ in range(ATTEMPTS):
        weights = _weights(harness)
        report = _judge(harness)
        if _weights(harness) == weights:
            break
    else:
        pytest.fail(f"the weights of the route changed in each of {ATTEMPTS} judged times")
    for variant, share in weights.items():
        seen = report["variants"].get(variant, {"share": 0.0})["share"]
        assert abs(seen - share) <= 4 * math.sqrt(0.25 / report["requests"]) + 1e-9, (variant, share, seen)


def _weights(harness: Harness) -> dict[str, float]:
    """Share of each variant by the route's weights."""
    route = harness.get("httproutes.gateway.networking.k8s.io", NAMESPACE, NAME)
    backends = route["spec"]["rules"][0]["backendRefs"]
    total = sum(backend["weight"] for backend in backends)
    # A variant's Service is named <service>-<variant>-<hash of the layout>.
    return {
        backend["name"].removeprefix(f"{NAME}-").rpartition("-")[0]: backend["weight"] / total for backend in backends
    }


def test_less_traffic_costs_less(harness: Harness) -> None:
    before = _service(harness)["status"]
    after = _follow(harness, Load(rate_rps=18, prompt_tokens=500, generation_tokens=150))
    assert float(after["costPerHour"]) < float(before["costPerHour"])
    _judge(harness)


def test_a_replay_of_the_same_traffic_tells_the_same_story(harness: Harness, recording: Recording) -> None:
    so_far = _told_so_far(harness, recording)
    told = story(so_far.sights, so_far.stages, end=so_far.sights[-1].at_seconds)
    assert len(told) == LOADS_SENT
    assert all(stage.changes for stage in told)
    assert changed_otherwise(so_far) == []


def test_every_panel_of_the_dashboards_shows_something(harness: Harness) -> None:
    config_maps = harness.list_objects("configmaps", OPERATOR_NAMESPACE, "grafana_dashboard=1")
    boards = [board for config_map in config_maps for board in dashboards(config_map)]
    queries = [query for board in boards for query in board_queries(board)]
    # Those that only trouble, a power domain or GPUs fill: tests/contract/test_dashboard_queries.py.
    elsewhere = {query.expr for board in BOARDS for query in board.queries if query.proof is ProvedBy.SERIES}
    here = {(title, filled_in(expression)) for title, expression in queries if expression not in elsewhere}
    assert len(here) > 40
    empty = [f"{title}: {expression}" for title, expression in sorted(here) if not harness.query(expression)]
    assert empty == []


def test_what_the_rules_record_is_right(harness: Harness) -> None:
    (rate,) = harness.query(f'medley:requests:rate5m{{namespace="{NAMESPACE}",service="{NAME}"}}')
    (counted,) = harness.query(
        f'sum(rate(vllm:request_success_total{{namespace="{NAMESPACE}",medley_dev_service="{NAME}"}}[5m]))'
    )
    assert float(rate["value"][1]) == pytest.approx(float(counted["value"][1]), rel=0.1)


def test_the_doctor_finds_nothing_wrong(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(harness.plane.kubeconfig))
    status = main(["doctor", "--prometheus", harness.prometheus_url, "-o", "json"])
    findings = json.loads(capsys.readouterr().out)
    assert [each for each in findings if each["health"] != "ok"] == []
    assert status == 0
    assert {each["about"] for each in findings} >= {"CRDs", "operator", "GPU pools", "Prometheus", "services"}


def test_events_tell_each_change(harness: Harness) -> None:
    reasons = {event["reason"] for event in harness.list_objects("events", NAMESPACE)}
    assert {"PlanChanged", "ScaledUp"} <= reasons


def test_a_plan_starts_soon_after_an_event(harness: Harness) -> None:
    p99 = harness.query("histogram_quantile(0.99, sum by (le) (medley_event_to_plan_start_seconds_bucket))")
    seconds = float(p99[0]["value"][1])
    print(f"event to plan start p99: {seconds:.2f} s")
    assert seconds <= 1.5


def test_a_lost_prometheus_holds_the_plan(harness: Harness) -> None:
    mix = _mix(harness)
    harness.plane.child("prometheus").stop(grace_seconds=5)
    harness.wait_for(
        "PlanReady is Held",
        lambda: _conditions(harness).get("PlanReady") == ("True", "Held"),
        timeout_seconds=60,
    )
    assert _conditions(harness)["MetricsAvailable"] == ("False", "PrometheusUnavailable")
    harness.wait_for(
        "an Event PlanHeld",
        lambda: any(event["reason"] == "PlanHeld" for event in harness.list_objects("events", NAMESPACE)),
        timeout_seconds=10,
    )
    assert _mix(harness) == mix
    harness.start_prometheus()
    harness.wait_for(
        "metrics are found again",
        lambda: _conditions(harness).get("MetricsAvailable") == ("True", "MetricsFound"),
        timeout_seconds=90,
    )


def test_a_deleted_service_takes_its_children_along(harness: Harness) -> None:
    harness.plane.kubectl("delete", "-f", str(EXAMPLES / "quickstart" / "service.yaml"))
    selector = f"medley.dev/service={NAME}"
    for resource in ("deployments.apps", "services", "httproutes.gateway.networking.k8s.io"):
        harness.wait_for(
            f"{resource} are gone",
            lambda resource=resource: not harness.list_objects(resource, NAMESPACE, selector),  # type: ignore[misc]
            timeout_seconds=60,
        )


def test_no_request_of_the_operator_was_denied(harness: Harness) -> None:
    requests = harness.operator_requests(since=0)
    assert len(requests) > 100
    denied = [
        (event["verb"], event["requestURI"], event["responseStatus"]["code"])
        for event in requests
        if event["responseStatus"]["code"] in (401, 403)
    ]
    assert denied == []


def test_the_operator_never_stumbled(harness: Harness) -> None:
    assert harness.plane.child("operator").alive()
    log = harness.plane.child("operator").log.read_text()
    assert "Traceback" not in log
