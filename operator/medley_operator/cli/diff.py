"""`medley diff SERVICE`: what the newest plan of an LLMService would change, where it is not in force.

Reads the cluster with the user's own rights and writes nothing. Exit status: 0, or 2 where the cluster cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medley_operator.cli.in_cluster import add_service, read_service, run_with_client
from medley_planner.cli.output import TABLE, add_output_option, print_document
from medley_planner.exit_status import ExitStatus
from medley_planner.units import per_hour

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.kube.client import PersonClient


def add_parser(subparsers: Any) -> None:
    """Adds the `diff` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "diff",
        help="show what the plan that waits would change",
        description="Show what the newest plan of an LLMService would change where it waits for approval or is only "
        "advice: replicas by variant, GPUs by pool, cost. Needs the right to get the LLMService.",
    )
    add_service(parser)
    add_output_option(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""

    async def action(client: PersonClient, namespace: str) -> int:
        service = await read_service(client, args.service, namespace=namespace)
        if args.output == TABLE:
            print("\n".join(diff_lines(service)))
        else:
            print_document(diff_values(service), form=args.output)
        return ExitStatus.OK

    return run_with_client("diff", action, namespace=args.namespace)


@dataclass(frozen=True, slots=True)
class _Change:
    """Replicas of one variant: in force and in the plan."""

    variant: str
    pool: str
    gpus: int
    before: int
    after: int


def diff_lines(service: LLMService) -> Iterator[str]:
    """The changes by the newest plan, for people."""
    name, plan = f"{service.metadata.namespace}/{service.metadata.name}", service.status.plan
    if plan is None or plan.replicas is None:
        yield f"{name}: no plan waits" + (f"; plan {plan.id} is in force" if plan is not None else "")
        return
    yield f"{name}: plan {plan.id} ({plan.state}) is not in force"
    changes = _changes(service)
    width = max((len(each.variant) for each in changes), default=0)
    for each in changes:
        sign = f"{each.after - each.before:+d}" if each.after != each.before else "="
        yield f"  {each.variant:<{width}}  {each.before} → {each.after} replicas ({sign})"
    for pool, (before, after) in _gpus(changes).items():
        yield f"  GPUs of pool {pool}: {before} → {after}"
    before_usd, after_usd = service.status.in_force_cost_per_hour_usd, plan.cost_per_hour_usd
    more = f"{'+' if after_usd >= before_usd else ''}{per_hour(after_usd - before_usd)}"
    yield f"  cost: {per_hour(before_usd)} → {per_hour(after_usd)} ({more})"


def diff_values(service: LLMService) -> dict[str, Any]:
    """The same as values, in US dollars per hour; `plan` None where no plan waits."""
    plan = service.status.plan
    waits = plan is not None and plan.replicas is not None
    changes = _changes(service) if waits else []
    return {
        "service": f"{service.metadata.namespace}/{service.metadata.name}",
        "plan": {"id": plan.id, "state": plan.state} if plan is not None and waits else None,
        "variants": [
            {"variant": each.variant, "pool": each.pool, "before": each.before, "after": each.after} for each in changes
        ],
        "pools": [
            {"pool": pool, "gpus_before": before, "gpus_after": after}
            for pool, (before, after) in _gpus(changes).items()
        ],
        "cost_per_hour_before": service.status.in_force_cost_per_hour_usd,
        "cost_per_hour_after": plan.cost_per_hour_usd if plan is not None and waits else None,
    }


def _changes(service: LLMService) -> list[_Change]:
    before = {row.name: row for row in service.status.variants}
    plan = service.status.plan
    after = {row.variant: row for row in (plan.replicas or [])} if plan is not None else {}
    changes: list[_Change] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        gpus = new.gpus if new is not None else (old.gpus_per_replica if old is not None else 0)
        pool = new.pool if new is not None else (old.pool if old is not None else "")
        counts = old.desired if old is not None else 0, new.replicas if new is not None else 0
        changes.append(_Change(name, pool, gpus, *counts))
    return changes


def _gpus(changes: list[_Change]) -> dict[str, tuple[int, int]]:
    """GPUs by pool, in force and in the plan."""
    total: dict[str, tuple[int, int]] = {}
    for each in changes:
        before, after = total.get(each.pool, (0, 0))
        total[each.pool] = before + each.before * each.gpus, after + each.after * each.gpus
    return dict(sorted(total.items()))
