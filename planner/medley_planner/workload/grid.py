"""The standard grid of request sizes: ten prompt by six generation sizes, as in the Mélange paper, and their edges."""

from __future__ import annotations

import math
from itertools import pairwise

from medley_planner.model import Bucket

PROMPT_SIZES = (25, 100, 250, 500, 1000, 2000, 4000, 8000, 12000, 16000)
GENERATION_SIZES = (25, 100, 250, 500, 1000, 2000)
_LONGEST = 1_048_576
"""Longest sequence that the API accepts."""


def standard_buckets() -> tuple[Bucket, ...]:
    """The 60 buckets, generation varying fastest."""
    return tuple(Bucket(prompt, generation) for prompt in PROMPT_SIZES for generation in GENERATION_SIZES)


def edges(sizes: tuple[int, ...]) -> tuple[float, ...]:
    """Edges of the bins around `sizes` and, doubling, beyond them: 0, geometric means of neighbours, infinity."""
    extended = list(sizes)
    while extended[-1] * 2 <= _LONGEST:
        extended.append(extended[-1] * 2)
    inner = [math.sqrt(a * b) for a, b in pairwise(extended)]
    return (0.0, *inner, math.inf)
