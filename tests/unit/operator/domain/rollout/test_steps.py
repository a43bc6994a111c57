"""New capacity is Ready before old is removed, whatever readiness does in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from medley_operator.domain.rollout.steps import PoolUse, VariantScale, fleet_replicas, next_replicas
from medley_operator.domain.values.service_key import ServiceKey

NAMES = ("a", "b", "c")
counts = st.integers(min_value=0, max_value=5)


def test_growth_is_applied_at_once_and_the_old_variant_waits() -> None:
    variants = {"l4": VariantScale(desired=0, current=4, ready=4), "h100": VariantScale(desired=1, current=0, ready=0)}
    assert next_replicas(variants) == {"l4": 4, "h100": 1}


def test_old_goes_when_new_is_ready() -> None:
    variants = {"l4": VariantScale(desired=0, current=4, ready=4), "h100": VariantScale(desired=1, current=1, ready=1)}
    assert next_replicas(variants) == {"l4": 0, "h100": 1}


def test_a_paused_variant_keeps_what_it_has_and_is_waited_for() -> None:
    paused = VariantScale(desired=4, current=2, ready=2, paused=True)
    old = VariantScale(desired=0, current=3, ready=3)
    assert next_replicas({"l4": paused, "h100": old}) == {"l4": 2, "h100": 3}


def test_plain_scale_down_waits_for_nothing() -> None:
    assert next_replicas({"l4": VariantScale(desired=1, current=4, ready=3)}) == {"l4": 1}


@settings(deadline=None)
@given(
    capacity=st.tuples(*[st.integers(min_value=1, max_value=9)] * 3),
    desired=st.tuples(counts, counts, counts),
    current=st.tuples(counts, counts, counts),
    fractions=st.tuples(*[st.floats(min_value=0, max_value=1)] * 3),
)
def test_a_step_never_takes_ready_capacity_below_the_plan(
    capacity: tuple[int, ...], desired: tuple[int, ...], current: tuple[int, ...], fractions: tuple[float, ...]
) -> None:
    ready = [round(count * fraction) for count, fraction in zip(current, fractions, strict=True)]
    applied = _step(desired, current, ready)
    # A ReplicaSet removes pods that are not Ready first.
    after = [min(count, now) for count, now in zip(ready, applied, strict=True)]
    floor = min(_capacity(capacity, ready), _capacity(capacity, desired))
    assert _capacity(capacity, after) >= floor


@settings(deadline=None)
@given(data=st.data())
def test_any_history_of_plans_and_readiness_keeps_capacity_and_converges(data: st.DataObject) -> None:
    capacity = data.draw(st.tuples(*[st.integers(min_value=1, max_value=9)] * 3))
    current, ready = [0, 0, 0], [0, 0, 0]
    desired: tuple[int, ...] = (0, 0, 0)
    for _ in range(data.draw(st.integers(min_value=1, max_value=8))):
        desired = data.draw(st.tuples(counts, counts, counts))
        for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
            before = _capacity(capacity, ready)
            current = _step(desired, current, ready)
            ready = [min(count, now) for count, now in zip(ready, current, strict=True)]
            assert _capacity(capacity, ready) >= min(before, _capacity(capacity, desired))
            # The world then makes pods Ready or breaks them as it likes.
            ready = [data.draw(st.integers(min_value=0, max_value=count)) for count in current]
    for _ in range(4):
        ready = list(current)
        current = _step(desired, current, ready)
    assert current == list(desired)


def test_two_services_that_wait_for_each_others_gpus_are_untied_one_at_a_time() -> None:
    a, b = ServiceKey("ns", "a"), ServiceKey("ns", "b")
    services = {
        a: {"l4": VariantScale(desired=0, current=4, ready=4), "h100": VariantScale(desired=1, current=1, ready=0)},
        b: {"l4": VariantScale(desired=4, current=4, ready=0), "h100": VariantScale(desired=0, current=1, ready=1)},
    }
    uses = {key: {"l4": PoolUse("l4", 1), "h100": PoolUse("h100", 1)} for key in services}
    applied = fleet_replicas(services, uses=uses, stock_gpus={"l4": 4, "h100": 1}, other_gpus={})
    assert applied[a] == {"l4": 0, "h100": 1}
    assert applied[b] == {"l4": 4, "h100": 1}


def test_a_full_pool_alone_releases_nothing_while_a_start_is_under_way() -> None:
    key = ServiceKey("ns", "a")
    services = {
        key: {"l4": VariantScale(desired=2, current=4, ready=4), "h100": VariantScale(desired=1, current=1, ready=0)}
    }
    uses = {key: {"l4": PoolUse("l4", 1), "h100": PoolUse("h100", 1)}}
    applied = fleet_replicas(services, uses=uses, stock_gpus={"l4": 3, "h100": 1}, other_gpus={})
    assert applied[key] == {"l4": 4, "h100": 1}


def _step(desired: tuple[int, ...], current: list[int] | tuple[int, ...], ready: list[int]) -> list[int]:
    variants = {
        name: VariantScale(desired=want, current=have, ready=up)
        for name, want, have, up in zip(NAMES, desired, current, ready, strict=True)
    }
    applied = next_replicas(variants)
    return [applied[name] for name in NAMES]


def _capacity(capacity: tuple[int, ...], replicas: list[int] | tuple[int, ...]) -> int:
    return sum(rps * count for rps, count in zip(capacity, replicas, strict=True))
