"""How drawn services' requests spread over the standard grid of sizes."""

from __future__ import annotations

import math
import random

from medley_planner.workload import standard_buckets


def grid_shares(draw: random.Random) -> tuple[float, ...]:
    """A log-normal of both sizes around its mean; every bucket of the standard grid has some share."""
    prompt, generation = math.log(draw.uniform(150, 2500)), math.log(draw.uniform(60, 450))
    weights = [
        math.exp(
            -((math.log(bucket.prompt_tokens) - prompt) ** 2 + (math.log(bucket.generation_tokens) - generation) ** 2)
        )
        for bucket in standard_buckets()
    ]
    return normalised(weights)


def normalised(weights: list[float]) -> tuple[float, ...]:
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
