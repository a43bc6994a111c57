"""Route weights follow the Ready capacity and move only past the deadband."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from medley_operator.domain.rollout.weights import mix_capacity_rps, ready_weights, settle
from medley_planner.model import Bucket, Demand, SizeSource

CAPACITY = {"l4": 1.0, "h100": 6.0}
TWO_SIZES = Demand(
    rate_rps=10,
    buckets=(Bucket(prompt_tokens=100, generation_tokens=10), Bucket(prompt_tokens=8000, generation_tokens=10)),
    shares=(0.5, 0.5),
    size_source=SizeSource.INDEPENDENT,
)


def test_weights_are_shares_of_ready_capacity() -> None:
    assert ready_weights(ready={"l4": 4, "h100": 1}, desired={}, capacity_rps=CAPACITY) == {"l4": 400, "h100": 600}


def test_a_starting_variant_gets_nothing() -> None:
    weights = ready_weights(ready={"l4": 4, "h100": 0}, desired={"l4": 4, "h100": 1}, capacity_rps=CAPACITY)
    assert weights == {"l4": 1000, "h100": 0}


def test_before_anything_is_ready_the_plan_counts() -> None:
    weights = ready_weights(ready={}, desired={"l4": 4, "h100": 1}, capacity_rps=CAPACITY)
    assert weights == {"l4": 400, "h100": 600}


def test_where_nothing_has_capacity_replicas_count() -> None:
    """Weights that are all 0 would make the gateway refuse every request."""
    none = {"l4": 0.0, "h100": 0.0}
    assert ready_weights(ready={"l4": 1}, desired={"l4": 1, "h100": 1}, capacity_rps=none) == {"l4": 1000, "h100": 0}
    assert ready_weights(ready={}, desired={"l4": 1, "h100": 1}, capacity_rps=none) == {"l4": 500, "h100": 500}
    assert ready_weights(ready={}, desired={}, capacity_rps=none) == none


def test_mix_capacity_is_the_harmonic_mean_over_served_buckets() -> None:
    both = frozenset({0, 1})
    assert mix_capacity_rps(TWO_SIZES, (8.0, 2.0), both) == 1 / (0.5 / 8 + 0.5 / 2)
    assert mix_capacity_rps(TWO_SIZES, (8.0, 0.0), both) == 0.0
    assert mix_capacity_rps(TWO_SIZES, (8.0, 0.0), frozenset({0})) == 8.0
    assert mix_capacity_rps(TWO_SIZES, (8.0, 2.0), frozenset()) == 0.0


def test_a_small_move_is_not_written() -> None:
    assert settle({"l4": 450, "h100": 550}, {"l4": 400, "h100": 600}) == {"l4": 400, "h100": 600}
    assert settle({"l4": 451, "h100": 549}, {"l4": 400, "h100": 600}) == {"l4": 451, "h100": 549}


def test_a_small_variant_is_not_overloaded_for_the_sake_of_few_writes() -> None:
    """Seven more replicas of the large one became Ready: the small one would get twice what it serves."""
    assert settle({"l4": 42, "h100": 958}, {"l4": 78, "h100": 922}) == {"l4": 42, "h100": 958}
    assert settle({"l4": 78, "h100": 922}, {"l4": 42, "h100": 958}) == {"l4": 42, "h100": 958}
    assert settle({"l4": 1, "h100": 999}, {"l4": 4, "h100": 996}) == {"l4": 4, "h100": 996}


def test_backends_and_zeros_are_written_at_once() -> None:
    assert settle({"l4": 1000}, {"l4": 980, "h100": 20}) == {"l4": 1000}
    assert settle({"l4": 1000, "h100": 0}, {"l4": 980, "h100": 20}) == {"l4": 1000, "h100": 0}
    assert settle({"l4": 980, "h100": 20}, {"l4": 1000, "h100": 0}) == {"l4": 980, "h100": 20}
    assert settle({"l4": 1}, None) == {"l4": 1}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(st.integers(0, 50), st.floats(min_value=0.001, max_value=1e4)),
        min_size=1,
    )
)
def test_weights_sum_to_the_total_and_positive_shares_stay_positive(given: dict[str, tuple[int, float]]) -> None:
    ready = {name: count for name, (count, _) in given.items()}
    weights = ready_weights(ready=ready, desired={}, capacity_rps={name: rps for name, (_, rps) in given.items()})
    assert sum(weights.values()) == (1000 if any(ready.values()) else 0)
    assert all((weights[name] > 0) == (count > 0) for name, count in ready.items())
