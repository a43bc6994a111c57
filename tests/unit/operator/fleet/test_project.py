"""What is kept of nodes and pods, and how little it is."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from medley_operator.domain.engine.startup_protection import PROTECTION
from medley_operator.domain.rollout.diff import differences, is_set_by_others
from medley_operator.domain.values.labels import DELETION_COST, child_labels
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.power import GpuHeld, NodeCaps, leases_by_domain
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import PodTrouble, PodView, Taint
from medley_operator.fleet import project
from medley_operator.fleet.project import node_caps, node_view, plain, pod_view
from medley_operator.fleet.store import Store
from medley_operator.kube.client import WatchEvent, WatchType

AT = "2026-11-24T12:00:00Z"
UNIX = 1795521600.0
GPU = "nvidia.com/gpu"
OURS = child_labels(service="chat", component="engine", variant="l4", pool="l4")


def node(*, ready: str = "True", allocatable: dict[str, str] | None = None, **spec: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n", "labels": {"gpu": "l4"}, "creationTimestamp": AT},
        "spec": spec,
        "status": {
            "allocatable": allocatable or {"cpu": "15500m", "memory": "1Gi", GPU: "8", "hugepages-2Mi": "0"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
        },
    }


def pod(
    *containers: dict[str, Any],
    labels: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p", "namespace": "n", "uid": "u", "creationTimestamp": AT, "labels": labels or {},
            **(metadata or {}),
        },
        "spec": {"containers": list(containers) or [takes(1)], **spec},
        "status": {"phase": "Pending", **(status or {})},
    }  # fmt: skip


def takes(count: int | str, *, resource: str = GPU, **fields: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"limits": {resource: str(count), "cpu": "4"}}, **fields}


def view(*containers: dict[str, Any], **parts: Any) -> PodView:
    found = pod_view(pod(*containers, **parts))
    assert found is not None
    return found


def test_a_node_is_seen_whole_whether_it_takes_pods_or_not() -> None:
    seen = node_view(node())
    assert (seen.name, seen.labels, seen.allocatable, seen.created_at) == ("n", {"gpu": "l4"}, {GPU: 8}, UNIX)
    assert seen.usable
    assert not node_view(node(ready="Unknown")).ready
    assert node_view(node(unschedulable=True)).cordoned
    taints = [{"key": "gpu", "effect": "NoSchedule"}, {"key": "a", "value": "b", "effect": "NoExecute"}]
    assert node_view(node(taints=taints)).taints == (Taint("gpu", "", "NoSchedule"), Taint("a", "b", "NoExecute"))
    going = node()
    going["metadata"]["deletionTimestamp"] = AT
    assert node_view(going).leaving
    assert not node_view({"kind": "Node", "metadata": {"name": "n"}}).ready


@pytest.mark.parametrize(("written", "count"), [("8", 8), ("1k", 1000), ("2e0", 2), ("many", None), ("", None)])
def test_counts_of_nodes_are_quantities(written: str, count: int | None) -> None:
    """The API server stores 1000 as "1k"; `int` of that ended every round."""
    assert node_view(node(allocatable={GPU: written})).allocatable.get(GPU) == count


def test_a_heartbeat_of_a_node_changes_nothing() -> None:
    beats = node()
    beats["metadata"]["resourceVersion"] = "9"
    beats["status"]["conditions"][1]["lastHeartbeatTime"] = AT
    beats["status"]["images"] = [{"names": ["a"]}]
    assert node_view(beats) == node_view(node())


def test_pods_without_an_extended_resource_are_left_out_unless_they_are_ours() -> None:
    assert pod_view(pod({"name": "c", "resources": {"limits": {"cpu": "1"}}})) is None
    ours = view({"name": "c"}, labels=OURS)
    assert (ours.gpus, ours.labels) == ({}, OURS)
    assert view(labels={"app": "notebook"}).labels == {}


@pytest.mark.parametrize(
    ("spec", "gpus"),
    [
        ({"containers": [takes(1), takes(2)]}, {GPU: 3}),
        ({"containers": [takes("1k")]}, {GPU: 1000}),
        ({"containers": [takes(1)], "initContainers": [takes(4)]}, {GPU: 4}),
        ({"containers": [takes(2)], "initContainers": [takes(1, restartPolicy="Always"), takes(1)]}, {GPU: 3}),
        ({"containers": [takes(1)], "initContainers": [takes(1, restartPolicy="Always"), takes(4)]}, {GPU: 5}),
        ({"containers": [{"name": "c", "resources": {"requests": {GPU: "2"}}}]}, {GPU: 2}),
        ({"containers": [takes(1), takes(3, resource="amd.com/gpu")]}, {GPU: 1, "amd.com/gpu": 3}),
    ],
)
def test_gpus_are_what_the_scheduler_counts(spec: dict[str, Any], gpus: dict[str, int]) -> None:
    assert view(**spec).gpus == gpus


def test_a_pod_with_nothing_but_nonsense_or_zero_holds_nothing() -> None:
    assert pod_view(pod(takes("many"))) is None
    assert pod_view(pod(takes(0))) is None


def test_where_a_pod_is_and_whose_it_is() -> None:
    owners = [{"kind": "Job", "uid": "no"}, {"kind": "ReplicaSet", "uid": "rs", "controller": True}]
    seen = view(nodeName="n1", metadata={"ownerReferences": owners, "deletionTimestamp": AT})
    assert (seen.node, seen.place, seen.controller, seen.terminating) == ("n1", "n1", ("ReplicaSet", "rs"), True)
    waiting = view(status={"nominatedNodeName": "n2"})
    assert (waiting.node, waiting.place, waiting.created_at) == ("", "n2", UNIX)


def test_what_has_ended_holds_nothing_and_is_kept_only_where_it_is_ours() -> None:
    for phase in ("Succeeded", "Failed"):
        assert pod_view(pod(status={"phase": phase})) is None
        assert view(status={"phase": phase}, labels=OURS).ended


def condition(status: str, reason: str = "", message: str = "", *, type_: str = "PodScheduled") -> dict[str, Any]:
    told = {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": AT}
    return {"conditions": [told]}


def container(
    state: dict[str, Any], last: dict[str, Any] | None = None, *, ready: bool = False, restarts: int = 0
) -> dict[str, Any]:
    each = {"name": "vllm", "ready": ready, "state": state, "lastState": last or {}, "restartCount": restarts}
    return {"containerStatuses": [each]} | condition("True")


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(reason: str, code: int = 1) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": code, "finishedAt": AT}}


NO_ROOM = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
TROUBLES: dict[str, tuple[dict[str, Any], PodTrouble | None]] = {
    "fresh": ({}, None),
    "no room": (condition("False", "Unschedulable", NO_ROOM), PodTrouble("Unschedulable", NO_ROOM, UNIX)),
    "gated": (condition("False", "SchedulingGated", "waits for Kueue"), None),
    "starts": (container(waits("ContainerCreating")), None),
    "inits": (container(waits("PodInitializing")), None),
    "runs": (container({"running": {"startedAt": AT}}), None),
    **{
        reason: (container(waits(reason, "told")), PodTrouble(reason, "told", UNIX))
        for reason in (
            *("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"),
            *("CreateContainerError", "RunContainerError", "CrashLoopBackOff"),
        )
    },
    "no memory": (
        container(waits("CrashLoopBackOff", "back-off"), ended("OOMKilled", 137), restarts=3),
        PodTrouble("OOMKilled", "container vllm took more memory than its limit and was killed; restarts: 3", UNIX),
    ),
    "no memory once": (
        container({"running": {"startedAt": AT}}, ended("OOMKilled", 137), ready=True, restarts=1),
        None,
    ),
    "ends": (container(ended("Error", 2)), PodTrouble("Error", "container vllm ended with exit code 2", UNIX)),
    "done": (container(ended("Completed", 0)), None),
    "refused": (
        {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed", "startTime": AT},
        PodTrouble("UnexpectedAdmissionError", "Allocate failed", UNIX),
    ),
    "failed": ({"phase": "Failed"}, PodTrouble("Failed", "", None)),
    "in init": (
        {"initContainerStatuses": [{"name": "load", "state": waits("ImagePullBackOff", "no such image")}]},
        PodTrouble("ImagePullBackOff", "no such image", None),
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble(name: str) -> None:
    status, expected = TROUBLES[name]
    seen = view(status=status, labels=OURS)
    assert seen.trouble == expected
    assert seen.gated is (name == "gated")


@pytest.mark.parametrize(
    ("status", "since"),
    [
        ({}, None),
        (condition("False", "Unschedulable"), None),
        (condition("True"), UNIX),
        (container(waits("ContainerCreating")), UNIX),
        (container({"running": {"startedAt": AT}}), None),
        (container(ended("Error")), None),
    ],
    ids=["fresh", "no room", "bound", "creates", "runs", "ends"],
)
def test_a_pod_is_created_from_when_it_is_bound_until_a_container_starts(
    status: dict[str, Any], since: float | None
) -> None:
    assert view(status=status, labels=OURS).creating_since == since
    assert view(status=status).creating_since is None, "of others nobody asks"


def test_restarts_and_readiness() -> None:
    status = container({"running": {"startedAt": AT}}, restarts=2) | condition("True", type_="Ready")
    seen = view(status=status)
    assert seen.ready


def test_messages_are_bounded() -> None:
    told = view(status=condition("False", "Unschedulable", "x" * 9999)).trouble
    assert told is not None
    assert len(told.message) == 400


def test_the_start_of_a_replica_is_read_off_our_pods_only() -> None:
    times = {
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": f"2026-11-24T12:0{minute}:00Z"}
            for kind, minute in (("PodScheduled", 1), ("Ready", 4))
        ],
        "containerStatuses": [{"name": "c", "state": {"running": {"startedAt": "2026-11-24T12:02:00Z"}}}],
    }
    ours = view(labels=OURS, status=times)
    assert ours.start is not None
    assert (ours.start.uid, ours.start.seconds["total"]) == ("u", 240)  # type: ignore[index]
    assert view(status=times).start is None


@pytest.mark.parametrize("labels", [OURS, {}])
def test_the_start_up_protection_is_read_off_our_pods_only(labels: dict[str, str]) -> None:
    assert view(labels=labels, metadata={"annotations": {**PROTECTION, "team": "a"}}).protected is bool(labels)
    assert not view(labels=labels).protected


@pytest.mark.parametrize(
    ("written", "cost"), [("-1000", -1000), ("7", 7), ("many", 0), ("1.5", 0), ("99999999999", 0), (None, 0)]
)
def test_the_deletion_cost_is_what_a_replica_set_goes_by(written: str | None, cost: int) -> None:
    annotations = {} if written is None else {DELETION_COST: written}
    assert view(labels=OURS, metadata={"annotations": annotations}).deletion_cost == cost
    assert view(metadata={"annotations": annotations}).deletion_cost == 0


def test_plain_manifests_change_only_where_something_does() -> None:
    status = {"manager": "kube-controller-manager", "subresource": "status", "time": AT}
    body = {
        "kind": "Deployment",
        "metadata": {"name": "a", "resourceVersion": "1", "managedFields": [{"manager": "medley", "time": AT}, status]},
        "spec": {},
    }
    kept = {"name": "a", "managedFields": [{"manager": "medley"}]}
    assert plain(body) == {"kind": "Deployment", "metadata": kept, "spec": {}}


def test_equal_parts_of_manifests_are_one_object() -> None:
    """Two thousand Deployments took 41 KB of memory each, most of it for what they have in common."""

    def deployment(name: str, replicas: int) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads('{"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}')
        containers = [{"name": "vllm", "args": ["--port", "8000"], "ports": [{"containerPort": 8000}]}]
        return {
            "kind": "Deployment",
            "metadata": {"name": name, "managedFields": [{"manager": "medley", "fieldsV1": fields}]},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}},
        }

    a, b = (plain(deployment(name, replicas)) for name, replicas in (("a", 1000), ("b", 2000)))
    assert (a, b) == (deployment("a", 1000), deployment("b", 2000))
    assert a["spec"]["template"] is b["spec"]["template"]
    assert a["metadata"]["managedFields"] is b["metadata"]["managedFields"]
    assert a["spec"] is not b["spec"]


def test_parts_that_are_only_alike_are_not_shared() -> None:
    a, b, c = (plain({"kind": "X", "metadata": {}, "spec": spec}) for spec in ({"x": 1}, {"x": True}, {"x": "1"}))
    assert [type(each["spec"]["x"]) for each in (a, b, c)] == [int, bool, str]
    specs: tuple[dict[str, Any], ...] = ({"a": ["b"]}, {"a": {"b": {}}})
    for spec in specs:
        assert plain({"kind": "X", "metadata": {}, "spec": spec})["spec"] == spec


def test_the_memory_of_parts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "MOST_PARTS", 8)
    for number in range(100):
        spec = {"number": number, "inside": [{"number": number}]}
        assert plain({"kind": "X", "metadata": {}, "spec": spec})["spec"] == spec
        assert len(project._PARTS._known) <= 8


def test_what_we_set_before_and_not_now_is_seen_of_a_child_in_memory() -> None:
    """Without managed fields a variable that a profile does not give any more stayed in the pods for ever."""
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}}}
    managed = [{"manager": "medley", "operation": "Apply", "fieldsV1": fields}]
    held = {"metadata": {"name": "a", "managedFields": managed}, "spec": {"replicas": 1, "minReadySeconds": 9}}
    assert [each.path for each in differences({"spec": {"replicas": 1}}, plain(held))] == ["spec.minReadySeconds"]


def test_who_scaled_a_child_by_its_subresource_is_seen() -> None:
    """`kubectl scale` was not named, and a paused Deployment kept the replicas that it gave."""
    scale = {
        "manager": "kubectl",
        "operation": "Update",
        "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    held = plain({"metadata": {"name": "a", "managedFields": [scale]}, "spec": {"replicas": 9}})
    assert [each.manager for each in differences({"spec": {"replicas": 1}}, held)] == ["kubectl"]
    assert is_set_by_others(held, ("f:spec", "f:replicas"))


def running_pod(number: int) -> str:
    """JSON of a running engine pod, one of eight replicas of a ReplicaSet."""
    group = number // 8
    times = {
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": f"2026-11-24T12:0{minute}:00Z"}
            for kind, minute in (("PodScheduled", 1), ("Ready", 4))
        ],
        "containerStatuses": [
            {"name": "vllm", "state": {"running": {"startedAt": "2026-11-24T12:02:00Z"}}, "ready": True}
        ],
        "phase": "Running",
    }
    owner = {"kind": "ReplicaSet", "uid": f"8c1e3a52-77aa-4f0d-9c1f-{group:012d}", "controller": True}
    metadata = {
        "name": f"service-{group:04d}-l4-tp1-6b8f9c7d5-{number:05d}",
        "namespace": f"team-{group % 50}",
        "uid": f"0f6c2b1e-55ab-4d7e-8a9b-{number:012d}",
        "resourceVersion": str(1_000_000 + number),
        "ownerReferences": [owner],
        "labels": child_labels(service=f"service-{group:04d}", component="engine", variant="l4-tp1", pool="l4")
        | {"pod-template-hash": "6b8f9c7d5"},
    }
    return json.dumps(pod(takes(1), metadata=metadata, status=times, nodeName=f"node-{number // 8}"))


def bytes_of(texts: list[str], store: Store[PodView]) -> int:
    """What the store holds of these pods, and what else grew while it read them."""
    tracemalloc.start()
    try:
        listed = {}
        for text in texts:
            listed.update(store.read([json.loads(text)]))
        store.replace(listed, version=2_000_000)
        del listed
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_pod_takes_little_more_than_a_kilobyte() -> None:
    """M5: ten thousand raw pods took 349 MiB; kept like this they take 12. The table of all interned names doubles when
    it is full, which depends on what was imported, and does so for one of two lists at most."""
    count = 2000
    stores = [Store(pod_view), Store(pod_view)]
    used = [
        bytes_of([running_pod(turn * count + number) for number in range(count)], store)
        for turn, store in enumerate(stores)
    ]
    assert [len(store.values) for store in stores] == [count, count]
    assert min(used) / count <= 1400


def test_the_caps_of_a_node_are_what_its_agent_reports() -> None:
    """A renewal of the lease is no change, and what is only shown holds no GPU and confirms no domain."""
    gpus = [
        {"uuid": "a", "maxClockMhz": 1980, "enforcedClockMhz": 1564, "appliedAt": "1970-01-01T00:10:00Z"},
        {"uuid": "b", "defaultCapWatts": 700, "enforcedWatts": 700, "pods": ["team/chat-0"]},
        {"uuid": "c", "defaultCapWatts": 700, "enforcedWatts": 392, "maxClockMhz": 1980},
        {"uuid": "d", "state": "Lost"},
    ]
    cap: dict[str, Any] = {
        "metadata": {"name": "n"},
        "spec": {"mode": "Enforce", "domains": ["rack", "row"], "lease": lease(1000)},
        "status": {"gpus": gpus},
    }
    held = node_caps(cap)
    assert held.gpus == (GpuHeld(79, changed_at=600.0), GpuHeld(100, ("team/chat-0",)), GpuHeld(56), GpuHeld(100))
    assert (held.domains, held.leased_until) == (("rack", "row"), 1030.0)
    renewed = node_caps({**cap, "spec": {**cap["spec"], "lease": lease(1012)}})
    assert renewed == held
    assert renewed.leased_until == 1042.0
    assert node_caps({**cap, "spec": {**cap["spec"], "mode": "Shadow"}}) == NodeCaps()
    for broken in ({}, {"lease": None}, {"lease": {"renewTime": "1"}}):
        assert node_caps({"metadata": {"name": "n"}, "spec": broken}) == NodeCaps()


def test_a_renewal_moves_on_what_confirms_a_domain_and_is_no_change() -> None:
    def cap(node: str, *domains: str, renewed: int, version: int) -> dict[str, Any]:
        about = {"name": node, "resourceVersion": str(version)}
        return {
            "apiVersion": "medley.dev/v1alpha1",
            "kind": "NodePowerCap",
            "metadata": about,
            "spec": {"domains": list(domains), "lease": lease(renewed)},
        }

    store = Store(node_caps)
    caps = [cap("a", "rack-a", "row", renewed=1000, version=1), cap("b", "rack-b", "row", renewed=1005, version=2)]
    store.replace(store.read(caps), version=2)
    assert leases_by_domain(store.values.values()) == {"rack-a": 1030.0, "rack-b": 1035.0, "row": 1035.0}
    renewal = WatchEvent(WatchType.MODIFIED, cap("a", "rack-a", "row", renewed=1012, version=3))
    assert store.see(renewal) is None
    assert leases_by_domain(store.values.values()) == {"rack-a": 1042.0, "rack-b": 1035.0, "row": 1042.0}


def lease(renewed: int) -> dict[str, Any]:
    return {"holder": "power-0", "renewTime": utc_text(renewed), "durationSeconds": 30}
