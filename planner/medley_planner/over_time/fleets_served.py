"""Which of many fleets serve a service's whole load, and which are within its limits: for all of them at once."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from medley_planner.model import Service
from medley_planner.optimize.columns.by_class.split import judge
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.task import Task
from medley_planner.over_time.billing import Ints

Flags = npt.NDArray[np.bool_]

SLACK = 1e-9
"""Relative. As in the planner, a load that fits exactly is not refused for a rounding."""


def serve(task: Task, fleets: Ints) -> Flags:
    """Which of the fleets (rows of counts by variant) carry all demand of the task."""
    if not task.classes or task.rate_rps <= 0:
        return np.ones(len(fleets), bool)
    if not task.blind:
        every = np.ones(task.work.shape[1])
        judged = (judge(task.work, counts.astype(float), every, shed=False) for counts in fleets)
        return np.array([verdict.unmet == 0 for verdict in judged], bool)
    able = np.array(task.able, bool)
    work = np.where(able, task.work.sum(axis=1), np.inf)
    if not task.service.routing.equal_pods:
        return np.asarray(fleets @ (1 / work) >= 1 - SLACK)
    # Each pod gets the same share, so the slowest variant in use says how many pods there must be.
    needed = np.where(fleets > 0, work, 0.0).max(axis=1)
    return np.asarray((fleets.sum(axis=1) > 0) & (fleets.sum(axis=1) >= needed * (1 - SLACK)))


def within_limits(service: Service, room: Room, fleets: Ints) -> Flags:
    """Which fleets are within what is shared and within the counts that the service asks for."""
    variants = service.variants
    least = np.array([variant.min_replicas for variant in variants])
    most = np.array([_most(variant.max_replicas) for variant in variants])
    whole = fleets.sum(axis=1)
    allowed = (fleets >= least).all(axis=1) & (fleets <= most).all(axis=1)
    allowed &= (whole >= service.min_replicas) & (whole <= _most(service.max_replicas))
    taken = np.zeros((len(variants), len(room.limits)))
    for place, variant in enumerate(variants):
        for row, amount in room.uses(variant):
            taken[place, row] = amount
    left = np.array(room.left)
    return np.asarray(allowed & (fleets @ taken <= left + SLACK * (1 + np.abs(left))).all(axis=1))


def most_needed(task: Task, place: int) -> int:
    """The most replicas of a variant that a row of fleets needs for this task.

    So many carry all that the variant can carry alone; behind a Service, as many pods as the slowest in use asks for.
    """
    service = task.service
    if not task.able[place] or task.caps[place] < 1:
        return 0
    finite = np.where(np.isfinite(task.work), task.work, 0.0).sum(axis=1)
    able = np.array(task.able, bool)
    work = float(finite[able].max() if service.routing.equal_pods else finite[place])
    minima = max(task.variants[place].min_replicas, service.min_replicas)
    return int(min(max(math.ceil(work * (1 - SLACK)), minima), task.caps[place]))


def _most(limit: int | None) -> float:
    return math.inf if limit is None else float(limit)
