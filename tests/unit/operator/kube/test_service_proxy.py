"""The way to a Service through an API server: its address, the user's token, and no redirect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from medley_operator.kube.service_proxy import service_proxy
from medley_operator.metrics.prometheus import Prometheus
from tests.loopback import Asked, served


@pytest.fixture
def asked() -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    """An API server that answers as Prometheus does, and what it was asked: verb, path, authorization."""
    requests: list[tuple[str, str, str | None]] = []

    def answer(asked: Asked) -> bytes:
        requests.append((asked.verb, asked.path, asked.headers["Authorization"]))
        return b'{"status":"success","data":{"resultType":"scalar","result":[1,"1700000000"]}}'

    with served(answer) as port:
        yield f"http://127.0.0.1:{port}", requests


async def test_prometheus_is_read_through_the_api_server(
    asked: tuple[str, list[tuple[str, str, str | None]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, requests = asked
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    async with service_proxy("monitoring", "prometheus-k8s", "web") as (client, url):
        assert await Prometheus(base_url=url, client=client, by_get=True).now() == 1700000000
    ((verb, asked_path, authorization),) = requests
    assert (verb, authorization) == ("GET", "Bearer secret")
    assert asked_path == "/api/v1/namespaces/monitoring/services/prometheus-k8s:web/proxy/api/v1/query?query=time%28%29"
