"""The Service that is taken for Prometheus, and the way to it through the API server."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.cli.advise.prometheus import usual_prometheus


def service(name: str, ports: list[dict[str, Any]], **labels: str) -> dict[str, Any]:
    named = {label.replace("__", "/").replace("_", "."): value for label, value in labels.items()}
    return {"metadata": {"namespace": "monitoring", "name": name, "labels": named}, "spec": {"ports": ports}}


WEB, GRPC = {"name": "web", "port": 9090}, {"name": "grpc", "port": 10901}


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ([service("prometheus-k8s", [WEB], app_kubernetes_io__name="prometheus")], ("prometheus-k8s", "web")),
        ([service("p", [{"port": 80}], app="prometheus")], ("p", "80")),
        ([service("thanos", [GRPC], app="prometheus")], None),
        ([service("grafana", [WEB], app="grafana")], None),
        ([], None),
    ],
)
def test_usual_services(services: list[dict[str, Any]], found: tuple[str, str] | None) -> None:
    assert usual_prometheus(services) == (found and ("monitoring", *found))
