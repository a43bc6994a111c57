"""The advice of `medley advise` as a page: what runs and costs now beside the cheapest mix, by service. Pure.

Apart: the command writes the file, and only it reads the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medley_operator.pages.document import document, paragraph, section, table
from medley_operator.pages.figures import bar, facts
from medley_planner.units import per_hour, req_per_second, seconds_text

Advice = Mapping[str, Any]


def advice_page(advice: Advice) -> str:
    """`advice` is what `-o json` prints."""
    parts = [_total(advice)]
    if not advice["services"]:
        parts.append(paragraph("No pod of the cluster runs vLLM."))
    parts += map(_service, advice["services"])
    if advice["pools"]:
        parts.append(_pools(advice["pools"]))
    if advice["not_read"]:
        parts.append(section("Not read", *map(paragraph, advice["not_read"])))
    return document("Medley advice", parts)


def _total(advice: Advice) -> str:
    total = advice["total"]
    compared = total["services_compared"]
    if not compared:
        return facts([("services", f"{len(advice['services'])}, none of which can be compared")])
    gap = total["gap"]
    return facts(
        [
            ("services compared", f"{compared} of {len(advice['services'])}"),
            ("cost now", per_hour(total["cost_per_hour"])),
            ("cost as planned", per_hour(total["planned_cost_per_hour"])),
            ("saving", _percent(total["savings_percent"])),
            ("the plan is within", "" if gap is None else f"{gap:.2%} of the cheapest"),
        ]
    )


def _service(service: Advice) -> str:
    load, attained = service["load"], service["attained"]
    workloads = [
        f"{each['name']}: {each['ready']}/{each['replicas']} Ready"
        + (f", scaled by {each['autoscaler']}" if each["autoscaler"] else "")
        for each in service["workloads"]
    ]
    head = facts(
        [
            ("model", service["model"] or "unknown"),
            ("managed by", " and ".join(service["managed_by"])),
            ("runs as", "; ".join(workloads)),
            ("load at its peak", "" if load is None else req_per_second(load["peak_rps"])),
            ("load in the mean", "" if load is None else req_per_second(load["mean_rps"])),
            ("tokens", "" if load is None else f"{load['prompt_tokens']:.0f} + {load['generation_tokens']:.0f}"),
            ("attained TTFT", _seconds(attained, "ttft_seconds")),
            ("attained TPOT", _seconds(attained, "tpot_seconds")),
            ("not planned", service["not_planned"] or ""),
        ]
    )
    return section(f"{service['namespace']}/{service['served_name']}", head, _fleets(service))


def _fleets(service: Advice) -> str:
    """What runs, and the plans beside it."""
    plans = [("cheapest mix on the cluster's GPUs", service["plan"])]
    plans.append(("with GPUs that could be added", service["plan_with_added_gpus"]))
    made = [(name, plan) for name, plan in plans if plan is not None]
    now = service["cost_per_hour"]
    most = max([now or 0.0, *(plan["cost_per_hour"] for _, plan in made)])
    gpus = ", ".join(f"{count} x {name}" for name, count in sorted(service["gpus"].items()) if count)
    rows: list[tuple[str, ...]] = [
        ("now", bar(now or 0.0, most, colour=1), per_hour(now) if now is not None else "not known", "", gpus)
    ]
    for name, plan in made:
        cost = plan["cost_per_hour"]
        rows.append((name, bar(cost, most, colour=2), per_hour(cost), _percent(plan["savings_percent"]), _mix(plan)))
    return table(("fleet", "bar", "cost", "saving", "GPUs"), rows, texts=("bar", "GPUs"))


def _mix(plan: Advice) -> str:
    mix = ", ".join(
        f"{part['replicas']} x "
        + (part["gpu"] if part["gpus_per_replica"] == 1 else f"{part['gpus_per_replica']} {part['gpu']}")
        + f" (pool {part['pool']})"
        for part in plan["mix"]
    )
    missing = sum(part["rate"] for part in plan["unserved"])
    return (mix or "nothing") + (f"; {req_per_second(missing)} would not be served" if missing else "")


def _pools(pools: Sequence[Advice]) -> str:
    rows = [
        (
            each["name"],
            each["gpu"] + ("" if each["known"] else " (unknown)") + (" spot" if each["spot"] else ""),
            str(each["nodes"]),
            str(each["gpus_per_node"]),
            "not known" if each["price_per_gpu_hour"] is None else per_hour(each["price_per_gpu_hour"]),
            each["price_source"] or "--price",
        )
        for each in pools
    ]
    headings = ("pool", "GPU", "nodes", "GPUs each", "a GPU costs", "price from")
    return section("GPUs", table(headings, rows, texts=("GPU", "price from")))


def _seconds(attained: Advice | None, name: str) -> str:
    found = None if attained is None else attained[name]
    return "" if found is None else seconds_text(found)


def _percent(saved: float | None) -> str:
    return "" if saved is None else f"{saved:g} %" if saved >= 0 else f"{-saved:g} % more"
