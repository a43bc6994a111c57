"""Where a pool's price is from, in the order in which sources are asked."""

from __future__ import annotations

import pytest

from medley_operator.cli.advise.pools import INSTANCE_TYPE, FoundPool, discover
from medley_operator.cli.advise.prices import Price, PriceMetrics, price_of
from medley_operator.domain.values.views import NodeView

OFFER = {("g6.12xlarge", "on-demand", "z1"): 4.0, ("g6.12xlarge", "spot", "z1"): 1.0}


def pool(*, spot: bool = False) -> FoundPool:
    labels = {
        "nvidia.com/gpu.product": "NVIDIA-L4",
        INSTANCE_TYPE: "g6.12xlarge",
        "topology.kubernetes.io/zone": "z1",
        "karpenter.sh/capacity-type": "spot" if spot else "on-demand",
    }
    (found,) = discover([NodeView(name, labels, {"nvidia.com/gpu": 4}) for name in ("a", "b")]).pools
    return found


ALL = PriceMetrics(offers=OFFER, nodes={"a": 8.0, "b": 10.0}, gpus={"a": 3.0})


@pytest.mark.parametrize(
    ("given", "metrics", "price"),
    [
        ({"l4": 0.7}, ALL, Price(0.7, "--price")),
        ({"nvidia-l4": 0.7}, ALL, Price(0.7, "--price")),
        ({"h100": 0.7}, ALL, Price(1.0, "Karpenter")),
        ({}, PriceMetrics(nodes=ALL.nodes, gpus=ALL.gpus), Price(2.25, "OpenCost (node_total_hourly_cost)")),
        ({}, PriceMetrics(gpus=ALL.gpus), Price(3.0, "OpenCost (node_gpu_hourly_cost)")),
        ({}, PriceMetrics(), None),
    ],
)
def test_sources_in_their_order(given: dict[str, float], metrics: PriceMetrics, price: Price | None) -> None:
    assert price_of(pool(), given, metrics) == price


def test_spot_nodes_have_the_price_of_spot() -> None:
    assert price_of(pool(spot=True), {}, ALL) == Price(0.25, "Karpenter")
