"""What is written, in which order, and what a failure of one object means for the rest."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.labels import (
    LAYOUT,
    MANAGED_BY,
    VARIANT,
    key_of,
    owner_reference,
    pod_selector,
    variant_object_name,
)
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import (
    Apply,
    Decision,
    Delete,
    EventNote,
    EventType,
    FleetMemory,
    Manifest,
    ObjectKey,
    Snapshot,
    StatusWrite,
)
from medley_operator.fleet.publish import Publisher
from medley_operator.kube.errors import Forbidden, Invalid, Unavailable
from medley_operator.metrics.exporter import Exporter
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import NOW, child, service, service_manifest, snapshot

CHAT = ServiceKey("demo", "chat")
CHAT_KEY = ObjectKey("LLMService", "demo", "chat")


def decision(
    *,
    applies: list[Manifest] | None = None,
    deletes: list[Manifest] | None = None,
    statuses: list[StatusWrite] | None = None,
    events: list[EventNote] | None = None,
) -> Decision:
    return Decision(
        applies=tuple(Apply(CHAT, manifest) for manifest in applies or []),
        deletes=tuple(Delete(CHAT, key_of(manifest), manifest["metadata"]["uid"]) for manifest in deletes or []),
        statuses=tuple(statuses or []),
        events=tuple(events or []),
        gauges=(),
        memory=FleetMemory(),
    )


def note(reason: str) -> EventNote:
    return EventNote(CHAT_KEY, "uid-chat", EventType.NORMAL, reason, "told")


@pytest.fixture
def client() -> FakeKubeClient:
    fake = FakeKubeClient()
    fake.put(service_manifest())
    return fake


async def publish(client: FakeKubeClient, seen: Snapshot, what: Decision) -> tuple[int, Exporter]:
    exporter = Exporter()
    publisher = Publisher(client=client, counter=exporter, instance="test", timestamp=lambda: "2026-01-01T00:00:00.0Z")
    return await publisher.publish(seen, what, now=NOW), exporter


def conditions(client: FakeKubeClient) -> dict[str, tuple[str, str, str]]:
    found = client.objects[CHAT_KEY].get("status", {}).get("conditions", [])
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


async def test_order_is_services_deployments_routes_deletes_status_events(client: FakeKubeClient) -> None:
    old = client.put(child("Deployment", "chat-old"))
    await publish(
        client,
        snapshot(service(), children=[old]),
        decision(
            applies=[child("HTTPRoute", "chat"), child("Deployment", "chat-l4"), child("Service", "chat-l4")],
            deletes=[old],
            statuses=[StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})],
            events=[note("PlanChanged")],
        ),
    )
    assert client.writes() == [
        ("apply", "Service chat-l4"),
        ("apply", "Deployment chat-l4"),
        ("apply", "HTTPRoute chat"),
        ("delete", "Deployment chat-old"),
        ("status", "chat"),
        ("event", "PlanChanged"),
    ]


async def test_nothing_decided_means_no_request_at_all(client: FakeKubeClient) -> None:
    await publish(client, snapshot(service()), decision())
    assert client.calls == []


async def test_a_foreign_object_is_never_taken_over(client: FakeKubeClient) -> None:
    foreign = client.put(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "chat-l4", "namespace": "demo"}}
    )
    troubles, exporter = await publish(
        client,
        snapshot(service()),
        decision(applies=[child("Deployment", "chat-l4"), child("Deployment", "chat-h100")]),
    )
    assert client.objects[key_of(foreign)] == foreign
    assert ("apply", "Deployment chat-h100") in client.writes()
    status, reason, message = conditions(client)["WorkloadsReady"]
    assert (status, reason) == ("False", "NameConflict")
    assert "Deployment demo/chat-l4" in message
    assert "delete or rename it" in message
    assert troubles == 1
    assert exporter.registry.get_sample_value("medley_errors_total", {"component": "apply"}) == 1
    assert [event["reason"] for event in client.events] == ["NameConflict"]


async def test_a_child_of_a_former_service_of_the_same_name_is_left_alone(client: FakeKubeClient) -> None:
    old = client.put(child("Deployment", "chat-l4", owner_uid="uid-former"))
    await publish(client, snapshot(service(), children=[old]), decision(applies=[child("Deployment", "chat-l4")]))
    assert client.objects[key_of(old)] == old
    assert conditions(client)["WorkloadsReady"][1] == "NameConflict"


def deployment(**metadata: object) -> Manifest:
    """A Deployment of our form."""
    name = variant_object_name(service="chat", variant="l4", layout="abcdefgh")
    made = child("Deployment", name)
    made["metadata"] = {**made["metadata"], **metadata}
    made["metadata"]["labels"] |= {VARIANT: "l4", LAYOUT: "abcdefgh"}
    made["spec"] = {"selector": {"matchLabels": pod_selector(service="chat", variant="l4", layout="abcdefgh")}}
    return made


@pytest.mark.parametrize("owners", [[], [owner_reference(service="chat", uid="uid-before-the-restore")]])
async def test_an_orphan_that_is_plainly_ours_is_adopted(client: FakeKubeClient, owners: list[Manifest]) -> None:
    orphan = client.put(deployment(ownerReferences=owners))
    troubles, _ = await publish(client, snapshot(service(), children=[orphan]), decision(applies=[deployment()]))
    assert troubles == 0
    after = client.objects[key_of(orphan)]["metadata"]
    assert (after["uid"], after["ownerReferences"][0]["uid"]) == (orphan["metadata"]["uid"], "uid-chat")


async def test_an_orphan_is_not_adopted_for_a_service_that_is_leaving(client: FakeKubeClient) -> None:
    """`kubectl delete --cascade=orphan` just now: an owner that goes would take the orphan along."""
    client.objects[CHAT_KEY]["metadata"]["deletionTimestamp"] = NOW
    orphan = client.put(deployment(ownerReferences=[]))
    await publish(client, snapshot(service(), children=[orphan]), decision(applies=[deployment()]))
    assert client.writes() == []


async def test_our_deployment_without_its_label_is_found_by_name_and_put_back(client: FakeKubeClient) -> None:
    """The list by label lacks it; its owner says whose it is."""
    held = deployment()
    del held["metadata"]["labels"][MANAGED_BY]
    client.put(held)
    troubles, _ = await publish(client, snapshot(service()), decision(applies=[deployment()]))
    assert troubles == 0
    assert client.objects[key_of(held)]["metadata"]["labels"][MANAGED_BY] == "medley"
    assert conditions(client) == {}


async def test_a_name_conflict_heals_when_the_other_object_goes(client: FakeKubeClient) -> None:
    made = deployment()
    client.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**made["metadata"], "ownerReferences": []}})
    client.objects[key_of(made)]["metadata"]["labels"] = {}
    await publish(client, snapshot(service()), decision(applies=[made]))
    assert conditions(client)["WorkloadsReady"][1] == "NameConflict"
    del client.objects[key_of(made)]
    troubles, _ = await publish(client, snapshot(service()), decision(applies=[made]))
    assert troubles == 0
    assert key_of(made) in client.objects


async def test_a_failure_is_told_once_and_stops_nothing_else(client: FakeKubeClient) -> None:
    client.put(service_manifest("other", uid="uid-other"))
    client.failing["apply", "Deployment chat-l4"] = Invalid("cannot apply Deployment demo/chat-l4: exceeded quota")
    applies = [child("Deployment", "chat-l4"), child("Service", "chat")]
    what = decision(applies=applies, events=[note("ScaledUp"), note("PlanChanged")])
    troubles, _ = await publish(client, snapshot(service(), service("other", uid="uid-other")), what)
    assert troubles == 1
    assert ("apply", "Service chat") in client.writes()
    told = conditions(client)["WorkloadsReady"]
    assert told == ("False", "ApplyFailed", "cannot apply Deployment demo/chat-l4: exceeded quota")
    assert sorted(event["reason"] for event in client.events) == ["ApplyFailed", "PlanChanged"]

    # The next round fails in the same way: neither the status nor an Event is written again.
    client.calls.clear()
    found = client.objects[CHAT_KEY]["status"]["conditions"]
    await publish(client, snapshot(service(conditions=found)), decision(applies=applies[:1], events=[note("ScaledUp")]))
    assert client.writes() == [("apply", "Deployment chat-l4")]


async def test_a_failure_keeps_what_else_the_status_was_to_say(client: FakeKubeClient) -> None:
    client.failing["apply", "Service chat"] = Forbidden("cannot apply Service demo/chat: forbidden")
    progressing = {
        "type": "RoutingReady",
        "status": "True",
        "reason": "Routed",
        "lastTransitionTime": "2025-01-01T00:00:00Z",
    }
    write = StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:1/1", "conditions": [progressing]})
    await publish(client, snapshot(service()), decision(applies=[child("Service", "chat")], statuses=[write]))
    status = client.objects[CHAT_KEY]["status"]
    assert status["mix"] == "l4:1/1"
    assert conditions(client)["RoutingReady"][:2] == ("False", "ApplyFailed")


async def test_a_route_is_not_pointed_at_a_service_that_failed(client: FakeKubeClient) -> None:
    old = client.put(child("Service", "chat-old"))
    client.failing["apply", "Service chat-l4"] = Invalid("cannot apply Service demo/chat-l4")
    await publish(
        client,
        snapshot(service(), children=[old]),
        decision(applies=[child("Service", "chat-l4"), child("HTTPRoute", "chat")], deletes=[old]),
    )
    assert [call for call in client.writes() if call[0] in ("apply", "delete")] == [("apply", "Service chat-l4")]


async def test_a_service_deleted_mid_plan_gets_no_children_and_no_complaint(client: FakeKubeClient) -> None:
    del client.objects[CHAT_KEY]
    write = StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})
    troubles, exporter = await publish(
        client,
        snapshot(service()),
        decision(applies=[child("Deployment", "chat-l4")], statuses=[write], events=[note("PlanChanged")]),
    )
    assert troubles == 0
    assert client.objects == {}
    assert client.events == []
    assert exporter.registry.get_sample_value("medley_errors_total", {"component": "status"}) == 0


async def test_a_service_replaced_by_one_of_the_same_name_gets_no_children_of_the_old(client: FakeKubeClient) -> None:
    client.put(service_manifest(uid="uid-new"))
    await publish(client, snapshot(service()), decision(applies=[child("Deployment", "chat-l4")]))
    assert client.writes() == []


async def test_stale_knowledge_is_tried_again_without_a_condition(client: FakeKubeClient) -> None:
    known = child("Deployment", "chat-l4", uid="uid-before")
    client.put(child("Deployment", "chat-l4", uid="uid-after"))
    troubles, _ = await publish(
        client, snapshot(service(), children=[known]), decision(applies=[child("Deployment", "chat-l4")])
    )
    assert troubles == 1
    assert conditions(client) == {}


async def test_a_terminating_namespace_is_passed_over(client: FakeKubeClient) -> None:
    client.failing["apply", "Deployment chat-l4"] = Forbidden("being terminated", reason="NamespaceTerminating")
    troubles, _ = await publish(client, snapshot(service()), decision(applies=[child("Deployment", "chat-l4")]))
    assert troubles == 0
    assert conditions(client) == {}


async def test_failures_of_status_and_events_are_counted(client: FakeKubeClient) -> None:
    client.failing["status", "chat"] = Unavailable("no answer")
    client.failing["event", "PlanChanged"] = Unavailable("no answer")
    write = StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})
    troubles, exporter = await publish(
        client, snapshot(service()), decision(statuses=[write], events=[note("PlanChanged")])
    )
    assert troubles == 1
    for component in ("status", "event"):
        assert exporter.registry.get_sample_value("medley_errors_total", {"component": component}) == 1
