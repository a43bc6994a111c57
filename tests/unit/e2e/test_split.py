"""Where requests go: by weight, alike within a backend, never to a pod that is not Ready."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from e2e.fleet.cluster import ClusterState, Key
from e2e.fleet.load import Workload
from e2e.fleet.simulation import Fleet
from tests.unit.e2e.fleet_cases import SERVICE, START, cluster, pod, spec_of

LOAD = Workload(rate_rps=2000, prompt_tokens_mean=1, generation_tokens_mean=1, prompt_cv=0, generation_cv=0)


def shares(state: ClusterState) -> dict[str, float]:
    """The part of the requests that each pod gets, "" for none, in ten seconds of the fleet."""
    fleet = Fleet(spec_of=spec_of, seed=5, start=START)
    fleet.apply(state, now=START)
    fleet.set_load(SERVICE, LOAD, now=START)
    fleet.advance(START + 10)
    counts = Counter(request.pod for request in fleet.requests(SERVICE, since=START, until=START + 10))
    return {name: count / counts.total() for name, count in counts.items()}


def test_behind_a_service_each_ready_pod_gets_the_same() -> None:
    found = shares(
        cluster(pod("a"), pod("b", variant="h100"), pod("c", ready=False), pod("d", ready=False, terminating=True))
    )
    assert found.keys() == {"a", "b"}
    assert found["a"] == pytest.approx(0.5, abs=0.015)


def test_behind_a_route_by_weight_and_alike_within_a_backend() -> None:
    pods = (pod("a"), pod("b"), pod("c", ready=False), pod("d", variant="h100"))
    found = shares(cluster(*pods, weights={"l4": 250, "h100": 750}))
    assert found == pytest.approx({"a": 0.125, "b": 0.125, "d": 0.75}, abs=0.015)


def test_a_backend_without_a_ready_pod_fails_its_share() -> None:
    found = shares(cluster(pod("a"), pod("b", variant="h100", ready=False), weights={"l4": 3, "h100": 1}))
    assert found == pytest.approx({"a": 0.75, "": 0.25}, abs=0.015)


def test_a_backend_of_weight_0_gets_nothing() -> None:
    assert shares(cluster(pod("a"), pod("b", variant="h100"), weights={"l4": 1, "h100": 0})) == {"a": 1.0}


def test_a_route_that_no_gateway_accepted_counts_for_nothing() -> None:
    state = cluster(pod("a"), pod("b", variant="h100"), weights={"l4": 1, "h100": 0}, accepted=False)
    assert shares(state).keys() == {"a", "b"}


def test_without_a_service_or_a_pod_nothing_is_reached() -> None:
    assert shares(ClusterState()) == {"": 1.0}
    assert shares(cluster(pod("a", ready=False))) == {"": 1.0}


def test_pods_of_another_namespace_are_not_selected() -> None:
    elsewhere = replace(pod("x"), key=Key("other", "x"))
    assert shares(cluster(pod("a"), elsewhere)) == {"a": 1.0}
