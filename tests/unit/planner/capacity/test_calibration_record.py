"""What is kept of a calibration: whole through JSON, and refused by its field where it is bad."""

from __future__ import annotations

import json
import math

import pytest

from medley_planner.capacity.calibrate import Calibration, learn
from medley_planner.capacity.calibration_record import BadRecord, from_record, to_record
from tests.unit.planner.capacity.test_calibrate import loads, prior, taught, window_at


def test_a_record_survives_json_whole() -> None:
    known = taught(loads(20, noise=0.02))
    read = from_record(json.loads(json.dumps(to_record(known))))
    assert learn(read, window_at(9), prior).calibration.factors == learn(known, window_at(9), prior).calibration.factors
    assert (read.standing, read.windows, read.heaviest) == (known.standing, known.windows, known.heaviest)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"factors": {"fixed": math.nan, "compute": 1, "sequence": 1, "kv": 1}},
        {"factors": {"fixed": 0.0, "compute": 1, "sequence": 1, "kv": 1}},
        {"factors": [1, 1, 1, 1]},
        {"covariance": [[1, 0], [0, 1]]},
        {"covariance": [[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"covariance": "x"},
        {"windows": -1},
        {"windows": True},
        {"standing": "Fine"},
        {"heaviest": {"decoding": 3}},
        {"heaviest": 3},
    ],
)
def test_a_bad_record_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRecord):
        from_record(to_record(Calibration()) | change)


def test_a_record_without_a_field_is_refused_by_its_name() -> None:
    record = to_record(Calibration())
    del record["told"]
    with pytest.raises(BadRecord, match="told"):
        from_record(record)
