"""A service's own limits, at their edge: spot share, on-demand floor, zones and budget."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.model import Pool
from medley_planner.optimize import Rule
from tests.unit.planner.optimize.small import service
from tests.unit.planner.optimize.verify.cases import CHEAP, DEAR, broken, problem_of


def test_spot_share_and_floor() -> None:
    problem = problem_of(service(4.0, CHEAP, DEAR, spot_max_share=0.5), cheap=Pool("cheap", spot=True))
    assert broken(problem, (2, 2)) == []
    assert broken(problem, (3, 2)) == [Rule.SPOT_SHARE]
    floor = problem_of(service(4.0, CHEAP, DEAR, on_demand_min_replicas=2), cheap=Pool("cheap", spot=True))
    assert broken(floor, (2, 2)) == []
    assert broken(floor, (3, 1)) == [Rule.ON_DEMAND_FLOOR]
    assert broken(floor, (2, 1), served=[0.75]) == [], "a Partial plan may miss a minimum"


def test_zones() -> None:
    wanted = service(2.0, CHEAP, DEAR, zone_spread=True)
    a, b = Pool("cheap", zones=("a",)), Pool("dear", zones=("b",))
    assert broken(problem_of(wanted, cheap=a, dear=b), (1, 1)) == []
    assert broken(problem_of(wanted, cheap=a, dear=b), (2, 0)) == [Rule.ZONE_SPREAD]
    assert broken(problem_of(wanted, cheap=replace(a, zones=("a", "b")), dear=b), (2, 0)) == []
    assert broken(problem_of(wanted, cheap=a), (1, 1)) == [Rule.ZONE_SPREAD], "a pool without zones is nowhere else"
    assert broken(problem_of(wanted), (1, 1)) == [Rule.ZONE_SPREAD]
    assert broken(problem_of(wanted), (1, 0), served=[0.5]) == [], "one replica has nothing to spread"


def test_budget() -> None:
    assert broken(problem_of(service(4.0, DEAR, max_cost_per_hour=12.0)), (4,)) == []
    assert broken(problem_of(service(4.0, DEAR, max_cost_per_hour=11.99)), (4,)) == [Rule.BUDGET]
