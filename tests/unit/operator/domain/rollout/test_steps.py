"""New capacity is Ready before old is removed, whatever readiness does in between."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from medley_operator.domain.rollout.steps import PoolUse, VariantScale, may_be_tied, next_replicas, untied
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Holder, Ledger, NodeStock, PlacedPod, PoolStock, Workload

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


A, B = ServiceKey("ns", "a"), ServiceKey("ns", "b")


def _workload(key: ServiceKey, variant: str, *, replicas: int, placed: int) -> Workload:
    ready = min(replicas, placed)
    return Workload(Holder(key, variant), f"{key.name}-{variant}", variant, 1, replicas, ready=ready, placed=placed)


def _node(gpus: int, *running: tuple[ServiceKey, str, int], **fields: Any) -> NodeStock:
    pods = tuple(PlacedPod(Holder(key, variant), 1) for key, variant, count in running for _ in range(count))
    return NodeStock("n", gpus, **{"open": True, **fields}, running=pods)


def _ledger(*workloads: Workload, **pools: NodeStock) -> Ledger:
    stock = {name: PoolStock((node,), pods_known=True, free_by_node=(node.free_gpus,)) for name, node in pools.items()}
    return Ledger(stock, workloads, pods_known=True)


def _uses(*keys: ServiceKey) -> dict[ServiceKey, dict[str, PoolUse]]:
    return {key: {name: PoolUse(name, 1, f"{key.name}-{name}") for name in ("l4", "h100")} for key in keys}


def _tied() -> dict[ServiceKey, dict[str, VariantScale]]:
    """Each of two services waits for the GPUs that the other's surplus holds."""
    return {
        A: {"l4": VariantScale(desired=0, current=4, ready=4), "h100": VariantScale(desired=1, current=1, ready=0)},
        B: {"l4": VariantScale(desired=4, current=4, ready=0), "h100": VariantScale(desired=0, current=1, ready=1)},
    }


def _workloads() -> tuple[Workload, ...]:
    a = _workload(A, "l4", replicas=4, placed=4), _workload(A, "h100", replicas=1, placed=0)
    return (*a, _workload(B, "l4", replicas=4, placed=0), _workload(B, "h100", replicas=1, placed=1))


def _after(
    services: dict[ServiceKey, dict[str, VariantScale]], ledger: Ledger, *keeping: ServiceKey
) -> dict[ServiceKey, dict[str, int]]:
    """`keeping`: services whose load is carried whatever they release; all, where none is named."""
    applied = {key: next_replicas(variants) for key, variants in services.items()}
    assert may_be_tied(services, applied)
    keeps = (lambda key, _replicas: key in keeping) if keeping else (lambda _key, _replicas: True)
    return untied(services, applied, uses=_uses(*services), ledger=ledger, keeps_load=keeps)


KEPT = {A: {"l4": 4, "h100": 1}, B: {"l4": 4, "h100": 1}}


def test_two_services_that_wait_for_each_others_gpus_are_untied_one_at_a_time() -> None:
    ledger = _ledger(*_workloads(), l4=_node(4, (A, "l4", 4)), h100=_node(1, (B, "h100", 1)))
    assert _after(_tied(), ledger) == {**KEPT, A: {"l4": 0, "h100": 1}}


def test_one_that_carries_its_load_without_gives_up_before_others() -> None:
    ledger = _ledger(*_workloads(), l4=_node(4, (A, "l4", 4)), h100=_node(1, (B, "h100", 1)))
    assert _after(_tied(), ledger, B) == {**KEPT, B: {"l4": 4, "h100": 0}}


def test_where_the_load_is_not_carried_then_as_few_go_as_give_one_replica_room() -> None:
    """Four Ready replicas went at once for four that wait, and the service had none left until an H100 was free."""
    ledger = _ledger(*_workloads(), l4=_node(4, (A, "l4", 4)), h100=_node(1, (B, "h100", 1)))
    nobody = ServiceKey("ns", "nobody")
    assert _after(_tied(), ledger, nobody) == {**KEPT, A: {"l4": 3, "h100": 1}}


def test_a_replica_of_two_gpus_gets_the_room_of_two() -> None:
    """The same pool, another layout: two of the four small ones make room for the first large one."""
    services = {
        A: {"l4": VariantScale(desired=0, current=4, ready=4), "l4-tp2": VariantScale(desired=2, current=2, ready=0)}
    }
    uses = {A: {"l4": PoolUse("l4", 1, "a-l4"), "l4-tp2": PoolUse("l4", 2, "a-l4-tp2")}}
    large = Workload(Holder(A, "l4-tp2"), "a-l4-tp2", "l4", 2, 2, ready=0, placed=0)
    ledger = _ledger(_workload(A, "l4", replicas=4, placed=4), large, l4=_node(4, (A, "l4", 4)))
    applied = {A: next_replicas(services[A])}
    done = untied(services, applied, uses=uses, ledger=ledger, keeps_load=lambda _key, _replicas: False)
    assert done == {A: {"l4": 2, "l4-tp2": 2}}


def test_pods_that_end_are_waited_for_and_release_nothing() -> None:
    ending = _node(8, (A, "l4", 4), ending_gpus=4)
    ledger = _ledger(*_workloads(), l4=ending, h100=_node(1, (B, "h100", 1)))
    assert _after(_tied(), ledger) == KEPT


def test_ready_replicas_on_a_node_that_takes_no_pods_are_released_for_nobody() -> None:
    """A foreign pod took the GPUs that were planned: what stands on cordoned nodes gives them to none."""
    cordoned = _node(4, (A, "l4", 4), open=False)
    ledger = _ledger(*_workloads(), l4=cordoned, h100=_node(1, (B, "h100", 1), foreign_gpus=0))
    # What helps is released: the replica that stands where there is room for another.
    assert _after(_tied(), ledger) == {**KEPT, B: {"l4": 4, "h100": 0}}
    ledger = _ledger(*_workloads(), l4=cordoned, h100=_node(1, (B, "h100", 1), open=False))
    assert _after(_tied(), ledger) == KEPT


def test_where_pods_cannot_be_seen_nothing_is_released() -> None:
    stock = {name: PoolStock((NodeStock("", gpus, open=True),), free_by_node=(0,)) for name, gpus in SIZES.items()}
    assert _after(_tied(), Ledger(stock, _workloads())) == KEPT


SIZES = {"l4": 4, "h100": 1}


def test_a_full_pool_alone_releases_nothing_while_a_start_is_under_way() -> None:
    services = {
        A: {"l4": VariantScale(desired=2, current=4, ready=4), "h100": VariantScale(desired=1, current=1, ready=0)}
    }
    workloads = _workload(A, "l4", replicas=4, placed=4), _workload(A, "h100", replicas=1, placed=1)
    ledger = _ledger(*workloads, l4=_node(4, (A, "l4", 4)), h100=_node(1, (A, "h100", 1)))
    assert _after(services, ledger) == {A: {"l4": 4, "h100": 1}}


def test_a_service_that_never_starts_holds_up_no_other() -> None:
    """A tenant whose pods were in CrashLoopBackOff kept all services of the fleet tied for ever."""
    crashing = {"l4": VariantScale(desired=1, current=1, ready=0)}
    c = ServiceKey("ns", "c")
    workloads = *_workloads(), _workload(c, "l4", replicas=1, placed=1)
    ledger = _ledger(*workloads, l4=_node(5, (A, "l4", 4), (c, "l4", 1)), h100=_node(1, (B, "h100", 1)))
    assert _after({**_tied(), c: crashing}, ledger)[A] == {"l4": 0, "h100": 1}
    # It has a surplus that waits for its start, and is known to fail: its own replicas stay, and others are untied.
    failing = {"h100": VariantScale(0, 1, 1), "l4": VariantScale(desired=1, current=1, ready=0, stuck=True)}
    workloads = *workloads, _workload(c, "h100", replicas=1, placed=1)
    ledger = _ledger(*workloads, l4=_node(5, (A, "l4", 4), (c, "l4", 1)), h100=_node(2, (B, "h100", 1), (c, "h100", 1)))
    done = _after({**_tied(), c: failing}, ledger)
    assert done == {**KEPT, A: {"l4": 0, "h100": 1}, c: {"h100": 1, "l4": 1}}


def _as_told(goes: bool, _key: ServiceKey, _name: str) -> bool:
    return goes


def test_a_shrink_under_way_holds_up_those_alone_that_it_may_make_room_for() -> None:
    """A tenant whose route was refused kept its surplus, and all services of the fleet tied for ever."""
    c = ServiceKey("ns", "c")
    for pool, goes, untied_now in (
        ("a100", True, True),
        ("l4", True, False),
        ("h100", True, False),
        ("l4", False, True),
    ):
        going = {pool: VariantScale(desired=0, current=1, ready=1)}
        uses = {**_uses(A, B), c: {pool: PoolUse(pool, 1, f"c-{pool}")}}
        services = {**_tied(), c: going}
        applied = {key: next_replicas(variants) for key, variants in services.items()}
        ledger = _ledger(*_workloads(), l4=_node(4, (A, "l4", 4)), h100=_node(1, (B, "h100", 1)))
        done = untied(services, applied, uses=uses, ledger=ledger, goes=partial(_as_told, goes))
        assert (done[A] == {"l4": 0, "h100": 1}) is untied_now
        assert done[c] == {pool: 0}


def test_only_a_surplus_that_waits_may_be_tied() -> None:
    grows = {A: {"l4": VariantScale(desired=2, current=1, ready=1)}}
    assert not may_be_tied(grows, {A: {"l4": 2}})
    paused = {A: {"l4": VariantScale(desired=1, current=2, ready=2, paused=True)}}
    assert not may_be_tied(paused, {A: {"l4": 2}})
    assert not may_be_tied({A: {"l4": VariantScale(desired=0, current=1, ready=1)}}, {A: {"l4": 0}})


def _step(desired: tuple[int, ...], current: list[int] | tuple[int, ...], ready: list[int]) -> list[int]:
    variants = {
        name: VariantScale(desired=want, current=have, ready=up)
        for name, want, have, up in zip(NAMES, desired, current, ready, strict=True)
    }
    applied = next_replicas(variants)
    return [applied[name] for name in NAMES]


def _capacity(capacity: tuple[int, ...], replicas: list[int] | tuple[int, ...]) -> int:
    return sum(rps * count for rps, count in zip(capacity, replicas, strict=True))
