"""The worth of replicas to a service that is routed by class, given the worth of serving each class.

y replicas of a variant carry, of the classes in order of worth per load, as much as fits: a fractional knapsack. Its
value is concave in y and what it costs beyond is convex; that is all that bounds and cuts here are made of. Pure numpy
over any leading dimensions, the last one being the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medley_planner.optimize.columns.service_arrays import Floats, Ints

LEAST_LOAD = 1e-9
"""Loads are taken to be at least this much, far below what a solver or `distribute` can distinguish from 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Knapsacks:
    """Each class in order of worth per load: its position, its load, the load added up so far, its worth per load.

    A class that the variant cannot serve has neither load nor worth here.
    """

    order: Ints
    load: Floats
    loads: Floats
    ratio: Floats


def knapsacks(work: Floats, worth: Floats) -> Knapsacks:
    """`work[..., c]` is the load in replicas of class c (infinite: cannot be served), `worth[..., c]` its worth."""
    finite = np.isfinite(work)
    load = np.where(finite, np.maximum(work, LEAST_LOAD), 1.0)
    ratio = np.where(finite, worth, 0.0) / load
    # Not a stable sort, which takes five times as long: classes of equal ratio are worth the same in any order.
    order = np.argsort(-ratio, axis=-1)
    ratio = np.take_along_axis(ratio, order, axis=-1)
    load = np.where(ratio > 0, np.take_along_axis(load, order, axis=-1), 0.0)
    return Knapsacks(order, load, load.cumsum(axis=-1), ratio)


def carried(of: Knapsacks, replicas: Floats) -> Floats:
    """The most worth that `replicas` (same leading dimensions, one more at the end for several counts) can carry."""
    before = of.loads - of.load
    parts = np.clip(replicas[..., None] - before[..., None, :], 0.0, of.load[..., None, :])
    worth: Floats = np.einsum("...kc,...c->...k", parts, of.ratio)
    return worth


def taken(of: Knapsacks, replicas: Floats) -> Floats:
    """The part of each class, by its position, that `replicas` take at their most worth."""
    before = of.loads - of.load
    parts = np.clip((replicas[..., None] - before) / np.where(of.load > 0, of.load, 1.0), 0.0, 1.0)
    found = np.zeros_like(of.load)
    np.put_along_axis(found, of.order, np.where(of.load > 0, parts, 0.0), axis=-1)
    return found


def wanted(of: Knapsacks, price: Floats) -> Floats:
    """Replicas that pay for themselves at `price`: the load of the classes that are worth more than it per load."""
    total: Floats = np.where(of.ratio > price[..., None], of.load, 0.0).sum(axis=-1)
    return total
