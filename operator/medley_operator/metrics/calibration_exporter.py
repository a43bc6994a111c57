"""The factors and skipped windows of calibration, as metrics of the operator, under the names of docs/reference.md."""

from __future__ import annotations

from dataclasses import fields

from prometheus_client import CollectorRegistry, Counter, Gauge

from medley_operator.domain.speed.calibration import KnownEngines, Skip
from medley_operator.domain.values.learned_key import LearnedKey
from medley_planner.capacity.calibrate import CalibrationState
from medley_planner.capacity.speed import PARTS
from medley_planner.capacity.window import SkipReason
from medley_planner.layout import Layout

ENGINE_LABELS = ("namespace", "model", *(part.name for part in fields(Layout)), "arguments")


class CalibrationExporter:
    """Series of engines that are no longer known are removed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._factor = Gauge(
            "medley_calibration_factor",
            "Learned duration of a part of an engine step, divided by its estimate.",
            (*ENGINE_LABELS, "part"),
            registry=registry,
        )
        self._used = Gauge(
            "medley_calibration_used",
            "1 while plans use the learned step times, 0 while they use the estimate.",
            ENGINE_LABELS,
            registry=registry,
        )
        self._windows = Counter(
            "medley_calibration_windows_total", "Windows that calibration learned from.", registry=registry
        )
        self._skipped = Counter(
            "medley_calibration_skipped_windows_total",
            "Windows that calibration skipped, by reason.",
            ("reason",),
            registry=registry,
        )
        for reason in SkipReason:
            self._skipped.labels(reason.value)
        self._shown: set[tuple[str, ...]] = set()

    def learned(self, *, windows: int, skips: tuple[Skip, ...]) -> None:
        self._windows.inc(windows)
        for skip in skips:
            self._skipped.labels(skip.reason.value).inc()

    def show(self, engines: KnownEngines) -> None:
        """Engines that were learned from."""
        taught = {key: known for key, known in engines.items() if known.calibration.windows}
        for key, known in taught.items():
            factors = known.calibration.factors
            for part in PARTS:
                self._factor.labels(*_labels(key), part).set(getattr(factors, part))
            self._used.labels(*_labels(key)).set(float(known.calibration.standing is CalibrationState.CALIBRATED))
        labels = {_labels(key) for key in taught}
        for gone in self._shown - labels:
            self._used.remove(*gone)
            for part in PARTS:
                self._factor.remove(*gone, part)
        self._shown = labels


def _labels(key: LearnedKey) -> tuple[str, ...]:
    return key.namespace, key.model, *key.layout.facts.values(), key.arguments
