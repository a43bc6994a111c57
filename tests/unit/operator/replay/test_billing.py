"""The bill: GPUs from when they are held, prices that change, nodes that are paid whole."""

from __future__ import annotations

import pytest

from medley_operator.replay.billing import Prices, bill, is_paid_by_node
from medley_operator.replay.nodes import Node
from tests.unit.operator import factories as make


def test_a_price_that_changes_counts_from_then_on() -> None:
    prices = Prices.of(make.pool(price="2")).changed(1800.0, 4.0)
    assert prices.at(0.0) == 2.0
    assert prices.at(1800.0) == 4.0
    assert prices.cost(1, 0.0, 3600.0) == pytest.approx(3.0)
    assert prices.cost(2, 900.0, 1800.0) == pytest.approx(1.0)
    assert prices.cost(1, 3600.0, 7200.0) == pytest.approx(4.0)
    assert prices.cost(1, 0.0, 900.0) == pytest.approx(0.5)


def test_made_nodes_are_paid_from_creation_to_end_where_the_pool_is_paid_by_the_node() -> None:
    pool = make.pool("h100", kind="Elastic", cost={"perNodeHour": "80"}, gpus_per_node=8)
    assert is_paid_by_node(pool)
    nodes = [Node("n1", "h100", 8, created=600.0, gone_at=2400.0), Node("n2", "h100", 8, created=3000.0)]
    costs = bill([], nodes, [pool], {"h100": Prices.of(pool)}, end=3600.0)
    assert costs == {"h100": pytest.approx(80 * (1800 + 600) / 3600)}
