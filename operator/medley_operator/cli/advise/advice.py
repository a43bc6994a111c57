"""The answer of `medley advise`: what runs and what it costs, and the cheapest mix beside it. Pure.

The mix is planned by the operator's own planning from the very YAML that `--write` writes. GPUs that other pods hold
are not planned with; those of the engines that the plan would replace are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medley_operator.cli.advise.engines import FoundEngine, FoundService, WorkloadRef
from medley_operator.cli.advise.load import SeenLoad
from medley_operator.cli.advise.pools import Discovery, FoundPool
from medley_operator.cli.advise.proposal import (
    Json,
    Targets,
    added_pool_manifest,
    names_of,
    pool_manifest,
    profile_manifest,
    service_manifest,
    why_not_planned,
)
from medley_operator.cli.manifests import objects_of
from medley_operator.cli.plan import default_profile, offline_snapshot, plan_snapshot
from medley_operator.cli.plan_report import build_report
from medley_operator.domain.cluster.prices import GpuPrice
from medley_operator.domain.values.views import NodeView, PodView
from medley_planner.catalog import Vendor

Key = tuple[str, str]
"""Namespace and served name."""
SOURCE = "what was found"


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was read. `prices` by pool; `loads` by service; `unread` says what could not be read, in words."""

    services: Sequence[FoundService]
    discovery: Discovery
    prices: Mapping[str, GpuPrice]
    loads: Mapping[Key, SeenLoad]
    nodes: tuple[NodeView, ...]
    pods: tuple[PodView, ...]
    autoscalers: Mapping[WorkloadRef, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """The objects that would be written, and the report of planning them (`cli.plan_report`)."""

    manifests: tuple[Json, ...]
    report: Mapping[str, Any] | None
    names: Mapping[Key, str]


def propose(survey: Survey, targets: Targets, *, added: Mapping[str, float], deadline_seconds: float) -> Proposal:
    """The cheapest mix for all services that can be planned, together. `added`: US dollars per GPU and hour of types
    that the cluster does not have; empty: on the GPUs that it has.

    Raises `NoPlan`, `UnknownGpu` and `BadManifest`.
    """
    names = names_of(survey.services)
    planned = [each for each in survey.services if not why_not_planned(each, survey.loads.get(_key(each)))]
    pools = [
        pool_manifest(pool, survey.prices[pool.name])
        for pool in survey.discovery.pools
        if pool.gpu and pool.name in survey.prices
    ]
    pools += [added_pool_manifest(product, price) for product, price in sorted(added.items())]
    services = [service_manifest(each, survey.loads[_key(each)], targets, name=names[_key(each)]) for each in planned]
    default = default_profile().spec
    images = ((engine.image, engine.version) for each in planned for engine in each.engines)
    manifests = (*pools, profile_manifest(images, (default.by_vendor[Vendor.NVIDIA], default.version)), *services)
    if not pools or not services:
        return Proposal(manifests, None, names)
    objects = objects_of((SOURCE, manifest) for manifest in manifests)
    snapshot, _ = offline_snapshot(objects)
    freed = {engine.pod_key for each in planned for engine in each.engines}
    here = replace(
        snapshot,
        # As written: a fixed pool counts its nodes.
        pools=tuple(objects.pools),
        nodes=survey.nodes,
        pods=tuple(pod for pod in survey.pods if (pod.namespace, pod.name) not in freed),
        unreadable={},
    )
    prepared, plan = plan_snapshot(here, deadline_seconds=deadline_seconds)
    return Proposal(manifests, build_report(prepared, plan), names)


def build_advice(survey: Survey, proposal: Proposal, more: Proposal | None) -> Json:
    """The whole answer as plain values: money in US dollars per hour, rates in requests per second, times in seconds.

    `more`: the proposal with GPU types that could be added.
    """
    rows = _rows(proposal)
    others = _rows(more) if more is not None else {}
    services = [_service(each, survey, proposal, rows, others) for each in survey.services]
    compared = [each for each in services if each["plan"] is not None and each["cost_per_hour"] is not None]
    now = sum(each["cost_per_hour"] for each in compared)
    then = sum(each["plan"]["cost_per_hour"] for each in compared)
    return {
        "services": services,
        "pools": [_pool(pool, survey.prices.get(pool.name)) for pool in survey.discovery.pools],
        "total": {
            "services_compared": len(compared),
            "cost_per_hour": round(now, 6),
            "planned_cost_per_hour": round(then, 6),
            "savings_percent": _savings(now, then),
            "gap": proposal.report["gap"] if proposal.report is not None else None,
        },
        "not_read": [*survey.discovery.left_out, *survey.unread],
    }


def _rows(proposal: Proposal) -> Mapping[str, Json]:
    return {row["service"]: row for row in (proposal.report or {"services": []})["services"]}


def _service(
    service: FoundService,
    survey: Survey,
    proposal: Proposal,
    rows: Mapping[str, Json],
    others: Mapping[str, Json],
) -> Json:
    load = survey.loads.get(_key(service))
    cost = _cost(service.engines, survey)
    name = f"{service.namespace}/{proposal.names[_key(service)]}"
    row, other = rows.get(name), others.get(name)
    reason = why_not_planned(service, load)
    if not reason and row is None:
        reason = "no pool has a known GPU type and a price; give prices with --price TYPE=USD"
    if row is not None and "mix" not in row:
        reason = f"{row['reason']}: {row['message']}"
    return {
        "namespace": service.namespace,
        "model": service.model,
        "served_name": service.served_name,
        "workloads": [
            {
                "name": str(workload),
                "replicas": sum(engine.workload == workload for engine in service.engines),
                "ready": sum(engine.workload == workload and engine.ready for engine in service.engines),
                "autoscaler": survey.autoscalers.get(workload, ""),
            }
            for workload in service.workloads
        ],
        "managed_by": list(service.managers),
        "gpus": dict(_gpus(service.engines, survey)),
        "tensor_parallel": sorted({engine.tensor_parallel for engine in service.engines}),
        "precision": sorted({engine.precision or "checkpoint" for engine in service.engines}),
        "cost_per_hour": cost,
        "load": load
        and {
            "mean_rps": load.mean_rps,
            "peak_rps": load.peak_rps,
            "prompt_tokens": load.prompt_tokens,
            "generation_tokens": load.generation_tokens,
        },
        "attained": load and {"ttft_seconds": load.ttft_seconds, "tpot_seconds": load.tpot_seconds},
        "plan": _plan(row, cost),
        "plan_with_added_gpus": _plan(other, cost),
        "not_planned": reason,
    }


def _plan(row: Json | None, cost: float | None) -> Json | None:
    if row is None or "mix" not in row:
        return None
    return {
        "name": row["service"],
        "status": row["status"],
        "mix": [
            {name: part[name] for name in ("variant", "pool", "gpu", "gpus_per_replica", "replicas")}
            for part in row["mix"]
        ],
        "cost_per_hour": row["cost_per_hour"],
        "lower_bound": row["lower_bound"],
        "best_single": row["best_single"],
        "savings_percent": _savings(cost, row["cost_per_hour"]) if cost is not None else None,
        "unserved": row["unserved"],
    }


def _pool(pool: FoundPool, price: GpuPrice | None) -> Json:
    return {
        "name": pool.name,
        "gpu": pool.title,
        "known": bool(pool.gpu),
        "nodes": len(pool.nodes),
        "gpus_per_node": pool.gpus_per_node,
        "spot": pool.spot,
        "price_per_gpu_hour": price and price.per_gpu_hour_usd,
        "price_source": price.source if price is not None else "",
    }


def _gpus(engines: Sequence[FoundEngine], survey: Survey) -> Counter[str]:
    """GPUs by type; of pods that stand nowhere yet: "waiting"."""
    counted: Counter[str] = Counter()
    for engine in engines:
        pool = survey.discovery.by_node.get(engine.node)
        counted[pool.title if pool is not None else ("unknown" if engine.node else "waiting")] += engine.gpu_count
    return counted


def _cost(engines: Sequence[FoundEngine], survey: Survey) -> float | None:
    """Cost of the engines' GPUs; None where the price of one of them is not known."""
    total = 0.0
    for engine in engines:
        if not engine.node:
            continue
        pool = survey.discovery.by_node.get(engine.node)
        price = survey.prices.get(pool.name) if pool is not None else None
        if price is None and engine.gpu_count:
            return None
        total += engine.gpu_count * price.per_gpu_hour_usd if price is not None else 0.0
    return round(total, 6)


def _savings(now: float, then: float) -> float | None:
    return round(100 * (1 - then / now), 1) if now > 0 else None


def _key(service: FoundService) -> Key:
    return service.namespace, service.served_name
