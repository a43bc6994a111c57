"""The Kubernetes client against the real API server: server-side apply, statuses, deletion, refusals."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.controlplane import ControlPlane
from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.domain.cluster.owner import Owner, adopted
from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.engine.startup_protection import PROTECTION
from medley_operator.domain.rollout.diff import differences
from medley_operator.domain.values.decision import EventNote, EventType, StatusWrite
from medley_operator.domain.values.labels import child_labels, key_of, owner_reference
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey
from medley_operator.fleet.manifests import event_manifest, status_manifest
from medley_operator.fleet.ownership import check_owned
from medley_operator.kube import official
from medley_operator.kube.errors import NAME_CONFLICT, Conflict, Forbidden, Invalid, NotFound, Unavailable
from medley_operator.kube.official import OfficialKubeClient
from medley_operator.kube.resources import DEPLOYMENTS, EVENTS, LLM_SERVICES, NODES, SERVICES, Resource
from tests.contract.apiserver import Api
from tests.unit.operator import factories

pytestmark = pytest.mark.contract

NOTHING_SEEN = ActuatorView(services=(), rejected=(), children={}, gateways=None)


@pytest.fixture
def namespace(crds: Api) -> Iterator[str]:
    name = f"client-{uuid.uuid4().hex[:8]}"
    crds.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    crds.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest_asyncio.fixture
async def client(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OfficialKubeClient]:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    async with OfficialKubeClient() as client:
        yield client


def first_difference(desired: Manifest, observed: Manifest) -> str | None:
    """Path of the first field that is not as we want it; None where nothing needs to be applied."""
    return next((found.path for found in differences(desired, observed)), None)


async def listed(client: OfficialKubeClient, resource: Resource, *, label_selector: str = "") -> list[Manifest]:
    """All pages of a list in one."""
    return [item async for page in client.pages(resource, label_selector=label_selector) for item in page.items]


def llm_service(namespace: str, name: str = "chat") -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}},
    }


def endpoint(namespace: str, name: str, *, owner_uid: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": child_labels(service="chat", component="endpoint"),
            "ownerReferences": [owner_reference(service="chat", uid=owner_uid)],
        },
        "spec": {"selector": {"medley.dev/service": "chat"}, "ports": [{"name": "http", "port": 8000}]},
    }


def version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


async def test_equal_applies_write_once(client: OfficialKubeClient, namespace: str) -> None:
    owner = await client.apply(llm_service(namespace))
    manifest = endpoint(namespace, "chat", owner_uid=owner["metadata"]["uid"])
    first = await client.apply(manifest)
    again = await client.apply(manifest | {"metadata": manifest["metadata"] | {"uid": first["metadata"]["uid"]}})
    assert version(again) == version(first)
    managers = {entry["manager"]: entry["operation"] for entry in again["metadata"]["managedFields"]}
    assert managers == {"medley": "Apply"}


async def test_a_field_left_out_of_the_next_apply_is_removed(client: OfficialKubeClient, namespace: str) -> None:
    manifest = endpoint(namespace, "chat", owner_uid="6a3c1b1e-0000-4000-8000-000000000000")
    del manifest["metadata"]["ownerReferences"]
    manifest["metadata"]["annotations"] = {"note": "first"}
    await client.apply(manifest)
    del manifest["metadata"]["annotations"]
    assert "annotations" not in (await client.apply(manifest))["metadata"]


async def test_an_apply_with_a_uid_only_changes_that_very_object(client: OfficialKubeClient, namespace: str) -> None:
    manifest = endpoint(namespace, "chat", owner_uid="6a3c1b1e-0000-4000-8000-000000000000")
    del manifest["metadata"]["ownerReferences"]
    manifest["metadata"]["uid"] = "6a3c1b1e-0000-4000-8000-000000000001"
    with pytest.raises(Conflict, match=f"apply Service {namespace}/chat"):
        await client.apply(manifest)
    assert await client.get(key_of(manifest)) is None
    there = await client.apply(manifest | {"metadata": {"name": "chat", "namespace": namespace}}, field_manager="other")
    with pytest.raises(Conflict):
        await client.apply(manifest)
    assert await client.get(key_of(manifest)) == there


async def test_status_is_applied_and_other_fields_are_not_touched(client: OfficialKubeClient, namespace: str) -> None:
    made = await client.apply(llm_service(namespace), field_manager="user")
    key, uid = key_of(made), made["metadata"]["uid"]
    write = status_manifest(StatusWrite(key, uid, {"mix": "l4:1/2", "desiredReplicas": 2}))
    first = await client.apply_status(write)
    assert (first["status"]["mix"], first["metadata"]["generation"]) == ("l4:1/2", 1)
    assert version(await client.apply_status(write)) == version(first)
    fewer = await client.apply_status(status_manifest(StatusWrite(key, uid, {"mix": "l4:2/2"})))
    assert "desiredReplicas" not in fewer["status"]
    assert fewer["spec"] == first["spec"]


async def test_the_status_of_what_is_gone_is_not_written(client: OfficialKubeClient, namespace: str) -> None:
    key = ObjectKey("LLMService", namespace, "chat")
    with pytest.raises(NotFound):
        await client.apply_status(status_manifest(StatusWrite(key, "uid", {"mix": ""})))
    assert await client.get(key) is None


async def test_a_deletion_meets_only_the_object_it_means(client: OfficialKubeClient, namespace: str) -> None:
    made = await client.apply(llm_service(namespace))
    key = key_of(made)
    with pytest.raises(Conflict):
        await client.delete(key, uid="6a3c1b1e-0000-4000-8000-000000000000")
    await client.delete(key, uid=made["metadata"]["uid"])
    assert await client.get(key) is None
    with pytest.raises(NotFound, match=f"delete LLMService {namespace}/chat"):
        await client.delete(key, uid=made["metadata"]["uid"])


async def test_what_others_made_is_a_name_conflict(client: OfficialKubeClient, namespace: str) -> None:
    uid = (await client.apply(llm_service(namespace)))["metadata"]["uid"]
    owner = Owner(namespace, "chat", uid)
    manifest = endpoint(namespace, "chat-l4", owner_uid=uid)
    key = key_of(manifest)
    assert await check_owned(client, NOTHING_SEEN, key, owner=owner) is None
    foreign = manifest | {"metadata": {"name": "chat-l4", "namespace": namespace, "labels": {"app": "web"}}}
    await client.apply(foreign, field_manager="somebody")
    with pytest.raises(Conflict, match="does not belong to this LLMService") as caught:
        await check_owned(client, NOTHING_SEEN, key, owner=owner)
    assert caught.value.reason == NAME_CONFLICT
    ours = await client.apply(endpoint(namespace, "chat-h100", owner_uid=uid))
    assert await check_owned(client, NOTHING_SEEN, key_of(ours), owner=owner) == ours["metadata"]["uid"]


def engine(namespace: str, *, uid: str, environment: list[Manifest] | None = None) -> Manifest:
    """A rendered Deployment, of a service with that uid."""
    service = factories.service("chat")
    metadata = service.metadata.model_copy(update={"namespace": namespace, "uid": uid})
    manifest = render_deployment(
        DeploymentInput(
            service=service.model_copy(update={"metadata": metadata}),
            profile=factories.profile(),
            pool=factories.pool(tolerations=[{"key": "gpu"}]),
            variant="l4",
            layout="abcdefgh",
            gpus_per_replica=1,
            engine_flags=(),
            replicas=0,
            surge=True,
        )
    )
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] += environment or []
    return manifest


async def test_what_the_api_server_holds_is_equal_to_what_was_applied_whatever_others_add(
    client: OfficialKubeClient, namespace: str
) -> None:
    uid = (await client.apply(llm_service(namespace)))["metadata"]["uid"]
    first = await client.apply(engine(namespace, uid=uid, environment=[{"name": "OLD", "value": "1"}]))
    assert first_difference(engine(namespace, uid=uid), first) == "spec.template.spec.containers[main].env[OLD]"
    manifest = engine(namespace, uid=uid)
    assert first_difference(manifest, await client.apply(manifest)) is None
    metadata = {"name": manifest["metadata"]["name"], "namespace": namespace}
    containers = [{"name": "main", "env": [{"name": "FOO", "value": "bar"}]}, {"name": "sidecar", "image": "proxy"}]
    theirs = {"replicas": 3, "template": {"spec": {"containers": containers, "hostNetwork": False}}}
    edited = await client.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": theirs}, field_manager="kubectl"
    )
    (found,) = differences(manifest, edited)
    assert (found.path, found.manager) == ("spec.replicas", "kubectl")
    assert first_difference(manifest, await client.apply(manifest)) is None


@pytest.mark.parametrize("by", ["medley", "velero"])
async def test_an_orphan_with_a_controller_that_is_gone_is_adopted(
    client: OfficialKubeClient, namespace: str, by: str
) -> None:
    """One object has one controller at most, so the old reference steps back in the same write.

    Where a garbage collector runs, it may take the orphan first: then the next orphan is tried.
    """
    uid = (await client.apply(llm_service(namespace)))["metadata"]["uid"]
    former = engine(namespace, uid="6a3c1b1e-0000-4000-8000-000000000000")
    owner = Owner(namespace, "chat", uid)
    for _ in range(5):
        orphan = await client.apply(former, field_manager=by)
        assert owner.may_adopt(orphan)
        after = await client.apply(adopted(engine(namespace, uid=uid), orphan, uid=uid))
        assert owner.controls(after)
        if after["metadata"]["uid"] == orphan["metadata"]["uid"]:
            break
        await client.delete(key_of(after), uid=after["metadata"]["uid"])
    assert after["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert after["metadata"]["generation"] == orphan["metadata"]["generation"]


async def test_lists_are_whole_over_several_pages_and_filtered_by_label(
    client: OfficialKubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "PAGE_SIZE", 2)
    owner = await client.apply(llm_service(namespace))
    for index in range(5):
        await client.apply(endpoint(namespace, f"chat-{index}", owner_uid=owner["metadata"]["uid"]))
    found = await listed(client, SERVICES, label_selector="app.kubernetes.io/managed-by=medley")
    mine = sorted(key_of(each).name for each in found if each["metadata"]["namespace"] == namespace)
    assert mine == [f"chat-{index}" for index in range(5)]
    assert {(each["apiVersion"], each["kind"]) for each in found} == {("v1", "Service")}


async def test_events_are_posted_about_objects_in_and_outside_of_namespaces(
    client: OfficialKubeClient, crds: Api, namespace: str
) -> None:
    made = await client.apply(llm_service(namespace))
    uid = made["metadata"]["uid"]
    note = EventNote(key_of(made), uid, EventType.WARNING, "PlanHeld", "m" * 2000)
    stamp = "2026-01-01T00:00:00.000000Z"
    await client.create_event(event_manifest(note, timestamp=stamp, instance="test"))
    found = crds.request("GET", EVENTS.path(namespace=namespace))[1]["items"]
    (event,) = [each for each in found if each["reason"] == "PlanHeld"]
    assert (event["regarding"]["uid"], event["type"], len(event["note"].encode())) == (uid, "Warning", 1024)
    pool = EventNote(ObjectKey("GPUPool", "", namespace), "uid", EventType.NORMAL, "Accepted", "seen")
    await client.create_event(event_manifest(pool, timestamp=stamp, instance="test"))
    found = crds.request("GET", EVENTS.path(namespace="default"))[1]["items"]
    assert [each["reason"] for each in found if each["regarding"].get("name") == namespace] == ["Accepted"]


async def test_what_breaks_the_schema_is_invalid_and_names_the_field(
    client: OfficialKubeClient, namespace: str
) -> None:
    bad = llm_service(namespace) | {"spec": {"model": {"uri": "s3://bucket"}}}
    with pytest.raises(Invalid, match=r"apply LLMService .*/chat.*spec\.model\.uri"):
        await client.apply(bad)


async def test_a_kind_that_is_not_served_is_not_found(client: OfficialKubeClient) -> None:
    with pytest.raises(NotFound):
        await listed(client, Resource("medley.dev", "v1alpha1", "Nothing", "nothings", True))


async def test_a_bare_service_account_is_forbidden_everything(
    control_plane: ControlPlane, crds: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crds.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "bare"}})
    monkeypatch.setenv("KUBECONFIG", str(control_plane.service_account_kubeconfig(namespace, "bare")))
    async with OfficialKubeClient() as client:
        for kind in (LLM_SERVICES, NODES, DEPLOYMENTS):
            with pytest.raises(Forbidden, match=f"cannot list {kind}.*system:serviceaccount:{namespace}:bare"):
                await listed(client, kind)


async def test_a_token_that_is_not_accepted_is_told_apart(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = control_plane.kubeconfig.read_text()
    token = text.split('"token": "')[1].split('"')[0]
    wrong = tmp_path / "wrong.kubeconfig"
    wrong.write_text(text.replace(token, "wrong"))
    monkeypatch.setenv("KUBECONFIG", str(wrong))
    async with OfficialKubeClient() as client:
        with pytest.raises(Forbidden) as caught:
            await listed(client, NODES)
        assert caught.value.reason == "Unauthorized"
        assert "wrong" not in caught.value.message
        # A token that was renewed in the file is picked up by the same client.
        wrong.write_text(text)
        await listed(client, NODES)


async def test_a_server_that_does_not_answer_is_unavailable(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "away.kubeconfig"
    away.write_text(control_plane.kubeconfig.read_text().replace(control_plane.api_url, "https://127.0.0.1:1"))
    monkeypatch.setenv("KUBECONFIG", str(away))
    async with OfficialKubeClient(timeout_seconds=2.0) as client:
        with pytest.raises(Unavailable, match=r"cannot list nodes: no connection to https://127\.0\.0\.1:1"):
            await listed(client, NODES)


async def test_without_credentials_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    async with OfficialKubeClient() as client:
        with pytest.raises(Forbidden, match="set KUBECONFIG"):
            await listed(client, NODES)


async def test_annotations_are_taken_from_the_pod_that_is_meant(
    crds: Api, client: OfficialKubeClient, namespace: str
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "chat-1", "namespace": namespace, "annotations": {**PROTECTION, "team": "a"}},
        "spec": {"containers": [{"name": "main", "image": "engine"}], "terminationGracePeriodSeconds": 0},
    }
    # The controller makes it, sooner or later.
    crds.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    made = await client.apply(manifest, field_manager="kubelet")
    key, taken = key_of(made), dict.fromkeys(PROTECTION)
    with pytest.raises(Conflict):
        await client.annotate(key, taken, uid="6a3c1b1e-0000-4000-8000-000000000000")
    uid = made["metadata"]["uid"]
    assert (await client.annotate(key, taken, uid=uid))["metadata"]["annotations"] == {"team": "a"}
    assert (await client.annotate(key, taken, uid=uid))["metadata"]["annotations"] == {"team": "a"}
    await client.delete(key, uid=uid)
    with pytest.raises(NotFound):
        await client.annotate(key, taken, uid=uid)
