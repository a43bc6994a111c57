"""The report of `medley plan` in short: what runs, what it costs, how far it is proven, and what is not used. Text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medley_planner.cli.answer import ServiceAnswer, node_line, proof, service_lines
from medley_planner.cli.objective import watts_proof
from medley_planner.explain import UnmetDemand
from medley_planner.model import SingleType, UnservedReason
from medley_planner.omitted import OmittedReason
from medley_planner.units import req_per_second


def answer_lines(report: dict[str, Any], *, why: bool) -> Iterator[str]:
    """Lines may be longer than a terminal. With `why` tables follow."""
    for service in report["services"]:
        if "mix" in service:
            yield from service_lines(_answer(service), why=why)
        else:
            yield f"{service['service']}: {service['status']}, {service['reason']}: {service['message']}"
    yield from (node_line(**count) for count in report["nodes"])
    planned = sum("mix" in service for service in report["services"])
    if planned:
        yield f"{report['status']}: {watts_proof(report) if 'watts' in report else _proof(report)}"


def _proof(report: dict[str, Any]) -> str:
    return proof(
        cost_per_hour=report["cost_per_hour"],
        switching_cost_per_hour=report["switching_cost_per_hour"],
        lower_bound_per_hour=report["lower_bound_with_switching"],
        gap=report["gap"],
    )


def _answer(service: dict[str, Any]) -> ServiceAnswer:
    single = service["best_single"]
    return ServiceAnswer(
        service=service["service"],
        status=service["status"],
        mix={row["variant"]: row["replicas"] for row in service["mix"]},
        cost_per_hour=service["cost_per_hour"],
        gap=service["gap"],
        rate_rps=service["load"]["rate"],
        load=load_words(service),
        routing=service["routing"],
        best_single=SingleType(**single) if single is not None else None,
        unmet=[
            UnmetDemand(UnservedReason(row["reason"]), row["rate"], tuple(row["limits"])) for row in service["unserved"]
        ],
        omitted=[OmittedReason(row["reason"]) for row in service["unused"]],
        attainment=attainment_words(service),
        capacities=capacity_words(service),
    )


def load_words(service: dict[str, Any]) -> str:
    """The given load."""
    load = service["load"]
    return f"{req_per_second(load['rate'])} of {load['prompt_tokens']} + {load['generation_tokens']} tokens"


def attainment_words(service: dict[str, Any]) -> str:
    """The simulated attainment of the plan; "" where it was not simulated."""
    figure, asked = service["predicted_attainment_percent"], service["percentile"]
    if figure is None:
        return ""
    verdict = f"{asked:g} % asked" if figure >= asked else f"BELOW the {asked:g} % asked"
    corrections = ", ".join(f"{row['variant']} x {row['factor']:g}" for row in service["capacity_corrections"])
    lowered = f"; the check lowered capacities: {corrections}" if corrections else ""
    return f"simulation predicts {figure:g} % of requests within the targets ({verdict}){lowered}"


def capacity_words(service: dict[str, Any]) -> str:
    """How the capacities of all that was planned with were found."""
    bases = [row["capacity_basis"] for row in (*service["mix"], *service["unused"]) if "capacity_basis" in row]
    simulated = bases.count("Simulated")
    rest = len(bases) - simulated
    if not rest:
        return f"all {simulated} simulated"
    known = f"{simulated} simulated, " if simulated else ""
    return f"{known}{rest} by the closed form (--simulate simulates them once)"
