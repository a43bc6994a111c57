"""The failures of the real engine, as exceptions whose messages carry the way out."""

from __future__ import annotations


class VllmError(Exception):
    """Base of all errors of this package."""


class InstallError(VllmError):
    """The engine could not be installed."""


class MeasureError(VllmError):
    """A measurement did not give what it should."""
