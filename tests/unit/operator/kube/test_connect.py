"""The order of the decorators: what is kept back costs no token, and the fence is asked last."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.kube.connect import ClientRules, guarded
from medley_operator.kube.errors import NotLeader, Withheld
from medley_operator.metrics.exporter import Exporter
from medley_operator.settings import Settings
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child, service_manifest


@dataclass
class Leading:
    left: float = 10.0
    asked: list[float] = field(default_factory=list)

    def seconds_left(self) -> float:
        self.asked.append(self.left)
        return self.left


@dataclass
class Ended:
    count: int = 0

    def __call__(self) -> None:
        self.count += 1


async def test_the_fence_stands_in_every_mode() -> None:
    inner, ended = FakeKubeClient(), Ended()
    for mode in ActingMode:
        rules = ClientRules(leadership=Leading(left=0.0), counter=Exporter(), ended=ended)
        with pytest.raises(NotLeader):
            await guarded(inner, Settings(mode=mode), rules).apply_status(service_manifest())
    assert inner.calls == []
    assert ended.count == len(ActingMode)


async def test_a_mode_keeps_children_back_before_anything_else_is_asked() -> None:
    inner, leading = FakeKubeClient(), Leading()
    rules = ClientRules(leadership=leading, counter=Exporter(), ended=lambda: None)
    client = guarded(inner, Settings(mode=ActingMode.PAUSED), rules)
    with pytest.raises(Withheld):
        await client.apply(child("Deployment", "chat-l4"))
    assert leading.asked == []


async def test_a_leader_in_mode_auto_writes() -> None:
    inner = FakeKubeClient()
    rules = ClientRules(leadership=Leading(), counter=Exporter(), ended=lambda: None)
    await guarded(inner, Settings(), rules).apply(child("Deployment", "chat-l4"))
    assert inner.writes() == [("apply", "Deployment chat-l4")]


async def test_a_dry_run_sends_nothing_in_any_mode() -> None:
    inner, leading = FakeKubeClient(), Leading()
    for mode in ActingMode:
        rules = ClientRules(leadership=leading, counter=Exporter(), ended=lambda: None)
        with pytest.raises(Withheld, match="--dry-run"):
            await guarded(inner, Settings(mode=mode, dry_run=True), rules).apply_status(service_manifest())
    assert inner.calls == []
    assert leading.asked == []
