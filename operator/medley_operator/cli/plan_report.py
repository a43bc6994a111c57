"""The output of `medley plan`: one report as plain values, as a table, JSON or YAML."""

from __future__ import annotations

import json
from typing import Any

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.load.figures import figures_of
from medley_operator.domain.report.status import fleet_lower_bound, service_lower_bound
from medley_operator.domain.values.candidates import Prepared, ServiceCandidate
from medley_planner.exit_status import ExitStatus
from medley_planner.fleet_plan import FleetPlan
from medley_planner.model import Demand, Plan, PlanStatus, ServicePlan
from medley_planner.omitted import Omitted
from medley_planner.units import percent

Report = dict[str, Any]

REJECTED = "Rejected"
_WHOLE = frozenset({PlanStatus.OPTIMAL.value, PlanStatus.FEASIBLE.value})
_OUTCOMES = frozenset({"ModelFitsNoPool", "TargetImpossible"})
"""Rejections that are an answer of planning and no fault of the input."""


def build_report(prepared: Prepared, planned: Plan | None) -> Report:
    """Money in US dollars per hour, rates in requests per second, gap and load as fractions."""
    plans = {plan.service: plan for plan in planned.services} if planned is not None else {}
    return {
        "status": planned.status.value if planned is not None else REJECTED,
        "cost_per_hour": _figure(planned.cost_per_hour if planned is not None else 0.0),
        "lower_bound": _figure(fleet_lower_bound(planned) if planned is not None else 0.0),
        "gap": _figure(planned.gap if planned is not None else 0.0),
        "switching_cost_per_hour": _figure(planned.switching_cost_per_hour if planned is not None else 0.0),
        "lower_bound_with_switching": _figure(planned.lower_bound_per_hour if planned is not None else 0.0),
        "nodes": [
            {
                "pool": count.pool,
                "nodes": count.nodes,
                "cost_per_hour": _figure(count.cost_per_hour),
                "idle_cost_per_hour": _figure(count.idle_cost_per_hour),
            }
            for count in (planned.nodes if planned is not None else ())
            if count.nodes > 0
        ],
        "services": [
            _service_report(candidate, plans.get(candidate.key.problem_name), planned)
            for candidate in prepared.services
        ],
    }


def exit_status(report: Report) -> ExitStatus:
    """BAD_INPUT where a service's input is at fault, NOT_ALL where something is not planned, else OK."""
    services = report["services"]
    if any(service["status"] == REJECTED and service["reason"] not in _OUTCOMES for service in services):
        return ExitStatus.BAD_INPUT
    return ExitStatus.OK if all(service["status"] in _WHOLE for service in services) else ExitStatus.NOT_ALL


def _service_report(candidate: ServiceCandidate, plan: ServicePlan | None, fleet: Plan | None) -> Report:
    name = candidate.key.problem_name
    if plan is None or fleet is None or candidate.choice is None:
        refusal = candidate.refusal
        return {
            "service": name,
            "status": REJECTED,
            "reason": str(refusal.reason) if refusal is not None else "NotPlanned",
            "message": refusal.message if refusal is not None else "not planned",
        }
    single = plan.best_single
    return {
        "service": name,
        "status": plan.status.value,
        "routing": plan.routing.value,
        "load": _load(candidate.service, candidate.choice.demand),
        "mix": [_mix_row(candidate, plan, index) for index, part in enumerate(plan.variants) if part.replicas > 0],
        "cost_per_hour": _figure(plan.cost_per_hour),
        "lower_bound": _figure(service_lower_bound(plan, fleet)),
        "gap": _figure(fleet.gap),
        "best_single": single
        and {
            "variant": single.variant,
            "replicas": single.replicas,
            "cost_per_hour": _figure(single.cost_per_hour),
        },
        "savings_percent": round(100 * (1 - plan.cost_per_hour / single.cost_per_hour), 1)
        if single is not None and single.cost_per_hour > 0
        else None,
        "unused": [_unused_row(candidate, part) for part in (*plan.unused, *candidate.omitted)],
        "unserved": _unserved(plan, candidate.choice.demand),
        **_simulated(name, fleet),
    }


def _load(service: LLMService, demand: Demand) -> Report:
    """The given sizes, and those that are planned for: spread around the mean, none beyond the longest sequence that
    the engine takes."""
    figures = figures_of(demand)
    planned = round(figures.prompt_tokens_mean), round(figures.generation_tokens_mean)
    static = service.spec.workload.static
    asked = (static.prompt_tokens, static.generation_tokens) if static is not None else planned
    return {
        "rate": _figure(figures.rate_rps),
        "prompt_tokens": asked[0],
        "generation_tokens": asked[1],
        "planned_prompt_tokens": planned[0],
        "planned_generation_tokens": planned[1],
    }


def _simulated(name: str, fleet: Plan) -> Report:
    """The simulated attainment of the plan; None where it was not simulated."""
    checked = fleet.checked.get(name) if isinstance(fleet, FleetPlan) else None
    factors = fleet.capacity_factors.get(name, {}) if isinstance(fleet, FleetPlan) else {}
    return {
        "predicted_attainment_percent": float(percent(checked.attainment)) if checked is not None else None,
        "percentile": checked.percentile if checked is not None else None,
        "capacity_corrections": [{"variant": variant, "factor": factor} for variant, factor in sorted(factors.items())],
    }


def _mix_row(candidate: ServiceCandidate, plan: ServicePlan, index: int) -> Report:
    part = plan.variants[index]
    known = candidate.variant(part.variant)
    return {
        "variant": part.variant,
        "pool": part.pool,
        "gpu": known.variant.gpu if known is not None else "",
        "gpus_per_replica": known.variant.gpus_per_replica if known is not None else 0,
        "replicas": part.replicas,
        "share": _figure(part.share),
        "load": _figure(part.load),
        "cost_per_hour": _figure(part.cost_per_hour),
        "provenance": known.variant.provenance.value if known is not None else "",
        "capacity_basis": known.basis.value if known is not None else "",
    }


def _unused_row(candidate: ServiceCandidate, part: Omitted) -> Report:
    known = candidate.variant(part.variant)
    row: Report = {
        "variant": part.variant,
        "pool": part.pool,
        "reason": part.reason.value,
        "message": part.message,
    }
    return row if known is None else {**row, "capacity_basis": known.basis.value}


def _unserved(plan: ServicePlan, demand: Demand) -> list[Report]:
    return [
        {
            "prompt_tokens": round(demand.buckets[part.bucket].prompt_tokens),
            "generation_tokens": round(demand.buckets[part.bucket].generation_tokens),
            "rate": _figure(part.rate_rps),
            "reason": part.reason.value,
            "limits": list(part.limits),
        }
        for part in plan.unserved
    ]


def _figure(value: float) -> float:
    """Without the dust of binary sums."""
    return float(f"{value:.9g}")


def write_report(report: Report, *, output: str, why: bool = False) -> None:
    """To standard output, as "table", "wide", "json" or "yaml"; `why` makes a table wide."""
    if output == "json":
        print(json.dumps(report, indent=2))
    elif output == "yaml":
        import yaml

        print(yaml.safe_dump(report, sort_keys=False), end="")
    else:
        from medley_operator.cli.plan_table import print_report

        print_report(report, why=why or output == "wide")
