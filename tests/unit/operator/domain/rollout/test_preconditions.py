"""Each kind of step waits for what it rests on to be observed."""

from __future__ import annotations

import pytest

from medley_operator.domain.rollout.drift import DriftReport
from medley_operator.domain.rollout.preconditions import permitted
from medley_operator.domain.rollout.writes import ChildWrites
from medley_operator.domain.values.decision import Apply, Delete
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, TakenBack

CHAT = ServiceKey("demo", "chat")


def child(kind: str, name: str, **spec: object) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": "demo"}, "spec": spec}


def route(**weights: int) -> Manifest:
    backends = [{"name": name.replace("_", "-"), "weight": weight} for name, weight in weights.items()]
    return child("HTTPRoute", "chat", rules=[{"backendRefs": backends}])


def own(*manifests: Manifest) -> dict[ObjectKey, Manifest]:
    return {key_of(manifest): manifest for manifest in manifests}


def may_apply(manifest: Manifest, *there: Manifest) -> bool:
    return bool(permitted(ChildWrites(applies=(Apply(CHAT, manifest),)), own(*there)).applies)


def may_delete(manifest: Manifest, *there: Manifest) -> bool:
    delete = Delete(CHAT, key_of(manifest), "uid")
    return bool(permitted(ChildWrites(deletes=(delete,)), own(manifest, *there)).deletes)


L4_PODS, L4_SERVICE = child("Deployment", "chat-l4"), child("Service", "chat-l4")


def test_a_deployment_is_made_after_its_service_and_changed_at_any_time() -> None:
    assert not may_apply(L4_PODS)
    assert may_apply(L4_PODS, L4_SERVICE)
    assert may_apply(L4_PODS, L4_PODS)


def test_a_service_needs_nothing() -> None:
    assert may_apply(L4_SERVICE)


def test_a_route_names_only_services_that_are_there() -> None:
    assert not may_apply(route(chat_l4=1, chat_h100=1), L4_SERVICE)
    assert may_apply(route(chat_l4=1), L4_SERVICE)


@pytest.mark.parametrize(("weight", "may"), [(1000, False), (1, False), (0, True)])
def test_a_deployment_goes_after_the_route_sends_nothing_to_it(weight: int, may: bool) -> None:
    assert may_delete(L4_PODS, L4_SERVICE, route(chat_l4=weight, chat_h100=1000)) is may


def test_a_service_goes_after_its_deployment_and_after_no_route_names_it() -> None:
    assert not may_delete(L4_SERVICE, L4_PODS)
    assert not may_delete(L4_SERVICE, route(chat_l4=0))
    assert may_delete(L4_SERVICE, route(chat_h100=1000))
    assert may_delete(L4_SERVICE)


def test_a_write_that_waits_is_not_remembered_as_one_that_others_took_back() -> None:
    """The route that names a new Service was written two seconds late: its first try was made before the Service was
    there, and counted."""
    there, waiting, before = route(chat_l4=1), route(chat_l4=1, chat_h100=1), TakenBack("old", (1.0,))
    key, service = key_of(waiting), key_of(L4_SERVICE)
    now = {(key, "spec.rules"): TakenBack("new", (9.0,)), (service, "spec.type"): TakenBack("ClusterIP", (9.0,))}
    writes = ChildWrites(applies=(Apply(CHAT, waiting), Apply(CHAT, L4_SERVICE)), drift=DriftReport(taken_back=now))
    held = permitted(writes, own(there, L4_SERVICE), {(key, "metadata.labels"): before})
    assert held.drift.taken_back == {
        (key, "metadata.labels"): before, (service, "spec.type"): now[service, "spec.type"],
    }  # fmt: skip
    assert permitted(writes, own(there, L4_SERVICE, child("Service", "chat-h100"))).drift.taken_back == now


def test_a_route_may_always_go() -> None:
    assert may_delete(route(chat_l4=1000))
