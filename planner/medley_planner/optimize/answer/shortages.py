"""How little demand any plan could leave out, beside what this one does: for a few services by its proof, else by the
relaxation of the fleet. Apart: it speaks of a plan that stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medley_planner.model import Priority
from medley_planner.optimize.effort import FEW
from medley_planner.optimize.improve.local_search import unserved_by_priority
from medley_planner.optimize.program.relaxed_fleet import options_of, relaxed_fleet, unmet_of_rank
from medley_planner.optimize.program.solve import Answer
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task
from medley_planner.optimize.time_left import SecondsLeft


def least_unserved(
    coverages: Sequence[Coverage],
    tasks: Sequence[Task],
    answers: Sequence[Answer],
    room: Room,
    *,
    seconds_left: SecondsLeft,
) -> dict[Priority, float]:
    """Requests per second by priority, of those of which something is left out: no plan that leaves out no more of
    higher ones leaves out less. None is said of any where there is no time to find out."""
    unserved = unserved_by_priority(tasks, answers)
    # The proof of a larger group is one of its cost.
    proven = len(tasks) <= FEW.most_services and all(answer.proven for answer in answers)
    if not any(unserved.values()) or proven:
        return {priority: rate for priority, rate in unserved.items() if rate > 0}
    if seconds_left() <= 0:
        return {}
    options = options_of(coverages, room)
    most = np.array(list(unserved.values()))
    found = {}
    for rank, priority in enumerate(Priority):
        if unserved[priority] <= 0:
            continue
        found[priority] = float(options.certain[rank])
        relaxed = relaxed_fleet(options, unmet_of_rank(options, rank), most[:rank], seconds=seconds_left())
        if relaxed is not None:
            bound = max(found[priority], options.bound(rank, most, relaxed))
            found[priority] = min(bound, unserved[priority])
    return found
