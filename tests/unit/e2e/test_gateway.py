"""The gateway's part of a route's status."""

from __future__ import annotations

from typing import Any

from e2e.fleet.cluster import Key
from e2e.fleet.gateway import CONTROLLER, accepted, parents_to_write

HERE = {Key("demo", "inference")}
FOREIGN = {"controllerName": "example.com/other", "parentRef": {"name": "other"}, "conditions": []}


def route(*, generation: int = 1, parents: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "llama", "namespace": "demo", "generation": generation},
        "spec": {"parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "inference"}]},
        "status": {"parents": parents or []},
    }


def test_a_route_of_an_existing_gateway_is_accepted_once() -> None:
    written = parents_to_write(route(), gateways=HERE, now="2026-01-01T00:00:00Z")
    assert written is not None
    (parent,) = written
    assert parent["controllerName"] == CONTROLLER
    assert parent["parentRef"] == route()["spec"]["parentRefs"][0]
    assert {(c["type"], c["status"], c["observedGeneration"]) for c in parent["conditions"]} == {
        ("Accepted", "True", 1),
        ("ResolvedRefs", "True", 1),
    }
    assert accepted(route(parents=written))
    assert parents_to_write(route(parents=written), gateways=HERE, now="2026-01-01T00:00:09Z") is None


def test_a_new_generation_is_written_and_keeps_the_transition_time() -> None:
    before = parents_to_write(route(), gateways=HERE, now="2026-01-01T00:00:00Z")
    after = parents_to_write(route(generation=2, parents=before), gateways=HERE, now="2026-01-01T00:00:09Z")
    assert after is not None
    assert {(c["observedGeneration"], c["lastTransitionTime"]) for c in after[0]["conditions"]} == {
        (2, "2026-01-01T00:00:00Z")
    }


def test_without_its_gateway_a_route_gets_nothing_and_loses_what_it_had() -> None:
    assert parents_to_write(route(), gateways=set(), now="t") is None
    before = parents_to_write(route(), gateways=HERE, now="t")
    assert parents_to_write(route(parents=before), gateways={Key("other", "inference")}, now="t") == []
    assert not accepted(route())


def test_entries_of_other_controllers_stay() -> None:
    written = parents_to_write(route(parents=[FOREIGN]), gateways=HERE, now="t")
    assert written is not None
    assert written[0] == FOREIGN
    assert len(written) == 2
    assert parents_to_write(route(parents=written), gateways=HERE, now="t") is None
