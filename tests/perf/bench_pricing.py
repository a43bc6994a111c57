"""How long one exact pricing round of services routed by class takes, against one integer program for each service.

Services with 30 variants and 10 prompt classes or 60 buckets, drawn with a seed: first a round that knows nothing, then
one at changed prices. Processor milliseconds for each service and the proven gap over all; the integer programs, to the
same gap, run in the same process on a sample.
"""

from __future__ import annotations

import math
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from medley_planner.model import Bucket, Demand, Pool, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.optimize.columns.by_class.of_tasks import classes_of
from medley_planner.optimize.columns.by_class.price_by_class import ClassSearch
from medley_planner.optimize.columns.price_by_program import price_exactly
from medley_planner.optimize.columns.service_arrays import stack
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import NOTHING_SHARED, shared_room
from medley_planner.optimize.task.task import Task

SERVICES, VARIANTS, SAMPLE = 100, 30, 20
GAP = 1e-4


def drawn(classes: int, seed: int) -> list[Task]:
    draw = np.random.default_rng(seed)
    made: list[Task] = []
    for index in range(SERVICES):
        size = np.exp(np.linspace(-2, 2, classes))
        weights = np.exp(-((np.linspace(-2, 2, classes) - draw.uniform(-1, 1)) ** 2))
        speed = np.exp(draw.uniform(-1, 2, (VARIANTS, 1)))
        tilt = draw.normal(0, 0.15, (VARIANTS, 1))
        capacity = speed * size ** (tilt - 0.7)
        costs = speed[:, 0] ** 0.95 * np.exp(draw.normal(0, 0.12, VARIANTS))
        variants = tuple(
            Variant(f"v{j}", f"p{j}", "GPU", 1, float(costs[j]), tuple(capacity[j].tolist()), Provenance.ESTIMATED)
            for j in range(VARIANTS)
        )
        buckets = tuple(Bucket(int(1000 * own) + 1, 100) for own in size)
        shares = tuple((weights / weights.sum()).tolist())
        demand = Demand(math.exp(draw.uniform(0.5, 4)), buckets, shares, SizeSource.STATIC)
        service = Service(f"s{index}", demand, variants, RoutingMode.PER_BUCKET, 1, None)
        problem = Problem((service,), tuple(Pool(variant.pool) for variant in variants))
        made.append(prepare(service, shared_room(problem)).first)
    return made


def main() -> None:
    table = Table("classes", "round", "ms per service", "proven gap", "integer program: ms per service")
    for classes in (10, 60):
        tasks = drawn(classes, 1)
        fleet = stack(tasks, NOTHING_SHARED)
        search = ClassSearch(classes_of(tasks, fleet), seconds_left=lambda: math.inf)
        everything, nothing = np.full(SERVICES, math.inf), np.zeros(SERVICES)
        change = np.random.default_rng(2).uniform(1, 1.1, fleet.cost.shape)
        for label, prices in (("first", fleet.cost), ("changed prices", fleet.cost * change)):
            begins = time.process_time()
            found = search.price(prices, everything, known=everything, slack=nothing, keep=4, relative_gap=GAP)
            spent = (time.process_time() - begins) / SERVICES
            cheapest = everything.copy()
            np.minimum.at(cheapest, found.row, found.price)
            gap = 1 - found.bound.sum() / cheapest.sum()
            begins = time.process_time()
            for task, own in zip(tasks[:SAMPLE], prices, strict=False):
                price_exactly(task, own - np.array(task.cost), math.inf, seconds=10.0, relative_gap=GAP)
            exact = (time.process_time() - begins) / SAMPLE
            table.add_row(str(classes), label, f"{1e3 * spent:.1f}", f"{gap:.3%}", f"{1e3 * exact:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
