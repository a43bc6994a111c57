"""The report of `medley solve` on a planned fleet, as one object of plain values for JSON and YAML. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from medley_planner.bad_input import MISSING, shown
from medley_planner.cli.figures import rounded
from medley_planner.cli.fleet_reader import FleetInput, RefusedService
from medley_planner.cli.router_shares import prompt_classes, prompt_ranges, variant_weights
from medley_planner.model import Plan, Service, ServicePlan

REJECTED = "Rejected"
"""Status of a service whose own data is at fault; it is not planned."""


def summarise_fleet(fleet: FleetInput, planned: Plan) -> dict[str, Any]:
    """The object that `-o json` prints. Money in US dollars per hour, rates in requests per second; services in the
    document's order, the rejected among them."""
    parts = {part.service: part for part in planned.services}
    services = {
        place: _service(service, parts[service.name])
        for place, service in zip(fleet.places, fleet.problem.services, strict=True)
        if service.name in parts
    }
    services |= {one.index: _rejected(one) for one in fleet.rejected}
    return {
        "status": planned.status.value,
        "cost_per_hour": rounded(planned.cost_per_hour),
        "switching_cost_per_hour": rounded(planned.switching_cost_per_hour),
        "lower_bound_per_hour": rounded(planned.lower_bound_per_hour),
        "gap": rounded(planned.gap),
        "solve_seconds": rounded(planned.solve_seconds),
        "shortages": [_rounded_fields(asdict(one) | {"priority": one.priority.value}) for one in planned.shortages],
        "nodes": [_rounded_fields(asdict(count)) for count in planned.nodes],
        "limits": [_rounded_fields(asdict(limit) | {"kind": limit.kind.value}) for limit in planned.limits],
        "services": [services[place] for place in sorted(services)],
    }


def _service(service: Service, planned: ServicePlan) -> dict[str, Any]:
    single = planned.best_single
    return {
        "service": planned.service,
        "status": planned.status.value,
        "routing": planned.routing.value,
        "rate_rps": rounded(service.demand.rate_rps),
        "cost_per_hour": rounded(planned.cost_per_hour),
        "switching_cost_per_hour": rounded(planned.switching_cost_per_hour),
        "mix": [
            {
                "variant": part.variant,
                "pool": part.pool,
                "replicas": part.replicas,
                "share": rounded(part.share),
                "load": rounded(part.load),
                "cost_per_hour": rounded(part.cost_per_hour),
            }
            for part in planned.variants
            if part.replicas
        ],
        "router": _router(service, planned),
        "unserved": [
            {
                "prompt_tokens": service.demand.buckets[entry.bucket].prompt_tokens,
                "generation_tokens": service.demand.buckets[entry.bucket].generation_tokens,
                "rate_rps": rounded(entry.rate_rps),
                "reason": entry.reason.value,
                "limits": list(entry.limits),
            }
            for entry in planned.unserved
        ],
        "best_single": single and _rounded_fields(asdict(single)),
        "cheaper": _cheaper(planned),
        "unused": [asdict(one) | {"reason": one.reason.value} for one in planned.unused],
    }


def _cheaper(planned: ServicePlan) -> dict[str, Any] | None:
    cheaper = planned.cheaper
    if cheaper is None:
        return None
    named = zip((part.variant for part in planned.variants), cheaper.replicas, strict=True)
    return {
        "replicas": {name: count for name, count in named if count},
        "saving_per_hour": rounded(cheaper.saving_per_hour),
        "leaving_cost": rounded(cheaper.leaving_cost),
    }


def _router(service: Service, planned: ServicePlan) -> dict[str, Any] | None:
    """None where the router needs no shares: it goes by pod, or is an oracle."""
    if planned.routing.equal_pods or planned.routing.oracle:
        return None
    if planned.routing.blind:
        return {"weights": _in_use(variant_weights(planned))}
    classes = prompt_classes(service, planned)
    return {
        "prompt_classes": [{"prompt_tokens": one.prompt_tokens, "shares": _in_use(one.shares)} for one in classes],
        "prompt_ranges": {name: [asdict(one) for one in runs] for name, runs in prompt_ranges(classes).items()},
    }


def _in_use(shares: dict[str, float]) -> dict[str, float]:
    return {name: rounded(share) for name, share in shares.items() if share > 0}


def _rejected(rejected: RefusedService) -> dict[str, Any]:
    fault = rejected.fault
    return {
        "service": rejected.name,
        "status": REJECTED,
        "error": {"field": fault.field, "value": _plain(fault.value), "message": fault.way_out},
    }


def _plain(value: object) -> Any:
    """The value where strict JSON can hold it as one word, else as its shortened text; None where it is missing."""
    if value is None or value is MISSING:
        return None
    short = isinstance(value, bool | str)
    finite = isinstance(value, float) and math.isfinite(value)
    small = isinstance(value, int) and abs(value) < 2**63
    return value if short or finite or small else shown(value)


def _rounded_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: rounded(value) if isinstance(value, float) else value for name, value in fields.items()}
