"""GPUs that replicas take from the pools of finite stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medley_planner.model import Pool
from medley_planner.optimize.task import Task


def finite_stocks(pools: Sequence[Pool]) -> dict[str, int]:
    return {pool.name: pool.stock_gpus for pool in pools if pool.stock_gpus is not None}


def left_after(stocks: Mapping[str, int], task: Task, replicas: Sequence[int]) -> dict[str, int]:
    """What these replicas leave of the stock; below 0 where they take more than there is."""
    left = dict(stocks)
    for variant, count in zip(task.variants, replicas, strict=True):
        if variant.pool in left:
            left[variant.pool] -= count * variant.gpus_per_replica
    return left


def fits(stocks: Mapping[str, int]) -> bool:
    return all(gpus >= 0 for gpus in stocks.values())
