"""The known speed of an engine beyond the data sheet: factors on the step time, and where they come from.

Profiles and online calibration both end here, so that capacity, simulation and plans need to know of neither. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from medley_planner.layout import Layout
from medley_planner.model import Provenance

DERATE: Mapping[Provenance, float] = MappingProxyType(
    {
        Provenance.MEASURED: 0.95,
        Provenance.CALIBRATED: 0.90,
        Provenance.ESTIMATED: 0.75,
        Provenance.GIVEN: 1.0,
    }
)
"""Share of a capacity that a plan may count on, by where the figure comes from: its usual error is taken off."""


@dataclass(frozen=True, slots=True)
class Derates:
    """`DERATE` as it is configured. Raises ValueError where one is not above 0 and at most 1."""

    measured: float = DERATE[Provenance.MEASURED]
    calibrated: float = DERATE[Provenance.CALIBRATED]
    estimated: float = DERATE[Provenance.ESTIMATED]

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if not 0.0 < value <= 1.0:
                raise ValueError(f"Derates.{part.name} is {value}; give a share above 0 and at most 1")

    def allowing(self, provenance: Provenance, *, error: float) -> float:
        """The share for figures of that provenance that are known to be off by `error` (a share) on average."""
        usual = {
            Provenance.MEASURED: self.measured,
            Provenance.CALIBRATED: self.calibrated,
            Provenance.ESTIMATED: self.estimated,
            Provenance.GIVEN: DERATE[Provenance.GIVEN],
        }[provenance]
        return min(usual, max(1.0 - error, 0.0))


DERATES = Derates()


@dataclass(frozen=True, slots=True)
class StepFactors:
    """Factors on the parts of an estimated step time; all 1: the estimate as it is.

    `fixed`: what a step takes whatever is in it: launch, synchronisation, reading the weights. `compute`: what each
    token takes: matrix products, prefill attention, links between GPUs. `sequence`: what each decoding sequence takes.
    `kv`: what each cached token that is read takes. Raises ValueError where one is not finite or below 0.
    """

    fixed: float = 1.0
    compute: float = 1.0
    sequence: float = 1.0
    kv: float = 1.0

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"StepFactors.{part.name} is {value}; give a finite number, 0 or more")


UNCORRECTED = StepFactors()
PARTS = tuple(part.name for part in fields(StepFactors))
"""The names of the factors, in their order."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The known speed of one layout of a model. `kv_tokens`: the engine's own figure, None where none is known."""

    factors: StepFactors = UNCORRECTED
    provenance: Provenance = Provenance.ESTIMATED
    derate: float = DERATE[Provenance.ESTIMATED]
    kv_tokens: int | None = None


ESTIMATE = Speed()
"""The data sheet alone."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """One layout of one model: what a profile or a calibration is of. `model` is the name of its `ModelShape`."""

    model: str
    layout: Layout

    def __lt__(self, other: EngineKey) -> bool:
        """A stable order: by model, then by layout."""
        return (self.model, self.layout) < (other.model, other.layout)
