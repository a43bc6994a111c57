"""Where a pool's price is from, when it changes, and that a source that vanishes changes no plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUPool, PriceStatus
from medley_operator.domain.cluster.pool_checks import PoolInput, price_is_above_zero
from medley_operator.domain.cluster.prices import (
    INSTANCE_TYPE,
    NO_PRICES,
    REGION,
    STALE_SECONDS,
    ZONE,
    PriceMetrics,
    price_status,
    priced,
    stale_seconds,
)
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.views import NodeView
from medley_planner.catalog import CATALOGUE

NOW = 1_800_000_000.0
LABELS = {"gpu": "l4", INSTANCE_TYPE: "g6.12xlarge", ZONE: "z1", REGION: "r1"}
NODES = [NodeView(name, LABELS, {"nvidia.com/gpu": 4}) for name in ("a", "b")]
OFFERS = {
    ("g6.12xlarge", "on-demand", "z1"): 4.0,
    ("g6.12xlarge", "on-demand", "z2"): 3.0,
    ("g6.12xlarge", "spot", "z1"): 1.0,
}
LISTED = {
    ("g6.12xlarge", "on-demand", ""): 8.0,
    ("g6.12xlarge", "on-demand", "r1"): 6.0,
    ("g6.12xlarge", "on-demand", "r3"): 4.0,
}
ALL = PriceMetrics(offers=OFFERS, nodes={"a": 8.0, "b": 10.0}, gpus={"a": 3.0})


def pool(cost: dict[str, str] | None = None, *, price: PriceStatus | None = None, **spec: Any) -> GPUPool:
    manifest = {
        "metadata": {"name": "l4"},
        "spec": {
            "gpu": "L4",
            "nodeSelector": {"gpu": "l4"},
            "capacity": {"gpusPerNode": 4},
            **({"cost": cost} if cost is not None else {}),
            **spec,
        },
    }
    found = GPUPool.model_validate(manifest)
    return found.model_copy(update={"status": found.status.model_copy(update={"price": price})})


def status(
    of: GPUPool, metrics: PriceMetrics, *, now: float = NOW, nodes: list[NodeView] = NODES
) -> PriceStatus | None:
    return price_status(of, nodes, metrics, unix_seconds=now)


@pytest.mark.parametrize(
    ("of", "metrics", "nodes", "price"),
    [
        (pool({"perHour": "0.7"}), ALL, NODES, ("0.7", "Spec")),
        (pool({"perNodeHour": "6"}), ALL, NODES, ("1.5", "Spec")),
        (pool(), ALL, NODES, ("1", "Karpenter")),
        (pool(provisioning="Spot"), ALL, NODES, ("0.25", "Karpenter")),
        (pool(nodeSelector={INSTANCE_TYPE: "g6.12xlarge"}), ALL, [], ("0.75", "Karpenter")),
        (pool(), replace(ALL, offers={}), NODES, ("2.25", "OpenCost node_total_hourly_cost")),
        (pool(), PriceMetrics(gpus=ALL.gpus), NODES, ("3", "OpenCost node_gpu_hourly_cost")),
        (pool(), PriceMetrics(listed=LISTED), NODES, ("1.5", "price list")),
        (
            pool(),
            PriceMetrics(listed={**LISTED, ("g6.12xlarge", "on-demand", "z1"): 2.0}),
            NODES,
            ("0.5", "price list"),
        ),
        (pool(), PriceMetrics(listed=LISTED), [NodeView("a", {**LABELS, REGION: "r2"}, {})], ("2", "price list")),
        (pool(nodeSelector={INSTANCE_TYPE: "g6.12xlarge"}), PriceMetrics(listed=LISTED), [], ("1", "price list")),
        (pool(provisioning="Spot"), PriceMetrics(listed=LISTED), NODES, None),
        (pool(), replace(ALL, listed=LISTED), NODES, ("1", "Karpenter")),
        (pool(), NO_PRICES, NODES, None),
        (pool(), ALL, [NodeView("c", {"gpu": "other"}, {})], None),
    ],
)
def test_sources_in_their_order(
    of: GPUPool, metrics: PriceMetrics, nodes: list[NodeView], price: tuple[str, str] | None
) -> None:
    found = status(of, metrics, nodes=nodes)
    assert (found and (found.per_hour, found.source)) == price


def test_plans_have_the_price_that_the_status_shows() -> None:
    found = priced(pool(), status(pool(), ALL))
    assert found.spec.gpu_cost_per_hour() == 1.0
    assert price_is_above_zero(PoolInput(found, CATALOGUE)) is None


def test_a_pool_whose_price_nobody_says_is_refused_with_the_way_out() -> None:
    refusal = price_is_above_zero(PoolInput(priced(pool(), None), CATALOGUE))
    assert refusal is not None
    assert (refusal.reason, "set spec.cost.perHour" in refusal.message) == ("PriceUnknown", True)


def test_noise_does_not_change_a_price_and_a_real_change_does() -> None:
    first = status(pool(), ALL)
    near = PriceMetrics(offers={key: price * 1.008 for key, price in OFFERS.items()})
    far = PriceMetrics(offers={key: price * 1.03 for key, price in OFFERS.items()})
    assert status(pool(price=first), near, now=NOW + 60) == first
    changed = status(pool(price=first), far, now=NOW + 60)
    assert changed is not None
    assert changed.per_hour == "1.03"


def test_a_source_that_vanishes_holds_the_last_price_and_is_stale_after_an_hour() -> None:
    first = status(pool(), ALL)
    assert first is not None
    for age in (60.0, STALE_SECONDS, 30 * 86400.0):
        assert status(pool(price=first), NO_PRICES, now=NOW + age) == first
    assert stale_seconds(first, unix_seconds=NOW + STALE_SECONDS - 1) is None
    assert stale_seconds(first, unix_seconds=NOW + STALE_SECONDS) == STALE_SECONDS


def test_a_price_that_is_seen_is_never_stale_and_seldom_written() -> None:
    shown, writes = status(pool(), ALL), 0
    for second in range(0, 7200, 30):
        found = status(pool(price=shown), ALL, now=NOW + second)
        assert found is not None
        writes += found != shown
        shown = found
        assert stale_seconds(shown, unix_seconds=NOW + second) is None
    assert writes <= 8


def test_a_price_that_is_taken_out_of_the_spec_counts_from_then_on() -> None:
    given = PriceStatus(per_hour="0.7", source="Spec")
    held = status(pool(price=given), NO_PRICES)
    assert held == given.model_copy(update={"observed_at": utc_text(NOW)})
