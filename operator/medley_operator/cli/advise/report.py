"""The answer of `medley advise` for people, or as JSON or YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medley_planner.cli.answer import wrapped
from medley_planner.cli.console import report_console, titled_table
from medley_planner.cli.output import TABLE, print_document
from medley_planner.units import per_hour, req_per_second, seconds_text

Json = Mapping[str, Any]


def write_advice(advice: Json, *, output: str) -> None:
    """To standard output, as "table", "json" or "yaml"."""
    if output == TABLE:
        _print(advice)
    else:
        print_document(advice, form=output)


def _print(advice: Json) -> None:
    console = report_console()
    for line in wrapped(advice_lines(advice), width=console.width):
        console.print(line, soft_wrap=True)
    if advice["pools"]:
        console.print()
        headings = ("pool", "gpu", "nodes", "GPUs each", "$/h", "price from")
        console.print(titled_table("GPUs", headings, map(_pool_row, advice["pools"])))


def advice_lines(advice: Json) -> Iterator[str]:
    """A paragraph for each service, the sum, and what could not be read."""
    if not advice["services"]:
        yield "no pod of the cluster runs vLLM"
    for service in advice["services"]:
        yield from _service_lines(service)
    total = advice["total"]
    if total["services_compared"]:
        saved = total["savings_percent"]
        yield (
            f"together, {total['services_compared']} of {len(advice['services'])} services: "
            f"{per_hour(total['cost_per_hour'])} now, {per_hour(total['planned_cost_per_hour'])} as planned"
            + (f", {_saving(saved)}" if saved is not None else "")
            + f"; the plan is within {total['gap']:.2%} of the cheapest"
        )
    for line in advice["not_read"]:
        yield f"not read: {line}"


def _service_lines(service: Json) -> Iterator[str]:
    cost = service["cost_per_hour"]
    gpus = ", ".join(f"{count} x {name}" for name, count in sorted(service["gpus"].items()) if count)
    managed = f", managed by {' and '.join(service['managed_by'])}" if service["managed_by"] else ""
    yield f"{service['namespace']}/{service['served_name']} ({service['model'] or 'unknown model'}{managed})"
    for workload in service["workloads"]:
        scaled = f", scaled by {workload['autoscaler']}" if workload["autoscaler"] else ""
        yield f"  {workload['name']}: {workload['ready']}/{workload['replicas']} Ready{scaled}"
    yield f"  now: {gpus or 'no GPU'}, {per_hour(cost) if cost is not None else 'at a price that is not known'}"
    load, attained = service["load"], service["attained"]
    if load is not None:
        latency = ", ".join(
            f"{name} {seconds_text(attained[key])}"
            for name, key in (("TTFT", "ttft_seconds"), ("TPOT", "tpot_seconds"))
            if attained[key] is not None
        )
        yield (
            f"  load: {req_per_second(load['peak_rps'])} at its peak, {req_per_second(load['mean_rps'])} in the mean, "
            f"of {load['prompt_tokens']:.0f} + {load['generation_tokens']:.0f} tokens"
            + (f"; {latency}" if latency else "")
        )
    if service["plan"] is not None:
        yield f"  plan: {_plan_words(service['plan'])}"
    if service["plan_with_added_gpus"] is not None:
        yield f"  with GPUs that could be added: {_plan_words(service['plan_with_added_gpus'])}"
    if service["not_planned"]:
        yield f"  not planned: {service['not_planned']}"


def _plan_words(plan: Json) -> str:
    mix = ", ".join(f"{part['replicas']} x {_gpus(part)} (pool {part['pool']})" for part in plan["mix"])
    saved = plan["savings_percent"]
    missing = sum(part["rate"] for part in plan["unserved"])
    return (
        f"{mix or 'nothing'}, {per_hour(plan['cost_per_hour'])}"
        + (f", {_saving(saved)}" if saved is not None else "")
        + (f"; {req_per_second(missing)} would not be served" if missing else "")
    )


def _gpus(part: Json) -> str:
    return part["gpu"] if part["gpus_per_replica"] == 1 else f"{part['gpus_per_replica']} {part['gpu']}"


def _saving(percent: float) -> str:
    return f"{percent:g} % less" if percent >= 0 else f"{-percent:g} % more"


def _pool_row(pool: Json) -> tuple[str, ...]:
    price = pool["price_per_gpu_hour"]
    return (
        pool["name"],
        pool["gpu"] + ("" if pool["known"] else " (unknown)") + (" spot" if pool["spot"] else ""),
        str(pool["nodes"]),
        str(pool["gpus_per_node"]),
        f"{price:.3f}" if price is not None else "not known",
        pool["price_source"] or "--price",
    )
