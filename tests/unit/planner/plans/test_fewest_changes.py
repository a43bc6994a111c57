"""The second pass: which replicas are kept at hardly more cost, and which services it is not about."""

from __future__ import annotations

import pytest

from medley_planner.model import NodePrice, Plan, Pool, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.unit.planner.optimize.small import service, variant


def _planned(problem: Problem) -> Plan:
    found = plan(problem)
    assert verify(problem, found) == ()
    return found


@pytest.mark.parametrize("services", [1, 2, 6])
def test_what_runs_stays_on_nodes_that_are_paid_anyway(services: int) -> None:
    """One replica would do, and two cost the same node."""
    fleet = tuple(
        service(
            1.0,
            variant(f"v{number}", 2.0, 5.0, pool=f"n{number}", current_replicas=2, startup_seconds=300.0),
            name=f"s{number}",
        )
        for number in range(services)
    )
    pools = tuple(Pool(f"n{number}", node_price=NodePrice(4, 20.0)) for number in range(services))
    found = _planned(Problem(fleet, pools))
    assert [tuple(each.replicas().values()) for each in found.services] == [(2,)] * services
    assert found.cost_per_hour == pytest.approx(20.0 * services)


@pytest.mark.parametrize("services", [2, 5])
def test_services_that_share_a_paid_node_keep_what_fits_on_it(services: int) -> None:
    fleet = tuple(
        service(1.0, variant("n", 2.0, 5.0, current_replicas=4 if number == 0 else 1), name=f"s{number}")
        for number in range(services)
    )
    found = _planned(Problem(fleet, (Pool("n", node_price=NodePrice(4, 20.0, max_nodes=2)),)))
    nodes = 2 if services == 5 else 1
    assert found.nodes[0].nodes == nodes
    assert found.cost_per_hour == pytest.approx(20.0 * nodes)


def test_a_service_of_which_nothing_runs_takes_its_cheapest_fleet() -> None:
    """Seventeen large replicas are fewer starts than twenty-nine small ones and cost little more; but nothing of it
    runs, and the money of the second pass is there to keep what does."""
    running = service(20.0, variant("p2", 1.0, 3.0, current_replicas=4), name="running")
    new = service(
        34.06,
        variant("v1", 1.193, 2.7, pool="p5"),
        variant("v2", 2.0, 4.55, pool="p5", startup_seconds=60.0),
        routing=RoutingMode.INFERENCE_POOL,
        name="new",
    )
    found = _planned(Problem((running, new), (Pool("p2"), Pool("p5"))))
    assert found.services[0].replicas() == {"p2": 20}
    alone = _planned(Problem((new,), (Pool("p5"),)))
    assert found.services[1].replicas() == alone.services[0].replicas()
