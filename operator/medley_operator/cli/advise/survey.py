"""Reads a cluster for `medley advise`: pods, nodes, autoscalers by the user's kubeconfig, load and prices from
Prometheus. Read-only.

What cannot be read is named in the survey and ends nothing, but for pods: without them there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.cli.advise.advice import Key, Survey
from medley_operator.cli.advise.engines import WorkloadRef, engine_of, services_of
from medley_operator.cli.advise.load import SeenLoad, read_loads
from medley_operator.cli.advise.pools import discover
from medley_operator.cli.advise.prices import missing_of_pools, prices_of_found
from medley_operator.cli.in_cluster import list_all
from medley_operator.domain.cluster.prices import NO_PRICES
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import PodView
from medley_operator.fleet.project import node_view, pod_view
from medley_operator.kube.client import PersonClient
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import AUTOSCALERS, NODES, PODS
from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.price_list import Listed
from medley_operator.metrics.prices import read_price_metrics
from medley_operator.metrics.prometheus import Prometheus


async def survey_cluster(
    client: PersonClient,
    prometheus: Prometheus | None,
    *,
    why_no_prometheus: str,
    namespace: str,
    given_prices: Mapping[str, float],
    listed_prices: Listed,
    window: str,
    percentile: int,
) -> Survey:
    """`namespace` "": all. `given_prices`: US dollars per GPU and hour by pool name or GPU type, in small letters.
    `listed_prices`: a price list.

    Raises `KubeError` where pods or nodes cannot be listed.
    """
    unread: list[str] = []
    manifests = await list_all(client, PODS, namespace=namespace)
    nodes = tuple(node_view(node) for node in await list_all(client, NODES))
    views = [pod_view(pod) for pod in manifests]
    seen = (engine_of(pod, view) for pod, view in zip(manifests, views, strict=True))
    engines = [engine for engine in seen if engine is not None]
    services = services_of(engines)
    try:
        autoscalers = autoscalers_of(await list_all(client, AUTOSCALERS, namespace=namespace))
    except KubeError as error:
        autoscalers = {}
        unread.append(f"autoscalers: {error.message}")
    discovery = discover(nodes)
    loads: Mapping[Key, SeenLoad] = {}
    metrics = NO_PRICES
    if prometheus is None:
        unread.append(why_no_prometheus)
    else:
        try:
            at = await prometheus.now()
            loads = await read_loads(prometheus, services, window=window, percentile=percentile, at=at)
            metrics = await read_price_metrics(prometheus, at=at)
        except PrometheusUnavailableError as error:
            unread.append(str(error))
    prices = prices_of_found(discovery, given_prices, replace(metrics, listed=listed_prices))
    unread += missing_of_pools(discovery, prices)
    pods: tuple[PodView, ...] = tuple(view for view in views if view is not None)
    return Survey(services, discovery, prices, loads, nodes, pods, autoscalers, tuple(unread))


def autoscalers_of(manifests: Sequence[Manifest]) -> Mapping[WorkloadRef, str]:
    """The autoscaler of each workload, in words."""
    found: dict[WorkloadRef, str] = {}
    for each in manifests:
        metadata, target = each["metadata"], (each.get("spec") or {}).get("scaleTargetRef") or {}
        workload = WorkloadRef(metadata["namespace"], str(target.get("kind", "")), str(target.get("name", "")))
        found[workload] = f"HorizontalPodAutoscaler {metadata['name']}"
    return found
