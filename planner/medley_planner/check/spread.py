"""Sizes of single requests from buckets that have only means: a bucket stands for all sizes between its neighbours.

A load of means alone is smoother than the load that it stands for, and its simulation promises some points too much.
Pure, and drawn by rank and not by chance, so that little noise comes in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medley_planner.engine.trace import Floats
from medley_planner.model import Bucket

Span = tuple[float, float]
"""The smallest and the largest size that a mean stands for."""
_NEIGHBOUR = 4.0
"""Means farther apart by ratio are not neighbours: the buckets of histograms and of the standard grid are narrower."""


@dataclass(frozen=True, slots=True)
class SizePart:
    """`share` of the requests, of mean sizes `bucket`, and the sizes that it stands for."""

    bucket: Bucket
    share: float
    prompts: Span
    generations: Span


def parts_of(buckets: Sequence[Bucket], shares: Sequence[float]) -> tuple[SizePart, ...]:
    """One part for each bucket, in their order. Neighbours of a generation are those beside the same prompt."""
    prompts = _spans(bucket.prompt_tokens for bucket in buckets)
    rows: dict[float, list[float]] = {}
    for bucket in buckets:
        rows.setdefault(bucket.prompt_tokens, []).append(bucket.generation_tokens)
    generations = {prompt: _spans(means) for prompt, means in rows.items()}
    return tuple(
        SizePart(
            bucket,
            share,
            prompts[bucket.prompt_tokens],
            generations[bucket.prompt_tokens][bucket.generation_tokens],
        )
        for bucket, share in zip(buckets, shares, strict=True)
    )


def _spans(means: Iterable[float]) -> dict[float, Span]:
    """Between neighbours the border is their geometric mean; where there is one on one side alone, the other side
    reaches as far by ratio. A mean without neighbours stands for itself: it is what a user wrote."""
    ordered = sorted(set(means))
    ratios = [math.sqrt(high / low) for low, high in pairwise(ordered)]
    near = [ratio if ratio <= math.sqrt(_NEIGHBOUR) else None for ratio in ratios]
    spans: dict[float, Span] = {}
    for mean, below, above in zip(ordered, [None, *near], [*near, None], strict=True):
        down, up = below or above or 1.0, above or below or 1.0
        spans[mean] = (mean / down, mean * up)
    return spans


def ranked(mean: float, span: Span, count: int) -> Floats:
    """`count` sizes in rising order, even on both sides of `mean`, so many on each that their mean is `mean`."""
    low, high = span
    rank = (np.arange(count) + 0.5) / max(count, 1)
    if not low < mean < high:
        return np.full(count, mean)
    below = (high - mean) / (high - low)
    return np.where(
        rank < below, low + (mean - low) * rank / below, mean + (high - mean) * (rank - below) / (1.0 - below)
    )
