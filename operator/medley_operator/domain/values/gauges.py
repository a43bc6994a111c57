"""Figures for the operator's own metrics, as values that know nothing of how they are exported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GaugeFamily:
    """A gauge by name, with its label names. `stays`: a series that was shown once is kept."""

    name: str
    labels: tuple[str, ...]
    help: str
    stays: bool = False


@dataclass(frozen=True, slots=True)
class GaugeSample:
    """One series of a gauge with its value; None: the figure is not known anew and stays as it is."""

    name: str
    labels: tuple[str, ...]
    value: float | None
