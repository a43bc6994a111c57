"""A calibration as plain numbers, for whoever keeps it between runs, and back; what makes no sense is refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.capacity.calibrate import Calibration, CalibrationState, Vector
from medley_planner.capacity.speed import PARTS, StepFactors
from medley_planner.capacity.window import OperatingPoint

VERSION = 1
"""Version of the record; another one is refused, because its numbers may mean something else."""
MOST_FACTOR = 1e3
MOST_FIGURE = 1e12
"""Largest of all other figures: far above what is learned, far below where products overflow."""


class BadRecord(BadInput):
    """A record that cannot be used."""

    @classmethod
    def at(cls, field: str, value: object, way_out: str) -> BadRecord:
        """A fault in a field of a record; the reader of the record adds its name."""
        return cls("", field, value, way_out)


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
        raise BadRecord.at("calibration", record, "it is not a record")
    version = record.get("version")
    if version != VERSION:
        raise BadRecord.at("version", version, f"only version {VERSION} is read")
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
        raise BadRecord.at(str(error.args[0]), MISSING, "the record is incomplete") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, BadRecord) else BadRecord.whole("", str(error)) from error
    for part in PARTS:
        if not 0.0 < getattr(calibration.factors, part) <= MOST_FACTOR:
            factor = getattr(calibration.factors, part)
            raise BadRecord.at(f"factors.{part}", factor, f"it is not above 0 and at most {MOST_FACTOR:g}")
    return calibration


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_FIGURE:
        raise BadRecord.at(name, value, f"it is not a number from 0 to {MOST_FIGURE:g}")
    return float(value)


def _matrix(name: str, value: Any) -> Vector:
    """Four by four, symmetric, and with no direction of negative variance."""
    matrix = np.array(value, dtype=np.float64)
    if (
        matrix.shape != (4, 4)
        or not (np.abs(matrix) <= MOST_FIGURE).all()
        or not np.allclose(matrix, matrix.T, atol=1e-9)
    ):
        way_out = f"it is not a symmetric four by four matrix with entries up to {MOST_FIGURE:g}"
        raise BadRecord.at(name, value, way_out)
    if np.linalg.eigvalsh(matrix)[0] < -1e-9:
        raise BadRecord.at(name, value, "it has a negative variance")
    return matrix


def _point(value: Any) -> OperatingPoint | None:
    if value is None:
        return None
    names = [part.name for part in fields(OperatingPoint)]
    return OperatingPoint(**{name: _number(f"heaviest.{name}", value[name]) for name in names})
