"""How long to wait after a round that failed: twice as long each time, within bounds. Pure."""

from __future__ import annotations

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


def delay_seconds(failures: int) -> float:
    """Delay after that many failed rounds in a row (1 s, 2 s, 4 s ... 30 s)."""
    doublings = min(max(failures, 1) - 1, 10)  # bounded, so that the power stays small for ever
    return min(FIRST_SECONDS * 2.0**doublings, LONGEST_SECONDS)
