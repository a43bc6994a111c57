"""Which services have to be planned together: those that a shared limit or whole nodes tie to each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from medley_planner.model import Problem, Service
from medley_planner.optimize.task.limits import Room


def coupled(problem: Problem, room: Room) -> list[list[int]]:
    """Services (by index) that are tied together, in the problem's order."""
    joined = list(range(len(problem.services)))

    def group_of(index: int) -> int:
        while joined[index] != index:
            joined[index] = joined[joined[index]]
            index = joined[index]
        return index

    first_user: dict[Hashable, int] = {}
    for index, service in enumerate(problem.services):
        for tie in sorted(set(_ties(service, room)), key=str):
            mine, theirs = group_of(index), group_of(first_user.setdefault(tie, index))
            joined[max(mine, theirs)] = min(mine, theirs)
    groups: dict[int, list[int]] = {}
    for index in range(len(problem.services)):
        groups.setdefault(group_of(index), []).append(index)
    return [groups[first] for first in sorted(groups)]


def _ties(service: Service, room: Room) -> Iterator[Hashable]:
    for variant in service.variants:
        for row, _ in room.uses(variant):
            yield row
        if room.pools[variant.pool].node_price is not None:
            yield variant.pool


def gathered(problem: Problem, groups: list[list[int]], *, few: int) -> list[list[int]]:
    """Services that are alone in their groups as one group, if there are more than a few: their configurations are
    found in one pass. Not those that are routed by size, each of which takes a program of its own in any case."""
    alone = [group[0] for group in groups if len(group) == 1 and problem.services[group[0]].routing.blind]
    if len(alone) <= few:
        return groups
    return [*(group for group in groups if group[0] not in alone), alone]
