"""The failures between Prometheus and a demand, as one small tree of exceptions.

Each carries the reason of the condition MetricsAvailable that it becomes, and whether asking again may help. They never
leave `MetricsReader.observe`: there each becomes the `Observation` of the service it concerns.
"""

from __future__ import annotations

from typing import ClassVar

from medley_operator.domain.values.snapshot import MetricsReason


class MetricsError(Exception):
    """Base. `str()` is the condition's message; `retryable`: the same question may be answered in a later round."""

    reason: ClassVar[MetricsReason]

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class MissingMetricsError(MetricsError):
    """Prometheus answers, but has too little data of this service to derive its demand."""

    reason = MetricsReason.MISSING


class StaleMetricsError(MetricsError):
    """There were series, and now there are none, or they get no new samples."""

    reason = MetricsReason.STALE


class PrometheusUnavailableError(MetricsError):
    """No usable answer: no connection, no time, an error status, or an answer that is not Prometheus's."""

    reason = MetricsReason.UNAVAILABLE


class SlowAnswerError(PrometheusUnavailableError):
    """The answer was not complete in time."""


class TooLargeAnswerError(PrometheusUnavailableError):
    """The answer has more bytes than are read."""


class InvalidMetricsError(MetricsError):
    """The series are there but make no sense."""

    reason = MetricsReason.INVALID
