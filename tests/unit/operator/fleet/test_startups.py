"""Pods are listed in rounds where one may have become Ready, and what fails there stops nothing."""

from __future__ import annotations

from medley_operator.domain.values.snapshot import Manifest
from medley_operator.fleet.startups import StartupWatch
from medley_operator.kube.errors import Forbidden
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child


def deployment(ready: int, uid: str = "uid-d") -> Manifest:
    return {**child("Deployment", "chat-l4", uid=uid), "status": {"readyReplicas": ready}}


async def test_pods_are_listed_only_after_more_became_ready() -> None:
    client = FakeKubeClient()
    labels = child("Deployment", "chat-l4")["metadata"]["labels"]
    client.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "demo", "labels": labels}})
    client.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "namespace": "demo"}})
    watch = StartupWatch(client)
    names = [
        [each["metadata"]["name"] for each in await watch.pods([deployment(ready)])] for ready in (0, 2, 2, 1, 1, 2)
    ]
    assert names == [[], ["a"], [], [], [], ["a"]]
    assert len(client.calls) == 2


async def test_a_list_that_fails_gives_no_pods_and_is_tried_again() -> None:
    client = FakeKubeClient()
    client.failing["list", "pods"] = Forbidden("cannot list pods")
    watch = StartupWatch(client)
    assert await watch.pods([deployment(1)]) == ()
    assert await watch.pods([deployment(1)]) == ()
    client.failing.clear()
    await watch.pods([deployment(1)])
    assert [call for call in client.calls if call == ("list", "pods")] == [("list", "pods")] * 3
