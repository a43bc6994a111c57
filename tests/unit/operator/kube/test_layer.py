"""A decorator passes every verb on with all its arguments."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.kube.errors import Unavailable
from medley_operator.kube.layer import Layer, Pulse
from medley_operator.kube.resources import DEPLOYMENTS
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child


async def test_answers_and_arguments_pass() -> None:
    inner = FakeKubeClient()
    layer = Layer(inner)
    made = await layer.apply(child("Deployment", "chat-l4"))
    key = ObjectKey("Deployment", "demo", "chat-l4")
    assert await layer.get(key) == made
    assert await layer.list(DEPLOYMENTS, label_selector="app.kubernetes.io/managed-by=nobody") == []
    await layer.delete(key, uid=made["metadata"]["uid"])
    assert await layer.list(DEPLOYMENTS) == []


async def test_each_request_that_ends_is_reported_well_or_not() -> None:
    inner, ended = FakeKubeClient(), []
    inner.failing[("apply", "Deployment chat-l4")] = Unavailable("late")
    pulse = Pulse(inner, ended=lambda: ended.append(len(inner.calls)))
    await pulse.list(DEPLOYMENTS)
    with pytest.raises(Unavailable):
        await pulse.apply(child("Deployment", "chat-l4"))
    assert ended == [1, 2]
