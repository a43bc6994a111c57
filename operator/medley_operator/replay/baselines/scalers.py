"""Autoscalers of one GPU type, which look every 15 s: an HPA on requests per pod, and llm-d's SLO-aware control law."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.baselines.single import SingleTypeFleet
from medley_operator.replay.baselines.stabilised import Pace, Stabilised
from medley_operator.replay.scrapes import TPOT_EDGES, TTFT_EDGES, CounterColumns, Floats
from medley_operator.replay.world import World

LOOK_SECONDS = 15.0
HPA_TOLERANCE = 0.1
HPA_PACE = Pace(
    up_window=0.0, down_window=300.0, up_share=1.0, up_pods=4, up_seconds=15.0, down_pods=None, down_seconds=15.0
)
"""The defaults of a HorizontalPodAutoscaler, version 2."""
LAW_PACE = Pace(
    up_window=30.0, down_window=180.0, up_share=1.0, up_pods=4, up_seconds=60.0, down_pods=1, down_seconds=120.0
)
LAW_UP, LAW_DOWN, LAW_MOST = 0.55, 0.40, 2.0
LAW_MEAN_LOOKS = 3
"""45 s."""
LAW_WINDOW_SECONDS = 60.0
LAW_QUANTILE = 0.9


@dataclass(slots=True)
class HpaScaler:
    """replicas = ceil(requests that run and wait / `target`), as the HPA counts pods that are not Ready: as idle where
    it would scale up, not at all where it would scale down."""

    world: World
    key: ServiceKey
    fleet: SingleTypeFleet
    target: float
    held: Stabilised = field(default_factory=lambda: Stabilised(HPA_PACE))

    def look(self) -> None:
        scrapes = self.world.scrapes[self.key]
        pods = [pod for pod in scrapes.window(self.world.now, 2 * LOOK_SECONDS) if pod.live]
        names = {pod.name for pod in self.fleet.pods if pod.ready}
        seen = [
            pod.newest[CounterColumns.RUNNING] + pod.newest[CounterColumns.WAITING]
            for pod in pods
            if pod.target.pod in names
        ]
        current = self.fleet.replicas
        wanted = current
        if seen:
            total, unready = float(sum(seen)), current - len(seen)
            ratio = total / len(seen) / self.target
            if ratio > 1.0 + HPA_TOLERANCE and total / (len(seen) + unready) / self.target > 1.0 + HPA_TOLERANCE:
                wanted = max(math.ceil(total / self.target), current)
            elif ratio < 1.0 - HPA_TOLERANCE:
                wanted = min(math.ceil(total / self.target), current)
        self.fleet.scale(self.held.step(self.world.now, current, max(wanted, 1)))


@dataclass(slots=True)
class SloLawScaler:
    """The law, by the shares that the 90th percentiles of TTFT and TPOT are of their targets."""

    world: World
    key: ServiceKey
    fleet: SingleTypeFleet
    held: Stabilised = field(default_factory=lambda: Stabilised(LAW_PACE))
    _shares: deque[float] = field(default_factory=lambda: deque(maxlen=LAW_MEAN_LOOKS))

    def look(self) -> None:
        share = self._share()
        if share is None:
            return
        self._shares.append(min(LAW_MOST, share))
        mean = math.fsum(self._shares) / len(self._shares)
        current, ready = self.fleet.replicas, self.fleet.ready
        wanted = current
        if mean > LAW_UP:
            correction = ready / current if 0 < ready < current else 1.0
            wanted = current + max(math.ceil(current * (mean * correction / LAW_UP - 1.0)), 0)
        elif mean < LAW_DOWN:
            wanted = current - math.floor(current * (1.0 - mean / LAW_DOWN))
        wanted = min(max(wanted, self.fleet.least), self.fleet.most)
        self.fleet.scale(self.held.step(self.world.now, current, wanted))

    def _share(self) -> float | None:
        """None where no request ended in the window."""
        scrapes = self.world.scrapes[self.key]
        pods = scrapes.window(self.world.now, LAW_WINDOW_SECONDS)
        risen = [pod.increase for pod in pods if pod.increase is not None]
        if not risen:
            return None
        total: Floats = np.sum(risen, axis=0)
        slo = self.world.services[self.key].spec.slo
        shares = [
            quantile / target
            for quantile, target in (
                (bucket_quantile(total[scrapes.columns.ttft], TTFT_EDGES), slo.ttft_seconds),
                (bucket_quantile(total[scrapes.columns.tpot], TPOT_EDGES), slo.tpot_seconds),
            )
            if quantile is not None
        ]
        return max(shares, default=None)


def bucket_quantile(counts: Floats, edges: tuple[float, ...]) -> float | None:
    """The 90th percentile of a histogram as PromQL's `histogram_quantile` reads it, from counts of single buckets; None
    where there is none."""
    below = np.cumsum(counts)
    if below[-1] <= 0.0:
        return None
    rank = LAW_QUANTILE * below[-1]
    at = int(np.searchsorted(below, rank, side="left"))
    if at >= len(edges):
        return edges[-1]
    low, before = (edges[at - 1], below[at - 1]) if at else (0.0, 0.0)
    inside = counts[at]
    return float(low + (edges[at] - low) * ((rank - before) / inside if inside > 0.0 else 1.0))
