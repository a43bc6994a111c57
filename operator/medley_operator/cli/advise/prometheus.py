"""Finds the Prometheus that scrapes the engines: the address that the user gives, else one of the cluster's Services.

A Service of the cluster is reached through the API server with the user's own rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from medley_operator.cli.in_cluster import list_all
from medley_operator.kube.client import PersonClient
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import SERVICES
from medley_operator.kube.service_proxy import service_proxy
from medley_operator.metrics.prometheus import Prometheus, http_client
from medley_planner.cli.arguments import BadOption

USUAL = (
    {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"},
    {"app": "kube-prometheus-stack-prometheus"},
    {"app.kubernetes.io/name": "prometheus"},
    {"operated-prometheus": "true"},
    {"app": "prometheus"},
)
"""Labels of the Service in the usual ways to install it: Prometheus's own chart, kube-prometheus-stack's, the manifests
of kube-prometheus, the operator alone, and by hand."""
PORTS = ("web", "http-web", "http")
API_PORTS = (9090, 80)


async def open_prometheus(
    stack: AsyncExitStack, client: PersonClient, url: str | None
) -> tuple[Prometheus | None, str]:
    """Prometheus, or why there is none. Raises `BadOption` where `url` is not an address."""
    if url is not None:
        http = await stack.enter_async_context(http_client())
        try:
            return Prometheus(base_url=url, client=http), ""
        except ValueError as error:
            raise BadOption("", "--prometheus", url, str(error)) from error
    try:
        services = await list_all(client, SERVICES)
    except KubeError as error:
        return None, f"Prometheus: {error.message}; give its address with --prometheus URL"
    found = usual_prometheus(services)
    if found is None:
        return None, "Prometheus: no Service of the cluster looks like it; give its address with --prometheus URL"
    http, address = await stack.enter_async_context(service_proxy(*found))
    return Prometheus(base_url=address, client=http, by_get=True), ""


def usual_prometheus(services: list[dict[str, Any]]) -> tuple[str, str, str] | None:
    """(namespace, name, port) of the Service that looks most like Prometheus; None where none does."""
    for labels in USUAL:
        for service in sorted(services, key=_name):
            own = service["metadata"].get("labels") or {}
            if all(own.get(label) == value for label, value in labels.items()):
                port = _port((service.get("spec") or {}).get("ports") or [])
                if port:
                    return (*_name(service), port)
    return None


def _name(service: Mapping[str, Any]) -> tuple[str, str]:
    return service["metadata"]["namespace"], service["metadata"]["name"]


def _port(ports: list[Mapping[str, Any]]) -> str:
    """The port of the HTTP API; "" where there is none."""
    named = next((each["name"] for name in PORTS for each in ports if each.get("name") == name), None)
    if named is not None:
        return str(named)
    return next((str(number) for number in API_PORTS for each in ports if each.get("port") == number), "")
