"""One token budget for each way to run: the one with the least work, and no change of what runs for noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from medley_planner.model import Bucket, Demand, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.variants import choose_budgets
from medley_planner.variants.budget import BETTER

BUCKETS = (Bucket(500.0, 150.0), Bucket(4000.0, 150.0))
SMALL, LARGE = (6.0, 1.0), (5.0, 1.4)
"""The small budget serves more short prompts, the large one more long ones."""


def service(share_long: float, **capacities: tuple[float, float]) -> Service:
    demand = Demand(20.0, BUCKETS, (1.0 - share_long, share_long), SizeSource.INDEPENDENT)
    variants = tuple(
        Variant(name, "l4", "L4", 1, 0.8, capacity, Provenance.ESTIMATED) for name, capacity in capacities.items()
    )
    return Service("s", demand, variants, RoutingMode.HTTP_ROUTE)


def chosen(of: Service, *, running: tuple[str, ...] = (), keep: tuple[str, ...] | None = None) -> list[str]:
    kept = choose_budgets(
        of, dict.fromkeys((variant.name for variant in of.variants), "l4"), running=running, keep=keep or running
    )
    return [variant.name for variant in kept]


def test_the_least_work_for_the_mix_is_chosen() -> None:
    assert chosen(service(0.05, large=LARGE, small=SMALL)) == ["small"]
    assert chosen(service(0.6, small=SMALL, large=LARGE)) == ["large"]


def test_each_family_has_its_own_and_what_is_asked_for_stays() -> None:
    of = service(0.05, large=LARGE, small=SMALL, other=(1.0, 1.0), named=(1.0, 1.0))
    families = {"large": "a", "small": "a", "other": "b", "named": "a"}
    kept = choose_budgets(of, families, running=(), keep=("named",))
    assert [variant.name for variant in kept] == ["small", "other", "named"]


@pytest.mark.parametrize(("gain", "moves"), [(BETTER - 0.01, False), (BETTER + 0.01, True)])
def test_only_what_is_clearly_better_comes_beside_the_first_or_what_runs(gain: float, moves: bool) -> None:
    better = (1.0 / (1.0 - gain), 1.0 / (1.0 - gain))
    assert chosen(service(0.5, first=(1.0, 1.0), better=better)) == (["better"] if moves else ["first"])
    running = chosen(service(0.5, better=better, runs=(1.0, 1.0)), running=("runs",))
    assert running == (["better", "runs"] if moves else ["runs"])


def test_one_that_serves_more_of_the_demand_is_better_whatever_the_work() -> None:
    assert chosen(service(0.1, first=(9.0, 0.0), whole=(1.0, 0.1))) == ["whole"]
    assert chosen(service(0.0, first=(9.0, 0.0), whole=(1.0, 0.1))) == ["first"]


def test_of_two_that_run_the_better_is_what_another_must_beat() -> None:
    of = service(0.5, first=(1.02, 1.02), a=(1.0, 1.0), b=(0.8, 0.8))
    assert chosen(of, running=("a", "b")) == ["a", "b"]


def test_where_nothing_serves_anything_the_first_stays() -> None:
    assert chosen(service(0.5, first=(0.0, 0.0), other=(0.0, 0.0))) == ["first"]


def test_without_load_the_sizes_count_alike() -> None:
    idle = Demand(0.0, BUCKETS, (0.5, 0.5), SizeSource.STATIC)
    of = service(0.5, large=(1.0, 1.0), small=(2.0, 2.0))
    kept = choose_budgets(
        Service("s", idle, of.variants, RoutingMode.SERVICE), {"large": 1, "small": 1}, running=(), keep=()
    )
    assert [variant.name for variant in kept] == ["small"]


def noisy_mixes(seed: int) -> list[float]:
    """A share of long prompts around the one where both budgets do the same work, as 1000 requests show it."""
    rng = np.random.default_rng(seed)
    # small: (1 - s)/6 + s/1; large: (1 - s)/5 + s/1.4; equal at s = (1/5 - 1/6) / (1/5 - 1/6 + 1 - 1/1.4).
    even = (1 / 5 - 1 / 6) / (1 / 5 - 1 / 6 + 1 - 1 / 1.4)
    return [float(share) for share in rng.binomial(1000, even, size=200) / 1000]


@pytest.mark.parametrize("start", ["small", "large"])
def test_noise_around_the_break_even_never_moves_what_runs(start: str) -> None:
    bare = []
    for share in noisy_mixes(7):
        of = service(share, small=SMALL, large=LARGE)
        assert chosen(of, running=(start,)) == [start]
        work = {name: (1 - share) / row[0] + share / row[1] for name, row in (("small", SMALL), ("large", LARGE))}
        bare.append(min(work, key=work.__getitem__))
    # Without the margin the choice would have changed time and again.
    assert sum(a != b for a, b in pairwise(bare)) > 50


def test_a_mix_that_really_moves_is_followed_once() -> None:
    runs, changes = "small", 0
    rng = np.random.default_rng(3)
    for step in range(400):
        share = 0.02 + 0.5 * step / 400 + rng.uniform(-0.01, 0.01)
        best = [name for name in chosen(service(share, small=SMALL, large=LARGE), running=(runs,)) if name != runs]
        if best:
            (runs,), changes = best, changes + 1
    assert (runs, changes) == ("large", 1)
