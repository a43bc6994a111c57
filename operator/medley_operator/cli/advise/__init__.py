"""`medley advise`: what the vLLM engines of a cluster cost now, and the cheapest mix of GPUs beside it.

Nothing is installed and nothing is written to the cluster: it is read with the user's own rights. Exit status: 0 all
that serves a model was planned, 2 the cluster or an option cannot be used, 3 something was not planned (it says why).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medley_operator.cli.advise.options import (
    add_price_option,
    add_prometheus_option,
    price_list_given,
    prices_given,
)
from medley_operator.cli.arguments import add_html_option, write_html
from medley_planner.bad_input import BadInput
from medley_planner.cli.arguments import BadOption, seconds_argument
from medley_planner.cli.output import add_output_option
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.cli.advise.advice import Proposal, Survey
    from medley_operator.cli.advise.proposal import Targets
    from medley_operator.metrics.price_list import Listed


def add_parser(subparsers: Any) -> None:
    """Adds the `advise` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "advise",
        help="what a cluster's vLLM engines cost, and the cheapest mix beside it",
        description="Read a cluster as it is, without installing anything: the pods that run vLLM, whoever manages "
        "them, what they cost, their load and latency; and plan the cheapest mix of GPUs that keeps the targets. "
        "Needs the rights to list pods, nodes, services and horizontalpodautoscalers, and to get services/proxy where "
        "Prometheus is not given. Exit status: 0, 2 nothing could be read, 3 something was not planned.",
    )
    parser.add_argument("-n", "--namespace", metavar="NAMESPACE", default="", help="default: all namespaces")
    add_prometheus_option(parser)
    parser.add_argument("--ttft", metavar="TIME", default="2s", help="target of the first token; default: 2s")
    parser.add_argument("--tpot", metavar="TIME", default="60ms", help="target of each further token; default: 60ms")
    parser.add_argument(
        "--percentile", metavar="PERCENT", type=int, default=95, help="share of requests within both; default: 95"
    )
    parser.add_argument("--window", metavar="TIME", default="24h", help="how far back load is read; default: 24h")
    add_price_option(parser, "; of a type that the cluster lacks: plan with it too, apart")
    parser.add_argument("--gateway", metavar="NAMESPACE/NAME", help="Gateway that would weight the variants")
    parser.add_argument("--write", metavar="DIR", type=Path, help="write GPUPool, RuntimeProfile and LLMService YAML")
    add_html_option(parser)
    add_output_option(parser)
    parser.add_argument(
        "--deadline", metavar="SECONDS", type=seconds_argument, default=10.0, help="most seconds to solve; default: 10"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    from medley_operator.cli.advise.advice import build_advice, propose
    from medley_operator.cli.advise.report import write_advice
    from medley_operator.kube.errors import KubeError
    from medley_planner.cli.planned import NoPlan

    try:
        targets, prices = _targets(args), prices_given(args.price)
        survey = asyncio.run(_survey(args, targets, prices, price_list_given(args.price_list)))
        here = {name.casefold() for pool in survey.discovery.pools for name in (pool.name, pool.title, pool.product)}
        added = {name: price for name, price in prices.items() if name not in here}
        proposal = propose(survey, targets, added={}, deadline_seconds=args.deadline)
        more = propose(survey, targets, added=added, deadline_seconds=args.deadline) if added else None
        advice = build_advice(survey, proposal, more)
        write_advice(advice, output=args.output)
        if args.html is not None:
            from medley_operator.pages.advice import advice_page

            write_html(args.html, advice_page(advice))
        if args.write is not None:
            _write(proposal, args.write)
    except BadInput as error:
        return report_error("advise", error)
    except KubeError as error:
        return report_error("advise", error.message)
    except NoPlan as error:
        return report_error("advise", error, status=ExitStatus.NO_PLAN)
    unplanned = any(service["not_planned"] for service in advice["services"])
    return ExitStatus.NOT_ALL if unplanned else ExitStatus.OK


async def _survey(args: argparse.Namespace, targets: Targets, prices: dict[str, float], listed: Listed) -> Survey:
    from medley_operator.cli.advise.prometheus import open_prometheus
    from medley_operator.cli.advise.survey import survey_cluster
    from medley_operator.kube.connect import connect_as_person

    async with AsyncExitStack() as stack:
        client = await connect_as_person(stack)
        prometheus, why_none = await open_prometheus(stack, client, args.prometheus)
        return await survey_cluster(
            client,
            prometheus,
            why_no_prometheus=why_none,
            namespace=args.namespace,
            given_prices=prices,
            listed_prices=listed,
            window=args.window,
            percentile=targets.percentile,
        )


def _targets(args: argparse.Namespace) -> Targets:
    """Raises `BadOption`."""
    from medley_operator.cli.advise.proposal import Targets
    from medley_planner.units import duration_seconds

    for option, text in (("--ttft", args.ttft), ("--tpot", args.tpot), ("--window", args.window)):
        try:
            seconds = duration_seconds(text)
        except ValueError as error:
            raise BadOption("", option, text, str(error)) from error
        if seconds <= 0:
            raise BadOption("", option, text, "give a time above 0")
    if not 50 <= args.percentile <= 99:
        raise BadOption("", "--percentile", args.percentile, "give a whole number from 50 to 99")
    gateway = None
    if args.gateway is not None:
        namespace, given, name = args.gateway.partition("/")
        if not (namespace and given and name):
            raise BadOption("", "--gateway", args.gateway, "give NAMESPACE/NAME")
        gateway = namespace, name
    return Targets(args.ttft, args.tpot, args.percentile, gateway)


def _write(proposal: Proposal, folder: Path) -> None:
    """One file for each kind. Raises `BadOption` where the folder cannot be written to."""
    import yaml

    files = {"GPUPool": "pools.yaml", "RuntimeProfile": "runtime-profile.yaml", "LLMService": "services.yaml"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, name in files.items():
            objects = [manifest for manifest in proposal.manifests if manifest["kind"] == kind]
            if objects:
                (folder / name).write_text(yaml.safe_dump_all(objects, sort_keys=False))
    except OSError as error:
        raise BadOption("", "--write", str(folder), f"cannot be written ({error.strerror})") from error
    print(f"wrote {folder}: kubectl apply --server-side -f {folder}", file=sys.stderr)
