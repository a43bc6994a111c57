"""The fleet over time: pods that come and go, load that changes, figures of metrics and of the report that agree."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.fleet.arguments import UnknownEngine
from e2e.fleet.cluster import ClusterState, EnginePod, Key
from e2e.fleet.engine import ServedEngine
from e2e.fleet.judge import Targets
from e2e.fleet.load import Workload
from e2e.fleet.simulation import Fleet
from tests.unit.e2e.fleet_cases import SERVICE, START, cluster, pod, spec_of

LOAD = Workload(rate_rps=10, prompt_tokens_mean=500, generation_tokens_mean=50)


def fleet(state: ClusterState | None = None) -> Fleet:
    made = Fleet(spec_of=spec_of, seed=1, start=START)
    if state is not None:
        made.apply(state, now=START)
    return made


def sample(made: Fleet, name: str, metric: str) -> float:
    text = made.metrics_text(Key("demo", name))
    assert text is not None
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples if s.name == metric]
    return sum(s.value for s in samples)


def seen(made: Fleet, since: float = 0, until: float = 1e9) -> list[tuple[str, str]]:
    return [(r.pod, r.failure or "") for r in made.requests(SERVICE, since=START + since, until=START + until)]


def test_metrics_of_the_pods_and_the_report_count_the_same_requests() -> None:
    made = fleet(cluster(pod("a"), pod("b", variant="h100"), weights={"l4": 1, "h100": 3}))
    made.set_load(SERVICE, LOAD, now=START)
    for tick in range(2000):
        made.advance(START + 0.05 * tick)
    found = made.report(SERVICE, since=START, until=START + 1e9, targets=Targets(1.0, 0.05))
    for name, variant in (("a", "l4"), ("b", "h100")):
        entry = found["variants"][variant]
        assert sample(made, name, "vllm:request_success_total") == entry["finished"]
        in_engine = sample(made, name, "vllm:num_requests_running") + sample(made, name, "vllm:num_requests_waiting")
        assert in_engine == entry["in_flight"] == entry["requests"] - entry["finished"]
    assert found["requests"] == pytest.approx(1000, rel=0.1)
    assert found["variants"]["h100"]["share"] == pytest.approx(0.75, abs=0.05)
    assert found["met_share"] > 0.95
    assert found["path"] == "HTTPRoute"
    assert 0 < found["pods"]["a"]["busy_share"] < found["pods"]["b"]["busy_share"] < 1


def test_load_changes_when_it_is_told_to() -> None:
    made = fleet(cluster(pod("a")))
    made.set_load(SERVICE, LOAD, now=START)
    made.set_load(SERVICE, Workload(40, 100, 20, prompt_cv=0), now=START + 100)
    made.advance(START + 200)
    assert len(seen(made, 0, 100)) == pytest.approx(1000, rel=0.1)
    assert len(seen(made, 100, 200)) == pytest.approx(4000, rel=0.1)
    assert {r.prompt_tokens for r in made.requests(SERVICE, since=START + 100, until=START + 200)} == {100}
    made.set_load(SERVICE, Workload(0, 1, 1), now=START + 200)
    made.advance(START + 300)
    assert seen(made, 200, 300) == []


def test_requests_without_a_pod_fail_and_flow_once_there_is_one() -> None:
    made = fleet()
    made.set_load(SERVICE, LOAD, now=START)
    made.apply(cluster(pod("a")), now=START + 10)
    made.advance(START + 20)
    assert set(seen(made, 0, 10)) == {("", "no_backend")}
    assert set(seen(made, 10, 20)) == {("a", "")}


def test_a_deleted_pod_gets_nothing_new_and_drains() -> None:
    made = fleet(cluster(pod("a"), pod("b")))
    made.set_load(SERVICE, LOAD, now=START)
    made.apply(cluster(pod("b")), now=START + 10)
    assert made.metrics_text(Key("demo", "a")) is not None
    made.advance(START + 40)
    assert {name for name, _ in seen(made, 10, 40)} == {"b"}
    assert {failure for _, failure in seen(made, 0, 10)} == {""}
    assert made.metrics_text(Key("demo", "a")) is None


def test_what_a_deleted_pod_cannot_finish_in_its_grace_is_lost() -> None:
    made = fleet(cluster(pod("a", grace=1.0)))
    made.set_load(SERVICE, Workload(10, 500, 1000, generation_cv=0), now=START)
    made.apply(cluster(pod("a", ready=False, terminating=True)), now=START + 5)
    made.advance(START + 8)
    assert set(seen(made, 0, 5)) == {("a", "aborted")}
    assert set(seen(made, 5, 8)) == {("", "no_backend")}
    assert made.metrics_text(Key("demo", "a")) is not None
    made.apply(ClusterState(), now=START + 9)
    made.advance(START + 10)
    assert made.metrics_text(Key("demo", "a")) is None


def test_a_pod_that_is_not_ready_gets_nothing_but_keeps_its_engine() -> None:
    made = fleet(cluster(pod("a"), pod("b")))
    made.set_load(SERVICE, LOAD, now=START)
    made.apply(cluster(pod("a", ready=False), pod("b")), now=START + 10)
    made.apply(cluster(pod("a"), pod("b")), now=START + 20)
    made.advance(START + 30)
    assert {name for name, _ in seen(made, 10, 20)} == {"b"}
    assert {name for name, _ in seen(made, 20, 30)} == {"a", "b"}
    finished = [r for r in made.requests(SERVICE, since=START, until=START + 30) if r.pod == "a" and r.finished_at]
    assert sample(made, "a", "vllm:request_success_total") == len(finished)


def test_a_pod_that_comes_back_gets_requests_with_an_engine_of_its_own() -> None:
    made = fleet(cluster(pod("a")))
    made.set_load(SERVICE, LOAD, now=START)
    made.apply(ClusterState(), now=START + 10)
    made.advance(START + 20)
    assert made.metrics_text(Key("demo", "a")) is None
    made.apply(cluster(pod("a")), now=START + 20)
    made.advance(START + 40)
    assert set(seen(made, 20, 30)) == {("a", "")}
    assert sample(made, "a", "vllm:request_success_total") < 220


def test_an_engine_that_would_not_start_is_named_and_its_requests_fail() -> None:
    def refuse(which: EnginePod, model_config: str | None) -> ServedEngine:
        raise UnknownEngine("the model does not fit")

    made = Fleet(spec_of=refuse, seed=1, start=START)
    made.apply(cluster(pod("a")), now=START)
    made.set_load(SERVICE, LOAD, now=START)
    made.advance(START + 5)
    assert set(seen(made)) == {("a", "unknown_engine")}
    assert made.problems == {Key("demo", "a"): "pod demo/a: the model does not fit"}
    made.apply(ClusterState(), now=START + 6)
    assert made.problems == {}
