"""Share of requests that one replica serves within the targets, by simulation of the very requests it is to get. Pure.

One replica stands for all of a variant: where a pod is chosen at random, each of n pods sees Poisson arrivals of a
part of the rate and the same sizes. So the work does not grow with the fleet, and an answer holds for every service
that asks the same. Pods chosen by their queues do better.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from medley_planner.capacity import LatencyTargets
from medley_planner.capacity.cell import SimulatedEngine
from medley_planner.check.spread import SizePart, ranked
from medley_planner.engine import (
    Balance,
    EngineSpec,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    Trace,
    poisson_arrivals,
    simulate,
)
from medley_planner.engine.trace import Floats, Ints
from medley_planner.variants import Replica

REQUESTS = 3000
"""Requests of each simulation, the first `_WARM_UP` of them not judged. 95 % of 2,700 is known to about 1 point."""
_WARM_UP = 0.1
_SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Subject:
    """Facts about a service that the check needs beyond the problem: how each variant's replica is run, and the
    targets.

    `last_factors`: what the capacities of the plan that runs were multiplied by, by variant. A check without memory
    begins with them, so that a restart changes nothing; they are not part of a subject's identity. `headrooms`: what is
    kept beside a capacity that is corrected, by variant, as a share of the load; without one, the service's own.
    """

    replicas: tuple[tuple[str, Replica], ...]
    targets: LatencyTargets
    last_factors: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    headrooms: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """The traffic of one replica: requests per second, and their sizes, with shares that sum to 1.

    `prefix_hit_rate`: the share of each prompt that prefix caches save computing.
    """

    rate_rps: float
    parts: tuple[SizePart, ...]
    prefix_hit_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Attained:
    """`attainment`: share of requests within both targets. Seconds are those at the targets' percentile (NaN where no
    request has the figure). `busy`: share of the time in steps."""

    attainment: float
    ttft_seconds: float
    tpot_seconds: float
    busy: float


def spec_of(replica: Replica, *, prefix_hit_rate: float = 0.0) -> EngineSpec:
    """The replica as the simulator takes it; its memory must hold the model."""
    return replace(_engine(replica).spec, prefix_hit_rate=prefix_hit_rate)


# A table of 8,192 tokens takes half a megabyte.
@lru_cache(maxsize=96)
def _engine(replica: Replica) -> SimulatedEngine:
    fit = replica.fit()
    return SimulatedEngine.of(
        replica.step(),
        token_budget=replica.token_budget,
        max_sequences=min(replica.max_sequences, replica.token_budget),
        kv_tokens=fit.kv_tokens,
        max_model_len=replica.max_model_len,
        cost=fit.cost,
    )


@lru_cache(maxsize=4096)
def attained(replica: Replica, served: ReplicaLoad, targets: LatencyTargets) -> Attained:
    """The simulated result of one replica for `served`, which must have a rate above 0. Equal arguments, equal answer.

    Arrivals of different rates are the same draw stretched, sizes the same in the same order, so that a lower rate is
    compared with a higher one on the same requests.
    """
    engine = _engine(replica)
    arrivals = poisson_arrivals(1.0, count=REQUESTS, seed=_SEED) / served.rate_rps
    prompt, generation = _sizes(served.parts)
    fleet = SimulatedFleet((ReplicaGroup("replica", replace(engine.spec, prefix_hit_rate=served.prefix_hit_rate), 1),))
    outcome = simulate(
        Trace(arrivals, prompt, generation), fleet, Routing(Balance.ROUND_ROBIN), seed=0, tables=[engine.table]
    )
    judged = outcome.only(np.arange(REQUESTS) >= int(_WARM_UP * REQUESTS))
    tpot = judged.tpot_seconds[~np.isnan(judged.tpot_seconds)]
    return Attained(
        attainment=judged.attainment(ttft_seconds=targets.ttft_seconds, tpot_seconds=targets.tpot_seconds),
        ttft_seconds=float(np.percentile(judged.ttft_seconds, targets.percentile)),
        tpot_seconds=float(np.percentile(tpot, targets.percentile)) if tpot.size else float("nan"),
        busy=min(sum(usage.busy_seconds for usage in outcome.usage) / outcome.span_seconds, 1.0),
    )


@lru_cache(maxsize=256)
def _sizes(parts: tuple[SizePart, ...]) -> tuple[Ints, Ints]:
    """Each part as often as its share says, to one request, with the sizes that it stands for, in an order drawn once:
    less noise than drawing sizes."""
    wanted = np.asarray([part.share for part in parts]) * REQUESTS
    counts = np.floor(wanted).astype(np.int64)
    most = np.argsort(counts - wanted, kind="stable")[: REQUESTS - int(counts.sum())]
    counts[most] += 1
    rng = np.random.default_rng(_SEED)
    prompts = [ranked(part.bucket.prompt_tokens, part.prompts, n) for part, n in zip(parts, counts, strict=True)]
    generations = [
        rng.permutation(ranked(part.bucket.generation_tokens, part.generations, n))
        for part, n in zip(parts, counts, strict=True)
    ]
    order = rng.permutation(REQUESTS)
    return _tokens(prompts)[order], _tokens(generations)[order]


def _tokens(columns: list[Floats]) -> Ints:
    return np.maximum(np.rint(np.concatenate(columns)), 1.0).astype(np.int64)
