"""`medley doctor`: looks at a cluster and says what keeps Medley from working there, and how to mend it.

Reads with the user's own rights and writes nothing. Exit status: 0 no fault was found, 2 the cluster cannot be reached,
3 a fault was found.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from medley_operator.cli.advise.options import add_prometheus_option
from medley_planner.bad_input import BadInput
from medley_planner.cli.output import TABLE, add_output_option, print_document
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.cli.doctor.findings import Finding, SeenCluster, SeriesCounts
    from medley_operator.metrics.prometheus import Prometheus


def add_parser(subparsers: Any) -> None:
    """Adds the `doctor` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "doctor",
        help="find what keeps Medley from working in a cluster, and how to mend it",
        description="Look at CRDs, the operator, GPU nodes, pools and profiles, Prometheus and its series, gateways, "
        "competing autoscalers and the LLMServices of the kubeconfig's cluster, and say how to mend what is wrong. "
        "Nothing is written. Exit status: 0 no fault, 2 no cluster, 3 a fault was found.",
    )
    add_prometheus_option(parser)
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    from medley_operator.cli.doctor.checks import examine
    from medley_operator.cli.doctor.findings import Health
    from medley_operator.kube.errors import KubeError

    try:
        findings = examine(asyncio.run(_look(args.prometheus)))
    except BadInput as error:
        return report_error("doctor", error)
    except KubeError as error:
        return report_error("doctor", error.message)
    if args.output == TABLE:
        _print(findings)
    else:
        print_document([_plain(each) for each in findings], form=args.output)
    return ExitStatus.NOT_ALL if any(each.health is Health.FAULT for each in findings) else ExitStatus.OK


async def _look(prometheus_url: str | None) -> SeenCluster:
    """Raises `KubeError` where no kind at all can be listed, and `BadOption`."""
    from medley_operator.cli.advise.prometheus import open_prometheus
    from medley_operator.cli.doctor.findings import Json, SeenCluster
    from medley_operator.cli.in_cluster import list_all
    from medley_operator.fleet.project import node_view
    from medley_operator.kube.connect import connect_as_person
    from medley_operator.kube.errors import Forbidden, NotFound
    from medley_operator.kube.resources import (
        AUTOSCALERS,
        DEPLOYMENTS,
        GATEWAYS,
        LEASES,
        NODES,
        OWN,
        PODS,
        Resource,
    )

    objects: dict[Resource, list[Json]] = {}
    lacking: set[Resource] = set()
    unread: dict[Resource, str] = {}
    async with AsyncExitStack() as stack:
        client = await connect_as_person(stack)
        for resource in (*OWN, NODES, PODS, DEPLOYMENTS, AUTOSCALERS, GATEWAYS, LEASES):
            try:
                objects[resource] = await list_all(client, resource)
            except NotFound:
                lacking.add(resource)
            except Forbidden as error:
                unread[resource] = error.message
        prometheus, why_none = await open_prometheus(stack, client, prometheus_url)
        series = None
        if prometheus is not None:
            series, why_none = await _series(prometheus)
    return SeenCluster(
        objects=objects,
        lacking=frozenset(lacking),
        unread=unread,
        nodes=tuple(node_view(node) for node in objects.get(NODES, [])),
        series=series,
        why_no_series=why_none,
        now=time.time(),
    )


async def _series(prometheus: Prometheus) -> tuple[SeriesCounts | None, str]:
    from medley_operator.cli.doctor.findings import SeriesCounts
    from medley_operator.metrics.engine_names import VLLM
    from medley_operator.metrics.errors import PrometheusUnavailableError
    from medley_operator.metrics.queries import selector

    name = VLLM.running[0]
    try:
        at = await prometheus.now()
        found = [
            await prometheus.vector(f"count(count by (namespace, pod) ({name}{which}))", at=at)
            for which in ("", selector())
        ]
    except PrometheusUnavailableError as error:
        return None, str(error)
    engines, ours = (int(sample[0].value) if sample else 0 for sample in found)
    return SeriesCounts(engines, ours), ""


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "about": finding.about,
        "health": finding.health.value,
        "message": finding.message,
        "fix": finding.fix,
    }


def _print(findings: list[Finding]) -> None:
    from rich.text import Text

    from medley_operator.cli.doctor.findings import Health
    from medley_planner.cli.console import report_console

    colours = {Health.OK: "green", Health.WARNING: "yellow", Health.FAULT: "bold red", Health.UNKNOWN: "yellow"}
    console = report_console()
    for each in findings:
        line = Text(f"{each.health.value:8}", style=colours[each.health])
        line.append(f"{each.about}: {each.message}", style="default")
        console.print(line, soft_wrap=True)
        if each.fix:
            console.print(Text(f"        {each.fix}"), soft_wrap=True)
    faults = sum(each.health is Health.FAULT for each in findings)
    console.print(f"{faults} fault{'' if faults == 1 else 's'}" if faults else "no fault found")
