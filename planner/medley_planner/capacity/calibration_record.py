"""A calibration as plain numbers, for whoever keeps it between runs, and back; what makes no sense is refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from medley_planner.capacity.calibrate import Calibration, CalibrationState, Vector
from medley_planner.capacity.speed import PARTS, StepFactors
from medley_planner.capacity.window import OperatingPoint

VERSION = 1
"""Of the record; another one is refused, since its numbers may mean something else."""
MOST_FACTOR = 1e3
MOST_FIGURE = 1e12
"""Of all others: far above what is learned, far below where products overflow."""


class BadRecord(ValueError):
    """A record that cannot be used; the message names the field and the value."""


def to_record(calibration: Calibration) -> dict[str, Any]:
    """Numbers, strings and lists only, ready for JSON."""
    return {
        "version": VERSION,
        "factors": {part: getattr(calibration.factors, part) for part in PARTS},
        "covariance": calibration.covariance.tolist(),
        "told": calibration.told.tolist(),
        "windows": calibration.windows,
        "outliers": calibration.outliers,
        "error": calibration.error,
        "standing": calibration.standing.value,
        "heaviest": asdict(calibration.heaviest) if calibration.heaviest is not None else None,
    }


def from_record(record: Mapping[str, Any]) -> Calibration:
    """Raises `BadRecord`."""
    if not isinstance(record, Mapping):
        raise BadRecord(f"calibration is {record!r:.40}, no record")
    version = record.get("version")
    if version != VERSION:
        raise BadRecord(f"version is {version!r:.40}, and {VERSION} is what is read")
    try:
        calibration = Calibration(
            factors=StepFactors(**{part: _number("factors", record["factors"][part]) for part in PARTS}),
            covariance=_matrix("covariance", record["covariance"]),
            told=_matrix("told", record["told"]),
            windows=int(_number("windows", record["windows"])),
            outliers=int(_number("outliers", record["outliers"])),
            error=_number("error", record["error"]),
            standing=CalibrationState(record["standing"]),
            heaviest=_point(record["heaviest"]),
        )
    except KeyError as error:
        raise BadRecord(f"field {error} is missing") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, BadRecord) else BadRecord(str(error)) from error
    for part in PARTS:
        if not 0.0 < getattr(calibration.factors, part) <= MOST_FACTOR:
            raise BadRecord(f"factors.{part} is {getattr(calibration.factors, part)}, not above 0 and sensible")
    return calibration


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_FIGURE:
        raise BadRecord(f"{name} is {value!r:.40}, no number from 0 to {MOST_FIGURE:g}")
    return float(value)


def _matrix(name: str, value: Any) -> Vector:
    """Four by four, symmetric, and with no direction of negative variance."""
    matrix = np.array(value, dtype=np.float64)
    if (
        matrix.shape != (4, 4)
        or not (np.abs(matrix) <= MOST_FIGURE).all()
        or not np.allclose(matrix, matrix.T, atol=1e-9)
    ):
        raise BadRecord(f"{name} is no symmetric matrix of four by four numbers, none beyond {MOST_FIGURE:g}")
    if np.linalg.eigvalsh(matrix)[0] < -1e-9:
        raise BadRecord(f"{name} has a negative variance")
    return matrix


def _point(value: Any) -> OperatingPoint | None:
    if value is None:
        return None
    names = [part.name for part in fields(OperatingPoint)]
    return OperatingPoint(**{name: _number(f"heaviest.{name}", value[name]) for name in names})
