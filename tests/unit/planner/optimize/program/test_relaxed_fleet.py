"""The bound on unserved demand: by hand, and never above what the adversary's program says."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.model import Pool, Priority, Problem
from medley_planner.optimize.program.relaxed_fleet import options_of, relaxed_fleet, unmet_of_rank
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room
from tests.adversary.draw import drawn
from tests.adversary.program import least
from tests.unit.planner.optimize.small import service, variant


def _bounds(problem: Problem, most: tuple[float, ...]) -> list[float]:
    """By priority, where at most `most` is left out of those before it."""
    room = shared_room(problem)
    options = options_of([prepare(each, room) for each in problem.services], room)
    found = []
    for rank in range(len(Priority)):
        relaxed = relaxed_fleet(options, unmet_of_rank(options, rank), np.array(most[:rank]), seconds=60.0)
        found.append(options.certain[rank] if relaxed is None else options.bound(rank, np.array(most), relaxed))
    return found


def test_high_priority_takes_what_there_is_and_minima_their_part() -> None:
    """Of 5 GPUs at 1 req/s each, one is the minimum of Low, though it may be of use; High lacks 2 of its 6."""
    gpu = variant("gpu", 1.0, 1.0)
    high = service(6.0, gpu, name="high", priority=Priority.HIGH)
    low = service(3.0, gpu, name="low", priority=Priority.LOW, min_replicas=1)
    bounds = _bounds(Problem((high, low), (Pool("gpu", stock_gpus=5),)), (2.0, 0.0, 2.0))
    assert bounds == pytest.approx([2.0, 0.0, 2.0], abs=1e-3)


def test_what_no_variant_serves_and_what_the_largest_fleet_leaves_is_in_the_bound() -> None:
    blind = service(8.0, variant("gpu", (1.0, 0.0), 1.0), prompt_tokens=(100.0, 900.0), max_replicas=3)
    bounds = _bounds(Problem((blind,), (Pool("gpu"),)), (0.0, 5.0, 0.0))
    assert bounds == pytest.approx([0.0, 5.0, 0.0], abs=1e-3)


@pytest.mark.parametrize("seed", range(300, 330))
def test_the_bound_is_never_above_the_least(seed: int) -> None:
    problem = drawn(seed)
    best = least(problem)
    if best is None or best.short:
        return
    for bound, unmet in zip(_bounds(problem, best.unmet), best.unmet, strict=True):
        assert bound <= unmet + 1e-5 * (1 + unmet)
