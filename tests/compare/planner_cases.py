"""Problems of the planner alone, each with its plan: golden instances, drawn small problems, drawn fleets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .instance_document import bare
from .names import find

DEADLINE_SECONDS = 60.0
Case = tuple[str, Callable[[], Any]]
"""A name, and what gives the case's value."""

_FLEET_SEEDS = (1, 2)
_STOCK_FRACTION, _POWER_FRACTION = 0.7, 0.8


class Skipped(Exception):
    """Why a suite has no cases here."""


def planned(problem: Any, *, last: Any = None) -> Any:
    """The plan within a deadline that is meant never to bind."""
    solve = find("plan", takes=("problem", "deadline_seconds", "last"))
    return solve(problem, deadline_seconds=DEADLINE_SECONDS, last=last)


def golden_cases() -> Iterator[Case]:
    """Each instance with a proven optimum, and the infeasible one, in its own routing mode and in every other."""
    file = Path(os.environ["MEDLEY_SHARED_DATA"]) / "plan_instances.json"
    if not file.exists():
        raise Skipped(f"{file} is not there; set MEDLEY_SHARED_DATA to its folder")
    document = json.loads(file.read_text(encoding="utf-8"))
    for number, instance in enumerate([*document["instances"], document["infeasible"]]):
        name = f"{number:02} {instance.get('name', 'infeasible')}"
        yield f"{name} as given", partial(_golden, instance, None)
        for mode in find("RoutingMode"):
            yield f"{name} {mode.value}", partial(_golden, instance, mode)


def _golden(instance: dict[str, Any], mode: Any) -> Any:
    problem = find("parse_instance")(bare(instance)).problem
    if mode is not None:
        problem = replace(problem, services=tuple(replace(each, routing=mode) for each in problem.services))
    return _both(problem)


def property_cases(seeds: int) -> Iterator[Case]:
    """Small problems of every feature and mix, and of the generators of single services, in every routing mode."""
    for mode in find("RoutingMode"):
        for case in (*find("Feature", package="tests"), None):
            for seed in range(seeds):
                yield (
                    f"small {mode.value} {getattr(case, 'value', 'mix')} {seed}",
                    partial(_small, case, mode, seed),
                )
        for maker in ("eight_pools", "thirty_variants", "few_sizes", "small_service"):
            for seed in range(2):
                yield f"{maker} {mode.value} {seed}", partial(_single, maker, mode, seed)


def _small(case: Any, mode: Any, seed: int) -> Any:
    features = find("features_of", package="tests")(case, seed=seed)
    return _both(find("small_problem", package="tests")(features, mode, seed=seed))


def _single(maker: str, mode: Any, seed: int) -> Any:
    return _both(find(maker, package="tests")(seed, mode))


def fleet_cases(sizes: tuple[int, ...]) -> Iterator[Case]:
    """Fleets as the fleet benchmark makes them, cold and planned again after every rate and share changed."""
    extras = find("Extras", package="tests")
    kinds = {
        "enough": (None, extras()),
        "stock": (_STOCK_FRACTION, extras()),
        "power": (_STOCK_FRACTION, extras(power_fraction=_POWER_FRACTION)),
        "all": (
            _STOCK_FRACTION,
            extras(tensor_parallel_degrees=2, spot=True, node_gpus=8, power_fraction=_POWER_FRACTION),
        ),
        "running": (_STOCK_FRACTION, extras(current=True)),
    }
    modes = find("RoutingMode")
    for size in sizes:
        for kind, (stock, extra) in kinds.items():
            for mode in (modes("HTTPRoute"), modes("InferencePool")):
                for seed in _FLEET_SEEDS if size <= 10 else _FLEET_SEEDS[:1]:
                    yield (
                        f"{size} {kind} {mode.value} {seed}",
                        partial(_fleet, size, stock, extra, mode, seed),
                    )


def _fleet(size: int, stock: float | None, extra: Any, mode: Any, seed: int) -> Any:
    problem = find("fleet", package="tests", takes=("services", "stock_fraction", "extras"))(
        size, seed=seed, stock_fraction=stock, routing=(mode,), extras=extra
    )
    cold = planned(problem)
    changed = find("changed", package="tests", takes=("problem", "seed"))(problem, seed=seed)
    return {"problem": problem, "plan": cold, "changed": changed, "replan": planned(changed, last=cold)}


def _both(problem: Any) -> Any:
    return {"problem": problem, "plan": planned(problem)}
