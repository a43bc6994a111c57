"""Steps of a service wait for what they rest on to be observed, whatever became of the writes before them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from medley_operator.domain.rollout.preconditions import permitted
from medley_operator.domain.rollout.writes import ChildWrites
from medley_operator.domain.values.labels import CORE_SERVICE, DEPLOYMENT, HTTP_ROUTE, key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Apply, Delete, Manifest, ObjectKey

CHAT = ServiceKey("demo", "chat")


def child(kind: str, name: str) -> Manifest:
    return {"kind": kind, "metadata": {"namespace": "demo", "name": name}}


def route(weights: Mapping[str, int]) -> Manifest:
    backends = [{"kind": CORE_SERVICE, "name": name, "weight": weight} for name, weight in weights.items()]
    return {**child(HTTP_ROUTE, "chat"), "spec": {"rules": [{"backendRefs": backends}]}}


def applied(manifest: Manifest, *own: Manifest) -> bool:
    writes = ChildWrites(applies=(Apply(CHAT, manifest),))
    return bool(permitted(writes, {key_of(each): each for each in own}).applies)


def deleted(kind: str, *own: Manifest) -> bool:
    writes = ChildWrites(deletes=(Delete(CHAT, ObjectKey(kind, "demo", "chat-old"), "uid"),))
    return bool(permitted(writes, {key_of(each): each for each in own}).deletes)


def test_a_deployment_is_made_after_its_service() -> None:
    made = child(DEPLOYMENT, "chat-a")
    assert not applied(made)
    assert applied(made, child(CORE_SERVICE, "chat-a"))
    assert applied(made, made), "one that is there is changed in any case"


def test_a_route_names_only_services_that_are_there() -> None:
    wanted = route({"chat-a": 1, "chat-b": 0})
    assert not applied(wanted, child(CORE_SERVICE, "chat-a"))
    assert applied(wanted, child(CORE_SERVICE, "chat-a"), child(CORE_SERVICE, "chat-b"))


@pytest.mark.parametrize("weight", [0, 1])
def test_a_service_stays_while_the_route_to_it_was_put_off(weight: int) -> None:
    """A route that waits, not only one that was refused, may still send requests to the Service that is to go."""
    assert not deleted(CORE_SERVICE, route({"chat-old": weight, "chat-a": 1}))
    assert deleted(CORE_SERVICE, route({"chat-a": 1}))
    assert deleted(CORE_SERVICE)


def test_a_service_outlives_the_deployment_behind_it() -> None:
    assert not deleted(CORE_SERVICE, child(DEPLOYMENT, "chat-old"))


def test_a_deployment_goes_when_the_route_sends_nothing_there() -> None:
    assert not deleted(DEPLOYMENT, route({"chat-old": 1}))
    assert deleted(DEPLOYMENT, route({"chat-old": 0}))
