"""`medley approve SERVICE PLAN_ID`: lets the operator act on the plan that waits.

Writes two annotations of the LLMService with the user's own rights; the operator reads them in its next round. Exit
status: 0 approved, 2 no such plan waits, or the cluster cannot be used.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from medley_operator.cli.arguments import length_of_time
from medley_operator.cli.in_cluster import add_service, read_service, run_with_client
from medley_planner.cli.arguments import BadOption
from medley_planner.exit_status import ExitStatus
from medley_planner.units import per_hour

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1 import LLMService, PlanStateStatus
    from medley_operator.kube.client import PersonClient

FIELD_MANAGER = "medley-approval"


def add_parser(subparsers: Any) -> None:
    """Adds the `approve` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "approve",
        help="approve the plan that waits",
        description="Approve the plan of an LLMService that waits (mode Approve), so that the operator acts on it. "
        '"medley diff SERVICE" shows what it changes. Needs the rights to get and patch the LLMService. Exit status: 0 '
        "approved, 2 no such plan waits, or the cluster cannot be used.",
    )
    add_service(parser)
    parser.add_argument("plan_id", metavar="PLAN_ID", help="id of the plan, as the condition PlanReady shows it")
    parser.add_argument(
        "--valid-for",
        metavar="DURATION",
        type=length_of_time,
        default=length_of_time("1h"),
        help="how long the approval counts while the operator has not acted on it, at most 168h; default: 1h",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""

    async def action(client: PersonClient, namespace: str) -> int:
        until = datetime.now(UTC) + args.valid_for
        print(await approve(client, args.service, args.plan_id, namespace=namespace, until=until))
        return ExitStatus.OK

    return run_with_client("approve", action, namespace=args.namespace)


async def approve(client: PersonClient, name: str, plan_id: str, *, namespace: str, until: datetime) -> str:
    """Approves that plan; returns a line for people. Raises `BadInput` where it does not wait, and `KubeError`."""
    from medley_operator.api.v1alpha1 import API_VERSION, APPROVED_PLAN, APPROVED_UNTIL

    service = await read_service(client, name, namespace=namespace)
    plan = waiting_plan(service, plan_id)
    ends = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = service.metadata
    await client.apply(
        {
            "apiVersion": API_VERSION,
            "kind": "LLMService",
            "metadata": {
                "namespace": metadata.namespace,
                "name": metadata.name,
                # With its uid the write never makes an object, nor changes another one of this name.
                "uid": metadata.uid,
                "annotations": {APPROVED_PLAN: plan.id, APPROVED_UNTIL: ends},
            },
        },
        field_manager=FIELD_MANAGER,
    )
    cost = f"{per_hour(service.status.in_force_cost_per_hour_usd)} → {per_hour(plan.cost_per_hour_usd)}"
    return f"{metadata.namespace}/{metadata.name}: plan {plan.id} is approved until {ends}; cost {cost}"


def waiting_plan(service: LLMService, plan_id: str) -> PlanStateStatus:
    """The plan that waits for approval. Raises `BadInput` where none does, or one of another id."""
    from medley_operator.domain.values.conditions import PlanReason, find

    where = f"LLMService {service.metadata.namespace}/{service.metadata.name}"
    ready, plan = find(service.status.conditions, "PlanReady"), service.status.plan
    if ready is None or plan is None or ready.reason != PlanReason.AWAITING_APPROVAL:
        now = f"PlanReady is {ready.status}, {ready.reason}: {ready.message}" if ready is not None else "no status yet"
        raise BadOption.whole(where, f"no plan waits for approval ({now})")
    if plan.id != plan_id:
        shown = f"{service.metadata.namespace}/{service.metadata.name}"
        raise BadOption(
            where, "PLAN_ID", plan_id, f"this plan does not wait; plan {plan.id} does: see medley diff {shown}"
        )
    return plan
