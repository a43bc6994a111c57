"""How fast requests go out, and what a server that asks for patience gets."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.kube.errors import Forbidden, KubeError, Throttled, Unavailable
from medley_operator.kube.limiter import LONGEST_PAUSE_SECONDS, MOST_TRIES, RateLimited, TokenBucket
from tests.unit.operator.fleet.fake_kube import FakeKubeClient
from tests.unit.operator.fleet.objects import child, service_manifest

KEY = ObjectKey("Deployment", "demo", "chat-l4")


@dataclass
class Time:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Refusing(FakeKubeClient):
    """Answers the first writes with these errors."""

    def __init__(self, *errors: KubeError) -> None:
        super().__init__()
        self.errors = list(errors)

    def _call(self, verb: str, name: str) -> None:
        super()._call(verb, name)
        if verb == "apply" and self.errors:
            raise self.errors.pop(0)


def limited(inner: FakeKubeClient, time: Time, *, qps: float = 20.0, burst: int = 50) -> RateLimited:
    return RateLimited(inner, qps=qps, burst=burst, clock=time, sleep=time.sleep)


def test_a_bucket_gives_a_burst_at_once_and_then_a_steady_rate() -> None:
    bucket = TokenBucket(qps=20.0, burst=50)
    assert [bucket.take(0.0) for _ in range(50)] == [0.0] * 50
    assert [round(bucket.take(0.0), 3) for _ in range(3)] == [0.05, 0.1, 0.15]
    assert bucket.take(10.0) == 0.0


def test_a_bucket_that_rests_for_long_holds_no_more_than_its_burst() -> None:
    bucket = TokenBucket(qps=1.0, burst=2)
    assert bucket.take(0.0) == 0.0
    assert [bucket.take(1000.0) for _ in range(3)] == [0.0, 0.0, 1.0]


async def test_writes_are_limited_to_20_a_second_after_a_burst_of_50() -> None:
    time, inner = Time(), FakeKubeClient()
    client = limited(inner, time)
    for index in range(90):
        await client.apply(child("Deployment", f"chat-{index}"))
    assert time.now == pytest.approx(2.0)


def test_a_token_with_others_to_spare_is_waited_for_longer() -> None:
    bucket = TokenBucket(qps=20.0, burst=50)
    assert [round(bucket.take(0.0, spared=10.0), 3) for _ in range(42)] == [0.0] * 40 + [0.05, 0.1]
    assert bucket.take(0.0) == 0.0


async def test_a_flood_of_statuses_leaves_a_part_of_the_burst_to_children() -> None:
    """500 statuses and Events, and a child that others changed waited for its turn among them."""
    time = Time()
    client = limited(FakeKubeClient(), time)
    status = {**service_manifest(), "status": {"mix": "l4:1/1"}}
    client._inner.put(status)  # type: ignore[attr-defined]
    for _ in range(60):
        await client.apply_status(status)
    assert time.now == pytest.approx(1.0)
    for index in range(11):
        await client.apply(child("Deployment", f"chat-{index}"))
    assert time.now == pytest.approx(1.05)


async def test_a_burst_of_writes_does_not_hold_up_the_next_look() -> None:
    time = Time()
    client = limited(FakeKubeClient(), time, qps=1.0, burst=1)
    await client.apply(child("Deployment", "chat-l4"))
    await client.get(KEY)
    assert time.now == 0.0
    await client.get(KEY)
    assert time.now == 1.0


async def test_a_retry_after_is_waited_for_and_the_write_is_repeated() -> None:
    time, inner = Time(), Refusing(Throttled("busy", retry_after_seconds=7.0))
    await limited(inner, time).apply(child("Deployment", "chat-l4"))
    assert time.slept == [7.0]
    assert len(inner.writes()) == 2


async def test_a_retry_after_holds_up_all_writes_and_no_read() -> None:
    time = Time()
    client = limited(Refusing(*[Throttled("busy", retry_after_seconds=3.0)] * MOST_TRIES), time)
    with pytest.raises(Throttled):
        await client.apply(child("Deployment", "chat-l4"))
    assert time.now == 6.0
    await client.get(KEY)
    assert time.now == 6.0
    await client.apply(child("Deployment", "chat-h100"))
    assert time.now == 9.0


async def test_retries_are_few_and_pauses_are_bounded() -> None:
    time, inner = Time(), Refusing(*[Throttled("busy", retry_after_seconds=1e9)] * 99)
    with pytest.raises(Throttled):
        await limited(inner, time).apply(child("Deployment", "chat-l4"))
    assert len(inner.writes()) == MOST_TRIES
    assert time.now == (MOST_TRIES - 1) * LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize("error", [Unavailable("late"), Forbidden("no")])
async def test_what_may_have_been_done_or_never_will_be_is_not_repeated(error: KubeError) -> None:
    time, inner = Time(), Refusing(error)
    with pytest.raises(type(error)):
        await limited(inner, time).apply(child("Deployment", "chat-l4"))
    assert len(inner.writes()) == 1
    assert time.slept == []
