"""Manifests planned as the operator plans them: snapshot, problem, and the plan that simulation has checked.

Each is planned twice: from nothing, and when what the first plan says runs. The plan's check is given a clock that
stands still, so that it always takes all the rounds that it needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from .manifests import Manifests, capacity_grid, changed, read, variations
from .names import find, part
from .planner_cases import DEADLINE_SECONDS, Case


def snapshot_cases(inputs: str) -> Iterator[Case]:
    examples = Path(inputs)
    for name, manifests in variations(examples):
        yield name, partial(_planned_twice, manifests)
    quick = read(examples / "quickstart")
    yield "quickstart observed", lambda: _two_rounds(_observed(_snapshot(quick)))
    # Short sequences have few sizes to simulate.
    short = {"model": {"maxModelLen": 256}, "variants": [{"poolRef": "l4", "tensorParallel": 1}, {"poolRef": "h100"}]}
    load = {"workload": {"static": {"promptTokens": 100, "generationTokens": 50}}}
    small = changed(quick, "LLMService", {"slo": {"ttft": "1s", "tpot": "100ms"}} | short | load)
    yield "quickstart simulated", lambda: _two_rounds(_simulated(_snapshot(small)))
    for name, manifests in capacity_grid(examples):
        yield name, partial(_rows, manifests)


def _planned_twice(manifests: Manifests) -> Any:
    return _two_rounds(_snapshot(manifests))


def _rows(manifests: Manifests) -> Any:
    return _prepared(_snapshot(manifests))[1]


def _snapshot(manifests: Manifests) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "manifests.yaml"
        file.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
        objects = find("read_objects", package="medley_operator")([str(file)])
    found = find("offline_snapshot", package="medley_operator")(objects)
    return found[0] if isinstance(found, tuple) else found


def _two_rounds(snapshot: Any) -> Any:
    first = _round(snapshot)
    plan = first["checked"] and first["checked"]["plan"]
    return {"first": first, "second": plan and _round(_running(snapshot, plan))}


def _round(snapshot: Any) -> dict[str, Any]:
    prepared, seen = _prepared(snapshot)
    if prepared.problem is None:
        return seen | {"checked": None}
    made = find("plan_checked", takes=("problem", "subjects", "solve", "clock"))(
        prepared.problem,
        prepared.subjects,
        solve=find("plan", takes=("problem", "deadline_seconds", "last")),
        clock=lambda: 0.0,
        deadline_seconds=DEADLINE_SECONDS,
    )
    names = ("plan", "problem", "factors", "checked", "rounds")
    return seen | {"checked": {name: getattr(made, name) for name in names}}


def _prepared(snapshot: Any) -> tuple[Any, dict[str, Any]]:
    prepare = find("prepare", package="medley_operator", takes=("snapshot", "memory"))
    nothing = get_type_hints(prepare)["memory"]()
    prepared = prepare(snapshot, nothing)
    refusals = {context.key: part(context, "rejection", "refusal") for context in prepared.services}
    services = {
        "/".join(context.key): {
            "standing": part(context, "standing", "disposition"),
            "rejection": refusals[context.key] and refusals[context.key].reason,
            "flags": {known.variant.name: known.engine_flags for known in context.variants},
            "basis": {known.variant.name: known.basis for known in context.variants},
            "unfit": [(one.variant, one.reason) for one in part(context, "unfit", "omitted")],
            "missing_tables": len(context.missing_tables),
        }
        for context in prepared.services
    }
    return prepared, {"problem": prepared.problem, "services": services}


def _running(snapshot: Any, plan: Any) -> Any:
    """The snapshot when the statuses contain the plan, as after a restart of the operator."""
    planned = {each.service: each.replicas() for each in plan.services}
    return replace(
        snapshot,
        services=tuple(
            _with_status(service, planned.get(f"{service.metadata.namespace}/{service.metadata.name}", {}))
            for service in snapshot.services
        ),
    )


def _with_status(service: Any, replicas: dict[str, int]) -> Any:
    rows = [
        {"name": name, "pool": name, "gpu": "", "desired": count, "ready": count}
        for name, count in replicas.items()
        if count
    ]
    body = service.model_dump(by_alias=True, exclude_none=True) | {"status": {"variants": rows}}
    return type(service).model_validate(body)


def _observed(snapshot: Any) -> Any:
    """The answers of Prometheus about the services: sizes on the whole grid, and prefix caches that save a part."""
    buckets = find("standard_buckets")()
    weights = [1.0 / (3 + index % 7) for index in range(len(buckets))]
    demand = find("Demand")(
        9.7,
        buckets,
        tuple(weight / sum(weights) for weight in weights),
        find("SizeSource")("Tilted"),
        prefix_hit_rate=0.3,
    )
    reason = find("MetricsReason", package="medley_operator")("MetricsFound")
    seen = find("Observation", package="medley_operator")(reason=reason, demand=demand, samples=50000.0, message="seen")
    keys = [(service.metadata.namespace, service.metadata.name) for service in snapshot.services]
    return replace(snapshot, observations=dict.fromkeys(keys, seen))


def _simulated(snapshot: Any) -> Any:
    """With the first of the tables that it lacks, simulated here and now; the others are corrected by it."""
    simulate = find("simulate_table")

    def first(keys: Any) -> Iterator[tuple[Any, Any]]:
        return ((key, simulate(key)) for key in islice(keys, 1))

    with tempfile.TemporaryDirectory() as folder:
        add = find("with_tables", package="medley_operator")
        return add(snapshot, directory=Path(folder), simulate=True, make=first)
