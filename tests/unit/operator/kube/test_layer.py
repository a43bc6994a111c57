"""A decorator passes every verb on with all its arguments."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.kube.errors import Unavailable
from medley_operator.kube.layer import Layer, Noted, Pulse
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child


async def test_answers_and_arguments_pass() -> None:
    inner = FakeKubeClient()
    layer = Layer(inner)
    made = await layer.apply(child("Deployment", "chat-l4"))
    key = ObjectKey("Deployment", "demo", "chat-l4")
    assert await layer.get(key) == made
    await layer.delete(key, uid=made["metadata"]["uid"])
    assert await layer.get(key) is None


async def test_each_request_that_ends_is_reported_well_or_not() -> None:
    inner, ended = FakeKubeClient(), []
    inner.failing[("apply", "Deployment chat-l4")] = Unavailable("late")
    pulse = Pulse(inner, ended=lambda: ended.append(len(inner.calls)))
    await pulse.get(ObjectKey("Deployment", "demo", "chat-l4"))
    with pytest.raises(Unavailable):
        await pulse.apply(child("Deployment", "chat-l4"))
    assert ended == [1, 2]


async def test_what_a_write_returns_is_handed_on_and_what_is_read_is_not() -> None:
    seen: list[Manifest] = []
    noted = Noted(FakeKubeClient(), put=seen.append)
    made = await noted.apply(child("Deployment", "chat-l4"))
    assert await noted.get(ObjectKey("Deployment", "demo", "chat-l4")) == made
    await noted.delete(ObjectKey("Deployment", "demo", "chat-l4"), uid=made["metadata"]["uid"])
    assert seen == [made]
