"""What is written, in which order, and what a failure of one object means for the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.engine.startup_protection import PROTECTION
from medley_operator.domain.routing.prompt_ranges import range_note
from medley_operator.domain.values.decision import (
    Apply,
    Decision,
    Delete,
    EventNote,
    EventType,
    PodNote,
    StatusWrite,
)
from medley_operator.domain.values.labels import (
    LAYOUT,
    MANAGED_BY,
    PROMPT_RANGE,
    VARIANT,
    key_of,
    owner_reference,
    pod_selector,
    variant_object_name,
)
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey, Snapshot
from medley_operator.fleet.publication import FEWEST_STATUSES, Meanwhile
from medley_operator.fleet.publish import Publisher
from medley_operator.fleet.write_backoff import WriteBackoff
from medley_operator.kube.errors import Forbidden, Invalid, Unavailable
from medley_operator.kube.guards import DryRun, Gated
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
    return (await publisher.publish(seen, what, now=NOW)).troubles, exporter


def conditions(client: FakeKubeClient) -> dict[str, tuple[str, str, str]]:
    found = client.objects[CHAT_KEY].get("status", {}).get("conditions", [])
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


async def test_children_are_written_before_statuses_and_events(client: FakeKubeClient) -> None:
    old = client.put(child("Deployment", "chat-old"))
    await publish(
        client,
        snapshot(service(), children=[old]),
        decision(
            applies=[child("Service", "chat-l4")],
            deletes=[old],
            statuses=[StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})],
            events=[note("PlanChanged")],
        ),
    )
    assert client.writes() == [
        ("apply", "Service chat-l4"),
        ("delete", "Deployment chat-old"),
        ("status", "chat"),
        ("event", "PlanChanged"),
    ]


async def test_what_happens_meanwhile_puts_off_all_statuses_but_the_first_few_and_their_events() -> None:
    """Prometheus was slow once, and for the half minute that 500 statuses took no child was put back."""
    client, names = FakeKubeClient(), [f"s{number}" for number in range(3 * FEWEST_STATUSES)]
    for name in names:
        client.put(service_manifest(name, uid=f"uid-{name}"))
    keys = {name: ObjectKey("LLMService", "demo", name) for name in names}
    what = decision(
        statuses=[StatusWrite(keys[name], f"uid-{name}", {"mix": "l4:0/1"}) for name in names],
        events=[EventNote(keys[name], f"uid-{name}", EventType.WARNING, "Told", "told") for name in names],
    )
    seen = snapshot(*(service(name, uid=f"uid-{name}") for name in names))
    publisher = Publisher(client=client, counter=Exporter(), instance="test", timestamp=lambda: NOW)
    done = await publisher.publish(seen, what, now=NOW, meanwhile=Meanwhile(hurries=lambda: True))
    verbs = [verb for verb, _ in client.writes()]
    assert (verbs.count("status"), verbs.count("event"), done.troubles) == (FEWEST_STATUSES, FEWEST_STATUSES, 0)
    await publisher.publish(seen, what, now=NOW)
    assert [verb for verb, _ in client.writes()].count("status") == FEWEST_STATUSES + len(names)


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
    assert told[:2] == ("False", "ApplyFailed")
    assert told[2].startswith("cannot apply Deployment demo/chat-l4: exceeded quota. To have it written, change what")
    assert client.objects[CHAT_KEY]["status"]["problem"] == "ApplyFailed"
    assert sorted(event["reason"] for event in client.events) == ["ApplyFailed", "PlanChanged"]

    # The next round fails in the same way: neither the status nor an Event is written again.
    client.calls.clear()
    found = client.objects[CHAT_KEY]["status"]
    await publish(client, snapshot(service(status=found)), decision(applies=applies[:1], events=[note("ScaledUp")]))
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


async def test_in_a_namespace_that_ends_nothing_but_a_status_is_written(client: FakeKubeClient) -> None:
    old = client.put(child("Deployment", "chat-old"))
    client.put(pod())
    write = StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})
    what = decision(applies=[child("Service", "chat-l4")], deletes=[old], statuses=[write], events=[note("ScaledUp")])
    what = replace(what, pod_notes=RELEASE.pod_notes)
    seen = replace(snapshot(service(), children=[old]), ending=frozenset({"demo"}))
    troubles, _ = await publish(client, seen, what)
    assert troubles == 0
    assert client.writes() == [("status", "chat")]


async def test_an_event_that_comes_too_late_for_its_namespace_does_not_count(
    client: FakeKubeClient,
) -> None:
    client.failing["event", "PlanChanged"] = Forbidden("being terminated", reason="NamespaceTerminating")
    _, exporter = await publish(client, snapshot(service()), decision(events=[note("PlanChanged")]))
    assert exporter.registry.get_sample_value("medley_errors_total", {"component": "event"}) == 0


async def test_failures_of_status_and_events_are_counted(client: FakeKubeClient) -> None:
    client.failing["status", "chat"] = Unavailable("no answer")
    client.failing["event", "PlanChanged"] = Unavailable("no answer")
    write = StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})
    for what, component, troubled in (
        (decision(statuses=[write]), "status", 1),
        (decision(events=[note("PlanChanged")]), "event", 0),
    ):
        troubles, exporter = await publish(client, snapshot(service()), what)
        assert troubles == troubled
        assert exporter.registry.get_sample_value("medley_errors_total", {"component": component}) == 1


async def test_an_event_is_not_posted_while_the_status_that_it_is_told_from_is_refused(client: FakeKubeClient) -> None:
    """12 Events came in 15 s: each pass found the same change in the status that it could not write."""
    client.failing["status", "chat"] = Unavailable("no answer")
    write = StatusWrite(CHAT_KEY, "uid-chat", {"mix": "l4:0/1"})
    what = decision(statuses=[write], events=[note("PlanChanged")])
    await publish(client, snapshot(service()), what)
    assert client.events == []
    del client.failing["status", "chat"]
    await publish(client, snapshot(service()), what)
    assert [event["reason"] for event in client.events] == ["PlanChanged"]


async def test_a_refused_route_is_warned_of_once(client: FakeKubeClient) -> None:
    """Each round warned anew that there was no route: the status said in that place why it could not be written."""
    client.failing["apply", "HTTPRoute chat"] = Forbidden("cannot apply HTTPRoute demo/chat: no routes today")
    routing = {
        "type": "RoutingReady",
        "status": "False",
        "reason": "RouteMissing",
        "message": "no route yet",
        "lastTransitionTime": NOW,
    }
    what = decision(
        applies=[child("HTTPRoute", "chat")],
        statuses=[StatusWrite(CHAT_KEY, "uid-chat", {"conditions": [routing]})],
        events=[note("RouteMissing")],
    )
    for _ in range(3):
        seen = LLMService.model_validate(client.objects[CHAT_KEY])
        await publish(client, snapshot(seen), what)
    assert [event["reason"] for event in client.events] == ["ApplyFailed"]
    assert "no routes today" in conditions(client)["RoutingReady"][2]


class Hanging(FakeKubeClient):
    """Children are not answered: each of their writes takes 20 s of the test's clock and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.hangs = True

    async def apply(self, manifest: Manifest, *, field_manager: str = "", force: bool = True) -> Manifest:
        if self.hangs:
            self._call("apply", f"{manifest['kind']} {manifest['metadata']['name']}")
            self.now += 20.0
            raise Unavailable("cannot apply: the API server did not answer within 20 s")
        return await super().apply(manifest)


def hundreds(client: FakeKubeClient, *, namespaces: int = 65) -> tuple[ActuatorView, Decision]:
    """Services in many namespaces with four Deployments each, a status each, and an Event each."""
    services, applies, statuses, events = [], [], [], []
    for index in range(namespaces):
        manifest = service_manifest(uid=f"uid-{index}")
        manifest["metadata"]["namespace"] = f"team-{index:03d}"
        services.append(LLMService.model_validate(client.put(manifest)))
        key = ObjectKey("LLMService", f"team-{index:03d}", "chat")
        for pool in ("a", "b", "c", "d"):
            deployment = child("Deployment", f"chat-{pool}", owner_uid=f"uid-{index}")
            deployment["metadata"]["namespace"] = key.namespace
            applies.append(Apply(ServiceKey(key.namespace, "chat"), deployment))
        statuses.append(StatusWrite(key, f"uid-{index}", {"mix": "l4:0/1"}))
        events.append(EventNote(key, f"uid-{index}", EventType.NORMAL, "ScaledUp", "told"))
    what = Decision(tuple(applies), (), tuple(statuses), tuple(events))
    return snapshot(*services), what


async def test_children_that_hang_do_not_keep_statuses_from_being_written() -> None:
    """A webhook that hangs on Deployments: none of 260 statuses was written, and no round ended."""
    client = Hanging()
    seen, what = hundreds(client)
    exporter, backoff = Exporter(), WriteBackoff(clock=lambda: client.now)
    publisher = Publisher(client=client, counter=exporter, instance="t", timestamp=lambda: NOW, backoff=backoff)
    troubles = (await publisher.publish(seen, what, now=NOW)).troubles
    written = {name for verb, name in client.writes() if verb == "status"}
    assert written == {"chat"}
    assert len([1 for verb, _ in client.writes() if verb == "status"]) == 65
    assert troubles == 260
    # Eight at a time, and no more are begun after 60 s of a clock that each of them moves on by 20 s.
    assert len([1 for verb, _ in client.writes() if verb == "apply"]) <= 11
    assert "ScaledUp" not in {event["reason"] for event in client.events}


async def test_statuses_have_their_time_behind_children_that_hang_whatever_happens_meanwhile() -> None:
    """Events without end: each pass left all statuses but ten to the next one."""
    client = Hanging()
    seen, what = hundreds(client)
    backoff = WriteBackoff(clock=lambda: client.now)
    publisher = Publisher(client=client, counter=Exporter(), instance="t", timestamp=lambda: NOW, backoff=backoff)
    await publisher.publish(seen, what, now=NOW, meanwhile=Meanwhile(hurries=lambda: True))
    assert len([1 for verb, _ in client.writes() if verb == "status"]) == 65


async def test_an_event_is_answered_before_the_rest_of_the_statuses_of_a_quick_pass() -> None:
    """A pass that wrote ten children wrote all statuses, for 24 s at the rate that the API server is spared."""
    client = Hanging()
    client.hangs = False
    seen, what = hundreds(client)
    backoff = WriteBackoff(clock=lambda: client.now)
    publisher = Publisher(client=client, counter=Exporter(), instance="t", timestamp=lambda: NOW, backoff=backoff)
    await publisher.publish(seen, what, now=NOW, meanwhile=Meanwhile(hurries=lambda: True))
    assert len([1 for verb, _ in client.writes() if verb == "apply"]) == 260
    assert len([1 for verb, _ in client.writes() if verb == "status"]) == FEWEST_STATUSES


async def test_a_webhook_that_answers_again_gets_what_was_put_off() -> None:
    client = Hanging()
    seen, what = hundreds(client, namespaces=2)
    backoff = WriteBackoff(clock=lambda: client.now)
    publisher = Publisher(client=client, counter=Exporter(), instance="t", timestamp=lambda: NOW, backoff=backoff)
    await publisher.publish(seen, what, now=NOW)
    client.hangs = False
    client.now += 30.0
    assert (await publisher.publish(seen, what, now=NOW)).troubles == 0
    assert len([key for key in client.objects if key.kind == "Deployment"]) == 8


async def test_a_child_that_waits_keeps_its_condition(client: FakeKubeClient) -> None:
    client.failing[("apply", "Deployment chat-l4")] = Invalid("quota exceeded")
    backoff = WriteBackoff(clock=lambda: 0.0)
    publisher = Publisher(client=client, counter=Exporter(), instance="t", timestamp=lambda: NOW, backoff=backoff)
    what = decision(applies=[child("Deployment", "chat-l4")])
    for _ in range(2):
        assert (await publisher.publish(snapshot(service()), what, now=NOW)).troubles == 1
        assert conditions(client)["WorkloadsReady"][1] == "ApplyFailed"
    assert client.writes().count(("apply", "Deployment chat-l4")) == 1


async def test_a_status_that_hangs_does_not_hold_up_those_of_others() -> None:
    client = Hanging()
    seen, what = hundreds(client, namespaces=2)
    what = replace(what, applies=(), events=())
    client.failing[("status", "chat")] = Unavailable("late")
    backoff = WriteBackoff(clock=lambda: client.now)
    publisher = Publisher(client=client, counter=Exporter(), instance="t", timestamp=lambda: NOW, backoff=backoff)
    assert (await publisher.publish(seen, what, now=NOW)).troubles == 2
    assert (await publisher.publish(seen, what, now=NOW)).troubles == 2
    assert len(client.writes()) == 2


async def test_what_the_mode_keeps_back_is_a_condition_and_no_trouble(client: FakeKubeClient) -> None:
    gated = Gated(client, mode="Paused", counter=Exporter())
    publisher = Publisher(client=gated, counter=Exporter(), instance="t", timestamp=lambda: NOW)
    what = decision(applies=[child("Deployment", "chat-l4")], events=[note("ScaledUp"), note("PlanChanged")])
    assert (await publisher.publish(snapshot(service()), what, now=NOW)).troubles == 0
    status, reason, message = conditions(client)["WorkloadsReady"]
    assert (status, reason) == ("False", "Withheld")
    assert "Deployment demo/chat-l4" in message
    assert "set --mode to Auto" in message
    assert sorted((event["type"], event["reason"]) for event in client.events) == [
        ("Normal", "PlanChanged"),
        ("Normal", "Withheld"),
    ]


async def test_a_dry_run_of_a_pass_writes_nothing_and_is_no_trouble(client: FakeKubeClient) -> None:
    exporter = Exporter()
    publisher = Publisher(
        client=DryRun(client, counter=exporter), counter=exporter, instance="t", timestamp=lambda: NOW
    )
    client.put(pod())
    what = decision(applies=[child("Deployment", "chat-l4")], events=[note("PlanChanged")])
    what = replace(what, pod_notes=RELEASE.pod_notes)
    published = await publisher.publish(snapshot(service()), what, now=NOW)
    assert published.troubles == 0
    assert client.writes() == []
    assert client.events == []
    assert exporter.registry.get_sample_value("medley_withheld_writes_total", {"kind": "Pod"}) == 1
    assert exporter.registry.get_sample_value("medley_withheld_writes_total", {"kind": "LLMService"}) == 1


def pod(uid: str = "uid-pod") -> Manifest:
    annotations = {**PROTECTION, "team": "a"}
    return {"kind": "Pod", "metadata": {"name": "chat-1", "namespace": "demo", "uid": uid, "annotations": annotations}}


RELEASE = Decision(
    pod_notes=(PodNote(ObjectKey("Pod", "demo", "chat-1"), "uid-pod", dict.fromkeys(PROTECTION), "it is Ready"),)
)


async def test_the_start_up_protection_is_taken_from_the_pod_and_counted(client: FakeKubeClient) -> None:
    client.put(pod())
    troubles, exporter = await publish(client, snapshot(service()), RELEASE)
    assert client.writes() == [("annotate", "Pod chat-1")]
    assert client.objects[ObjectKey("Pod", "demo", "chat-1")]["metadata"]["annotations"] == {"team": "a"}
    assert troubles == 0
    assert exporter.registry.get_sample_value("medley_writes_total", {"kind": "Pod", "verb": "annotate"}) == 1


GIVEN = Decision(pod_notes=(range_note(ObjectKey("Pod", "demo", "chat-1"), "uid-pod", "0-2048"),))


async def test_a_pod_gets_its_prompt_range_and_keeps_what_else_it_has(client: FakeKubeClient) -> None:
    client.put(pod())
    troubles, exporter = await publish(client, snapshot(service()), GIVEN)
    found = client.objects[ObjectKey("Pod", "demo", "chat-1")]["metadata"]
    assert (found["labels"], found["annotations"]) == ({PROMPT_RANGE: "0-2048"}, {**PROTECTION, "team": "a"})
    assert troubles == 0
    assert exporter.registry.get_sample_value("medley_writes_total", {"kind": "Pod", "verb": "annotate"}) == 1


@pytest.mark.parametrize("there", [None, pod("uid-of-another")])
async def test_a_pod_that_went_meanwhile_is_passed_over(client: FakeKubeClient, there: Manifest | None) -> None:
    if there is not None:
        client.put(there)
    assert (await publish(client, snapshot(service()), RELEASE))[0] == 0


async def test_a_protection_that_may_not_be_taken_away_is_a_trouble_and_no_condition(client: FakeKubeClient) -> None:
    """The ClusterRole of an older chart does not grant it; the pod serves all the same."""
    client.put(pod())
    client.failing[("annotate", "Pod chat-1")] = Forbidden("no right to patch pods")
    troubles, exporter = await publish(client, snapshot(service()), RELEASE)
    assert troubles == 1
    assert exporter.registry.get_sample_value("medley_errors_total", {"component": "apply"}) == 1
    assert conditions(client) == {}


async def test_a_protection_that_the_mode_keeps_is_no_trouble(client: FakeKubeClient) -> None:
    client.put(pod())
    exporter = Exporter()
    gated = Gated(client, mode="Advisory", counter=exporter)
    publisher = Publisher(client=gated, counter=exporter, instance="test", timestamp=lambda: NOW)
    assert (await publisher.publish(snapshot(service()), RELEASE, now=NOW)).troubles == 0
    assert client.writes() == []
