"""`medley pools discover`: GPUPools for the GPU nodes of a cluster, no node in two of them.

Reads with the user's own rights and writes nothing to the cluster: they go to standard output. Exit status: 0, 2
the cluster cannot be read, 3 nodes or prices are missing in it (named on standard error).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from medley_planner.bad_input import BadInput
from medley_planner.cli.output import JSON, TABLE, YAML, add_output_option, print_document
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.cli.advise.pools import Discovery, FoundPool
    from medley_operator.domain.cluster.prices import GpuPrice, PriceMetrics


def add_parser(subparsers: Any) -> None:
    """Adds the `pools` command to an argparse subparsers object; the parsed arguments carry `run`."""
    from medley_operator.cli.advise.options import add_price_option, add_prometheus_option

    parser = subparsers.add_parser("pools", help="find the GPU pools of a cluster")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    discover = commands.add_parser(
        "discover",
        help="print GPUPools for the nodes that the cluster has",
        description="Print a GPUPool for each GPU type, number of GPUs per node and kind of purchase of the "
        "kubeconfig's cluster. Their node selectors take exactly their nodes. Prices are those of --price, Karpenter, "
        "OpenCost or --price-list. Exit status: 0, 2 the cluster cannot be read, 3 something was left out.",
    )
    add_prometheus_option(discover)
    add_price_option(discover)
    add_output_option(discover, (YAML, JSON, TABLE))
    discover.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    import yaml

    from medley_operator.cli.advise.options import price_list_given, prices_given
    from medley_operator.cli.advise.prices import missing_of_pools, prices_of_found
    from medley_operator.cli.advise.proposal import pool_manifest
    from medley_operator.kube.errors import KubeError

    try:
        given, listed = prices_given(args.price), price_list_given(args.price_list)
        discovery, metrics, unread = asyncio.run(_look(args.prometheus))
    except BadInput as error:
        return report_error("pools discover", error)
    except KubeError as error:
        return report_error("pools discover", error.message)
    prices = prices_of_found(discovery, given, replace(metrics, listed=listed))
    found = [pool for pool in discovery.pools if pool.gpu and pool.name in prices]
    missing = [*discovery.left_out, *missing_of_pools(discovery, prices)]
    for line in (*missing, *([unread] if unread and missing else [])):
        print(f"left out: {line}", file=sys.stderr)
    manifests = [pool_manifest(pool, prices[pool.name]) for pool in found]
    if args.output == YAML:
        print(yaml.safe_dump_all(manifests, sort_keys=False), end="")
    elif args.output == JSON:
        print_document({"apiVersion": "v1", "kind": "List", "items": manifests}, form=JSON)
    else:
        _print_table(found, prices)
    return ExitStatus.NOT_ALL if missing else ExitStatus.OK


def _print_table(pools: Sequence[FoundPool], prices: Mapping[str, GpuPrice]) -> None:
    from medley_planner.cli.console import report_console, titled_table

    rows = [
        (
            pool.name,
            pool.title,
            str(len(pool.nodes)),
            str(pool.gpus_per_node),
            f"{prices[pool.name].per_gpu_hour_usd:.4g}",
            prices[pool.name].source,
            "spot" if pool.spot else "on demand",
        )
        for pool in pools
    ]
    headings = ("pool", "gpu", "nodes", "GPUs each", "$/h", "price from", "bought")
    report_console().print(titled_table(None, headings, rows))


async def _look(prometheus_url: str | None) -> tuple[Discovery, PriceMetrics, str]:
    """Nodes and price metrics, and why there are none of these. Raises `KubeError` and `BadOption`."""
    from medley_operator.cli.advise.pools import discover
    from medley_operator.cli.advise.prometheus import open_prometheus
    from medley_operator.cli.in_cluster import list_all
    from medley_operator.domain.cluster.prices import NO_PRICES
    from medley_operator.fleet.project import node_view
    from medley_operator.kube.connect import connect_as_person
    from medley_operator.kube.resources import NODES
    from medley_operator.metrics.errors import PrometheusUnavailableError
    from medley_operator.metrics.prices import read_price_metrics

    async with AsyncExitStack() as stack:
        client = await connect_as_person(stack)
        discovery = discover([node_view(node) for node in await list_all(client, NODES)])
        prometheus, why_none = await open_prometheus(stack, client, prometheus_url)
        if prometheus is None:
            return discovery, NO_PRICES, why_none
        try:
            return discovery, await read_price_metrics(prometheus, at=await prometheus.now()), ""
        except PrometheusUnavailableError as error:
            return discovery, NO_PRICES, str(error)
