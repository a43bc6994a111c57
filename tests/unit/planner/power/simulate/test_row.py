"""The simulated row beside arithmetic by hand: phases, batches, queues, holds in the middle, and energy."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.power import GpuSetting
from medley_planner.power.simulate.requests import RowRequests, draw_requests
from medley_planner.power.simulate.row import ServerRow
from medley_planner.power.simulate.server import pace

FREE = pace(GpuSetting())


def requests(*rows: tuple[float, float, float], high: bool = False) -> RowRequests:
    """Each of arrival, prompt and decode seconds."""
    arrival, prompt, decode = (np.array(column) for column in zip(*rows, strict=True))
    return RowRequests(arrival, prompt, decode, np.full(len(rows), high))


def row(given: RowRequests, *, servers: int = 1, high_servers: int = 0) -> ServerRow:
    return ServerRow(given, servers=servers, high_servers=high_servers)


def test_one_request_takes_its_prompt_and_its_decoding() -> None:
    given = requests((1.0, 2.0, 10.0))
    served = row(given)
    mean = served.advance(20.0)
    assert served.latencies(given) == pytest.approx([12.0])
    joules = 8.0 * FREE.decode_watts[0] + 2.0 * FREE.prompt_watts + 10.0 * FREE.decode_watts[1]
    assert mean == pytest.approx(joules / 20.0)
    assert not served.busy


def test_a_prompt_stops_the_decoding_of_its_server() -> None:
    given = requests((0.0, 1.0, 10.0), (5.0, 2.0, 4.0))
    served = row(given)
    served.advance(30.0)
    assert served.latencies(given) == pytest.approx([13.0, 6.0])


def test_prompts_of_one_server_run_one_after_the_other() -> None:
    given = requests((0.0, 2.0, 5.0), (0.5, 3.0, 5.0))
    served = row(given)
    served.advance(30.0)
    assert served.latencies(given) == pytest.approx([10.0, 9.5])


def test_a_fifth_request_waits_for_a_slot() -> None:
    given = requests(*[(0.0, 0.0, 10.0)] * 4, (1.0, 0.0, 10.0))
    served = row(given)
    served.advance(50.0)
    assert served.latencies(given) == pytest.approx([10.0] * 4 + [19.0])


def test_priorities_have_their_own_servers() -> None:
    low, high = requests(*[(0.0, 0.0, 10.0)] * 5), requests((0.0, 0.0, 10.0), high=True)
    both = RowRequests(
        np.concatenate([low.arrival_seconds, high.arrival_seconds]),
        np.concatenate([low.prompt_seconds, high.prompt_seconds]),
        np.concatenate([low.decode_seconds, high.decode_seconds]),
        np.concatenate([low.high, high.high]),
    )
    served = row(both, servers=2, high_servers=1)
    served.advance(50.0)
    assert served.latencies(both) == pytest.approx([10.0] * 4 + [20.0, 10.0])


def test_a_lock_in_the_middle_slows_what_is_left() -> None:
    given = requests((0.0, 2.0, 10.0))
    served = row(given)
    served.advance(1.0)
    served.hold(0, GpuSetting(0.5))
    served.advance(5.0)
    served.hold(0, GpuSetting())
    served.advance(60.0)
    locked = pace(GpuSetting(0.5))
    prompt_over = 1.0 + 1.0 / locked.prompt_speed
    left = 10.0 - (5.0 - prompt_over) * locked.decode_speed
    assert served.latencies(given) == pytest.approx([5.0 + left])


def test_what_is_not_finished_counts_until_now() -> None:
    given = requests((0.0, 2.0, 10.0))
    served = row(given)
    served.advance(5.0)
    assert served.busy
    assert served.latencies(given) == pytest.approx([5.0])


def test_short_steps_and_long_ones_give_the_same() -> None:
    given = draw_requests(4, days=1, seed=3)
    fine, coarse = row(given, servers=4, high_servers=2), row(given, servers=4, high_servers=2)
    mean = np.mean([fine.advance(second + 1.0) for second in range(7200)])
    assert coarse.advance(7200.0) == pytest.approx(mean, rel=1e-9)
    assert fine.latencies(given) == pytest.approx(coarse.latencies(given))
