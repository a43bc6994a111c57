"""Sixteen backends for any number of variants: nobody that has capacity goes without requests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_operator.domain.routing.backends import FINE_TOTAL, MOST_BACKENDS, backend_weights

COMMON = "common"
FLEETS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 60)), min_size=17, max_size=40)
"""Ready replicas and capacity of one, by variant."""


def backends(weights: dict[str, int], ready: dict[str, int], *, common: str = COMMON) -> dict[str, int]:
    return backend_weights(weights, names={name: f"s-{name}" for name in weights}, ready=ready, common=common)


def shares(found: dict[str, int], ready: dict[str, int]) -> dict[str, float]:
    """The share of requests that each variant gets, of which the common Service gives each Ready pod an equal one."""
    total, pods = sum(found.values()), sum(ready.values())
    return {
        name: (found.get(f"s-{name}", 0) + found.get(COMMON, 0) * count / pods) / total for name, count in ready.items()
    }


def test_up_to_sixteen_are_as_they_are() -> None:
    weights = {f"v{n:02}": n for n in range(16)}
    assert backends(weights, {}) == {f"s-v{n:02}": n for n in range(16)}


def test_variants_without_weight_are_left_out_before_any_share_a_backend() -> None:
    weights = {f"v{n:02}": max(n - 4, 0) for n in range(20)}
    found = backends(weights, dict.fromkeys(weights, 1))
    assert (len(found), COMMON in found) == (16, False)
    assert {name for name, weight in found.items() if weight > 0} == {f"s-v{n:02}" for n in range(5, 20)}


@pytest.mark.parametrize(("ready", "common"), [({}, COMMON), (None, "")])
def test_before_anything_is_ready_or_without_the_common_service_the_largest_count(
    ready: dict[str, int] | None, common: str
) -> None:
    weights = {f"v{n:02}": n + 1 for n in range(20)}
    found = backends(weights, dict.fromkeys(weights, 1) if ready is None else ready, common=common)
    assert sorted(found.values()) == list(range(5, 21))


@settings(max_examples=200, deadline=None)
@given(FLEETS)
def test_all_get_requests_and_most_exactly_their_share(fleet: list[tuple[int, int]]) -> None:
    ready = {f"v{n:02}": count for n, (count, _) in enumerate(fleet)}
    weights = {f"v{n:02}": count * capacity for n, (count, capacity) in enumerate(fleet)}
    found = backends(weights, ready)
    assert len(found) == MOST_BACKENDS
    assert all(weight >= 0 for weight in found.values())
    assert abs(sum(found.values()) - FINE_TOTAL) <= MOST_BACKENDS
    got, total = shares(found, ready), sum(weights.values())
    own = {name for name in weights if f"s-{name}" in found}
    assert all(got[name] == pytest.approx(weights[name] / total, abs=1e-4) for name in own)
    sharing = set(weights) - own
    assert sum(got[name] for name in sharing) == pytest.approx(sum(weights[name] for name in sharing) / total, abs=1e-3)
    assert all(share > 0 for share in got.values())
    # Those that share are the weakest replicas, so none of them gets more than the weakest of the others.
    weakest = min(weights[name] / ready[name] for name in own)
    assert all(got[name] * total / ready[name] <= weakest * (1 + 1e-3) for name in sharing)
