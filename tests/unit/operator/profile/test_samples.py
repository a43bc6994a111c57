"""From single requests to the point that a fit takes."""

from __future__ import annotations

import math

import pytest

from medley_operator.profile.loads import LoadRun, Size
from medley_operator.profile.samples import CUT, Ending, RequestSample, Run, percentile, point_of, rates_below

SIZE = Size(100, 11)


def _sample(
    number: int, *, sent_at: float, ttft: float = 0.5, tpot: float = 0.1, failure: str | None = None
) -> RequestSample:
    return RequestSample(number, sent_at, 100, 11, sent_at + ttft, 1, sent_at + ttft + 10 * tpot, failure)


def _run(load: LoadRun, *samples: RequestSample, ending: Ending = Ending.MEASURED) -> Run:
    return Run(load, samples, range(1, 1 + load.requests), ending)


ARRIVALS = LoadRun((SIZE,), 3, rate_rps=1.0)
CLIENTS = LoadRun((SIZE,), 3, concurrency=2)


def test_warm_up_and_what_came_after_do_not_count() -> None:
    run = _run(
        ARRIVALS,
        _sample(0, sent_at=0.0, ttft=9.0),
        _sample(1, sent_at=1.0, ttft=0.4),
        _sample(2, sent_at=1.5, ttft=0.6, tpot=0.2),
        _sample(3, sent_at=2.0, ttft=0.5),
        _sample(4, sent_at=2.1, ttft=9.0),
    )
    point = point_of(run)
    assert point is not None
    assert point.ttft_seconds == pytest.approx(0.5)
    assert point.tpot_seconds == pytest.approx(0.4 / 3)
    assert (point.prompt_tokens, point.generation_tokens, point.requests) == (100.0, 11.0, 3)


def test_the_rate_is_the_one_that_arrived() -> None:
    point = point_of(_run(ARRIVALS, *(_sample(number, sent_at=number * 0.25) for number in range(5))))
    assert point is not None
    assert point.rate_rps == pytest.approx(4.0)
    assert point.concurrency is None


def test_clients_have_no_rate() -> None:
    point = point_of(_run(CLIENTS, *(_sample(number, sent_at=number * 0.25) for number in range(5))))
    assert point is not None
    assert (point.rate_rps, point.concurrency) == (None, 2.0)


def test_failed_requests_are_told_and_not_counted() -> None:
    run = _run(
        ARRIVALS,
        _sample(1, sent_at=0.0),
        _sample(2, sent_at=1.0, failure="HTTP 503: full"),
        _sample(3, sent_at=2.0, failure=CUT),
    )
    assert run.failures == {"HTTP 503: full": 1}
    assert [sample.number for sample in run.counted] == [1]


@pytest.mark.parametrize("ending", [Ending.SATURATED, Ending.FAILED, Ending.OUT_OF_TIME])
def test_a_load_that_did_not_run_its_course_is_no_point(ending: Ending) -> None:
    assert point_of(_run(ARRIVALS, _sample(1, sent_at=0.0), ending=ending)) is None


def test_tokens_that_came_with_the_first_have_no_time_of_their_own() -> None:
    sample = RequestSample(0, 0.0, 100, 11, first_at=1.0, first_tokens=6, last_at=2.0)
    assert sample.tpot_seconds == pytest.approx(0.2)
    assert RequestSample(0, 0.0, 100, 11, first_at=1.0, first_tokens=11, last_at=1.0).tpot_seconds is None


def test_rates_are_shares_of_the_best_that_clients_reached() -> None:
    slow = _run(CLIENTS, *(_sample(number, sent_at=number * 1.0) for number in range(5)))
    fast = _run(CLIENTS, *(_sample(number, sent_at=number * 0.25) for number in range(5)))
    assert [load.rate_rps for load in rates_below([slow, fast], requests=7)] == [1.2, 2.4, 3.2]
    assert rates_below([_run(CLIENTS, ending=Ending.FAILED)], requests=7) == ()


def test_percentiles_leave_out_what_is_not_known() -> None:
    assert percentile([1.0, None, 3.0], 0.5) == 2.0
    assert math.isnan(percentile([None], 0.5))
