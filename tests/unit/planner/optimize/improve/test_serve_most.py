"""What a fleet leaves out where its pools hold less than is asked for, beside what the relaxation says."""

from __future__ import annotations

from time import process_time

from medley_planner.model import Priority
from medley_planner.optimize import plan, verify
from tests.generator import fleet, scarce


def test_a_fleet_leaves_out_little_more_than_it_must() -> None:
    """With priorities as weights columns left out 2.3 times as much of Normal, and exchanges between priorities 1.4
    times."""
    problem = scarce(fleet(42, seed=1), demand_factor=1.3)
    found = plan(problem, deadline_seconds=60.0, clock=process_time)
    assert not verify(problem, found)
    assert [one.priority for one in found.shortages] == [Priority.NORMAL, Priority.LOW]
    normal, low = found.shortages
    assert normal.least_rps <= normal.unserved_rps <= 1.02 * normal.least_rps
    assert 0 < low.least_rps <= low.unserved_rps
    left_out = {priority: 0.0 for priority in Priority}
    for service, planned in zip(problem.services, found.services, strict=True):
        left_out[service.priority] += sum(entry.rate_rps for entry in planned.unserved)
    assert abs(left_out[Priority.NORMAL] - normal.unserved_rps) < 1e-6
