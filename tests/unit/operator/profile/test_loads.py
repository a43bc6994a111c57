"""What is sent: the grid, the arrivals, the first wave of clients, and when requests pile up."""

from __future__ import annotations

from itertools import islice

import pytest

from medley_operator.profile.loads import LoadRun, Size, grid, saturated, shots

SMALL, LARGE = Size(64, 32), Size(512, 128)


def test_the_grid_has_each_size_with_each_load_once_and_rising() -> None:
    loads = grid([SMALL, LARGE, SMALL], concurrencies=(8, 1), rates_rps=(2.0, 0.5), requests=4)
    assert [(load.sizes, load.concurrency, load.rate_rps) for load in loads] == [
        ((size,), concurrency, rate)
        for size in (SMALL, LARGE)
        for concurrency, rate in ((1, None), (8, None), (None, 0.5), (None, 2.0))
    ]
    assert [load.requests for load in loads[:4]] == [4, 8, 4, 4]


def test_arrivals_have_the_rate_and_the_seed_decides_them() -> None:
    load = LoadRun((SMALL, LARGE), 10, rate_rps=4.0)
    gaps = [shot.after_seconds for shot in islice(shots(load, seed=3), 4000)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.25, rel=0.06)
    assert gaps == [shot.after_seconds for shot in islice(shots(load, seed=3), 4000)]
    assert gaps != [shot.after_seconds for shot in islice(shots(load, seed=4), 4000)]


def test_sizes_of_a_mixture_are_equally_often() -> None:
    sent = [shot.size for shot in islice(shots(LoadRun((SMALL, LARGE), 10, rate_rps=4.0), seed=1), 40)]
    assert sent.count(SMALL) == sent.count(LARGE) == 20


def test_the_first_requests_of_clients_end_one_after_the_other() -> None:
    sent = [shot.size.generation_tokens for shot in islice(shots(LoadRun((SMALL,), 8, concurrency=4), seed=1), 6)]
    assert sent == [8, 16, 24, 32, 32, 32]


def test_requests_that_wait_for_their_first_token_pile_up() -> None:
    assert saturated(sent=30, waiting=9)
    assert not saturated(sent=8, waiting=8)
    assert not saturated(sent=100, waiting=20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_rps": 0.0},
        {"rate_rps": float("nan")},
        {"concurrency": 0},
        {"concurrency": 1, "rate_rps": 1.0},
        {},
    ],
)
def test_a_load_without_meaning_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="give"):
        LoadRun((SMALL,), 5, **wrong)  # type: ignore[arg-type]


def test_a_size_without_time_per_token_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 prompt and 2 generation tokens"):
        Size(10, 1)
