"""What is left out where minima, rules and cuts meet; each once left out more than it had to."""

from __future__ import annotations

from medley_planner.model import Plan, Pool, Problem, RoutingMode, Service
from medley_planner.optimize import plan, verify
from tests.unit.planner.optimize.small import service, variant

_PODS = RoutingMode.SERVICE


def _planned(asked: Service, *pools: Pool) -> Plan:
    problem = Problem((asked,), pools)
    found = plan(problem)
    assert not verify(problem, found)
    return found


def _unserved_rps(found: Plan) -> float:
    return sum(entry.rate_rps for entry in found.services[0].unserved)


def test_a_minimum_that_serves_nothing_keeps_no_others_idle_beside_it() -> None:
    """Either way one replica is missing: of the variant that cannot serve, or of the service's two."""
    chat = service(
        9.0,
        variant("blunt", 0.0, 1.0, min_replicas=1),
        variant("able", 17.4, 12.4),
        routing=_PODS,
        min_replicas=2,
    )
    found = _planned(chat, Pool("blunt", stock_gpus=1), Pool("able"))
    assert _unserved_rps(found) == 0
    assert found.services[0].replicas() == {"blunt": 0, "able": 2}


def test_as_many_others_may_stand_behind_a_service_as_its_spot_share_asks_for() -> None:
    """The spot replica of the minimum needs three others, of which one would carry the load."""
    chat = service(
        4.0,
        variant("spot", (5.0, 5.0), 1.0, min_replicas=1),
        variant("firm", (13.0, 0.0), 0.6),
        routing=_PODS,
        prompt_tokens=(100.0, 900.0),
        spot_max_share=0.3,
    )
    found = _planned(chat, Pool("spot", spot=True), Pool("firm"))
    assert found.services[0].replicas() == {"spot": 1, "firm": 3}
    assert _unserved_rps(found) == 2.0


def test_others_allow_for_a_minimum_of_several_spot_replicas() -> None:
    chat = service(
        4.0,
        variant("spot", 5.0, 1.0, min_replicas=2),
        variant("firm", 5.0, 0.6),
        routing=RoutingMode.HTTP_ROUTE,
        spot_max_share=0.25,
    )
    found = _planned(chat, Pool("spot", spot=True), Pool("firm"))
    assert found.services[0].replicas() == {"spot": 2, "firm": 6}
