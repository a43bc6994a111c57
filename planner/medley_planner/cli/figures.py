"""Figures as reports print them."""

from __future__ import annotations


def rounded(value: float) -> float:
    """Drops the dust of binary sums (4.68 stays 4.68), far below any tolerance in use."""
    return float(f"{value:.12g}")
