"""Planner functions of every kind of bad behaviour, run in the real worker process by `test_worker`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from medley_planner.check import Subject
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import Plan, PlanStatus, Problem


def good(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    return Plan(PlanStatus.OPTIMAL, (), float(len(problem.pools)), deadline_seconds, 0.0, float(os.getpid()))


def prints(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    print("a solver that talks")
    os.write(1, b"and its C++ part")
    sys.stdout.flush()
    return good(problem, deadline_seconds, subjects)


def sleeps(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    time.sleep(60)
    return good(problem, deadline_seconds, subjects)


def sleeps_on_pools(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    return sleeps(problem, deadline_seconds, subjects) if problem.pools else good(problem, deadline_seconds, subjects)


def exits(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    os._exit(7)


def raises(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    raise ValueError("a planner's mistake")


def eats(problem: Problem, deadline_seconds: float, subjects: Mapping[str, Subject]) -> PlanOrFailure:
    hoard = bytearray(2 * 1024**3)
    return good(problem, float(len(hoard)), subjects)
