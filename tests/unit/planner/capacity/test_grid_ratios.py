"""Between the sizes of the grid the ratio is interpolated: held against simulating those very sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.capacity import (
    CapacityBasis,
    GridRatios,
    LatencyTargets,
    Speed,
    StepFactors,
    Table,
    TableKey,
    capacity_rows,
)
from medley_planner.capacity.batch import max_rates_rps
from medley_planner.capacity.cell import simulated_rate_rps
from medley_planner.capacity.grid_ratios import ratios_at, table_of
from medley_planner.capacity.simulated import closed_form_of, engine_of_key
from medley_planner.model import Bucket
from medley_planner.workload import standard_buckets
from medley_planner.workload.grid import GENERATION_SIZES, PROMPT_SIZES
from tests.unit.planner.capacity.tables import TARGETS, key, simulated

OFF_GRID = (
    Bucket(40, 60),
    Bucket(160, 1400),
    Bucket(700, 170),
    Bucket(1400, 350),
    Bucket(2900, 40),
    Bucket(5700, 700),
    Bucket(9700, 160),
    Bucket(13900, 1400),
)


def closed(asked: TableKey, *buckets: Bucket) -> list[float]:
    targets = asked.group.targets
    found = max_rates_rps(
        [table(asked)],
        buckets,
        ttft_seconds=targets.ttft_seconds,
        tpot_seconds=targets.tpot_seconds,
        percentile=targets.percentile,
    )
    return [float(rate) for rate in found[0]]


def table(asked: TableKey) -> Table:
    return Table(asked.step(), asked.fit(), asked.token_budget, asked.group.max_sequences)


def around(bucket: Bucket) -> list[Bucket]:
    """The four standard buckets that it lies between."""

    def two(value: float, sizes: tuple[int, ...]) -> tuple[int, ...]:
        upper = next(index for index, size in enumerate(sizes) if size > value)
        return sizes[upper - 1 : upper + 1]

    prompts, generations = two(bucket.prompt_tokens, PROMPT_SIZES), two(bucket.generation_tokens, GENERATION_SIZES)
    return [Bucket(prompt, generation) for prompt in prompts for generation in generations]


def test_capacity_between_the_grid_is_what_a_simulation_of_that_size_gives() -> None:
    asked = key("A100-80", targets=LatencyTargets(2.0, 0.08, 95.0))
    engine = engine_of_key(asked)
    made = simulated(asked, [corner for bucket in OFF_GRID for corner in around(bucket)])
    ratios = ratios_at([made], OFF_GRID)[0]
    errors, plain = [], []
    for bucket, guess, ratio in zip(OFF_GRID, closed(asked, *OFF_GRID), ratios, strict=True):
        really = simulated_rate_rps(
            engine,
            prompt_tokens=int(bucket.prompt_tokens),
            generation_tokens=int(bucket.generation_tokens),
            targets=asked.group.targets,
            guess_rps=guess,
        )
        errors.append(abs(guess * ratio / really - 1.0))
        plain.append(abs(guess / really - 1.0))
    # The last size has the A100 at the edge of what it can serve, where capacity falls to nothing within a grid step.
    assert max(errors[:-1]) < 0.10
    assert errors[-1] < 0.5 * max(plain)
    assert sum(errors) < 0.5 * sum(plain)


def made_of(ratios: np.ndarray, asked: TableKey | None = None) -> GridRatios:
    """A table whose ratios are given, of a replica that serves every size of the grid by the closed form."""
    asked = asked or key()
    rates = closed_form_of(asked)
    given_ = ratios.ravel().tolist()
    return GridRatios(asked, tuple(a * b for a, b in zip(rates, given_, strict=True)), rates)


def test_on_the_grid_and_beyond_its_edges() -> None:
    ratios = np.linspace(0.3, 1.2, 60).reshape(10, 6)
    made = made_of(ratios)
    possible = np.array(made.closed_form_rps) > 0
    found = ratios_at([made], standard_buckets())[0]
    assert found[possible] == pytest.approx(ratios.ravel()[possible])
    outside = ratios_at([made], [Bucket(1, 1), Bucket(25, 50_000), Bucket(500_000, 25)])[0]
    assert outside == pytest.approx([ratios[0, 0], ratios[0, 5], ratios[9, 0]])
    middle = ratios_at([made], [Bucket(math.sqrt(500 * 1000), 25)])[0, 0]
    assert middle == pytest.approx(math.sqrt(ratios[3, 0] * ratios[4, 0]))


def test_where_the_simulator_serves_nothing_capacity_fades_to_0() -> None:
    ratios = np.ones((10, 6))
    ratios[7:] = 0.0
    made = made_of(ratios)
    halfway = math.sqrt(4000 * 8000)
    assert ratios_at([made], [Bucket(4000, 25), Bucket(halfway, 25), Bucket(8000, 25)])[0] == pytest.approx([1, 0.5, 0])


def test_where_the_closed_form_serves_nothing_the_trend_goes_on() -> None:
    rates = [100.0] * 60
    simulated_rps = [100.0] * 60
    for row, ratio in ((6, 0.8), (7, 0.4)):
        simulated_rps[row * 6 : row * 6 + 6] = [100.0 * ratio] * 6
    for index in range(48, 60):  # prompts of 12,000 and 16,000
        rates[index] = simulated_rps[index] = 0.0
    made = GridRatios(key(), tuple(simulated_rps), tuple(rates))
    assert made.ratios()[8:, 0] == pytest.approx([0.2, 0.1])
    nothing = GridRatios(key(), (0.0,) * 60, (0.0,) * 60)
    assert (nothing.ratios() == 1.0).all()


SIZES = st.tuples(st.floats(1, 20_000), st.floats(1, 4_000))


@settings(deadline=None, max_examples=40)
@given(st.lists(SIZES, min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_a_longer_request_never_has_more_capacity(sizes: list[tuple[float, float]], seed: int) -> None:
    ratios = np.random.default_rng(seed).uniform(0.0, 2.0, (10, 6))
    asked = key()
    buckets = tuple(Bucket(prompt, generation) for prompt, generation in sizes)
    (row,) = capacity_rows(
        [table(asked)],
        buckets,
        ttft_seconds=1.0,
        tpot_seconds=0.05,
        percentile=95.0,
        simulated=[made_of(ratios, asked)],
    )
    assert row.basis is CapacityBasis.SIMULATED
    for one, capacity in zip(buckets, row.capacity_rps, strict=True):
        for other, more in zip(buckets, row.capacity_rps, strict=True):
            if other.prompt_tokens >= one.prompt_tokens and other.generation_tokens >= one.generation_tokens:
                assert more <= capacity


def test_a_replica_without_a_table_is_corrected_like_the_others() -> None:
    buckets = (Bucket(500, 100), Bucket(4000, 500))
    asked, other = key(), key("A100-80")
    tables = [table(asked), table(other)]
    rows = partial(capacity_rows, tables, buckets, ttft_seconds=1.0, tpot_seconds=0.05, percentile=95.0)
    plain = rows()
    halved = made_of(np.full((10, 6), 0.5), asked)
    known, unknown = rows(simulated=[halved, None])
    assert (known.basis, unknown.basis) == (CapacityBasis.SIMULATED, CapacityBasis.CLOSED_FORM)
    assert known.capacity_rps == pytest.approx([0.5 * rate for rate in plain[0].capacity_rps])
    assert unknown.capacity_rps == pytest.approx([0.5 * rate for rate in plain[1].capacity_rps])
    assert rows(simulated=[None, None]) == plain


def test_a_table_of_another_speed_stands_in_as_long_as_it_is_near() -> None:
    made = made_of(np.ones((10, 6)))
    near = key(speed=Speed(factors=StepFactors(compute=1.2)))
    far = key(speed=Speed(factors=StepFactors(compute=3.0)))
    assert table_of(near, [made]) is made
    assert table_of(far, [made]) is None
    assert table_of(key("A100-80"), [made]) is None
    assert table_of(key(targets=replace(TARGETS, tpot_seconds=0.06)), [made]) is None
    exact = made_of(np.ones((10, 6)), near)
    assert table_of(near, [made, exact]) is exact
