"""The way to a Service through an API server: its address, the user's token, and no redirect."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from medley_operator.kube.service_proxy import service_proxy
from medley_operator.metrics.prometheus import Prometheus


@pytest.fixture
def asked() -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    """An API server that answers as Prometheus does, and what it was asked: verb, path, authorization."""
    requests: list[tuple[str, str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.command, self.path, self.headers["Authorization"]))
            body = b'{"status":"success","data":{"resultType":"scalar","result":[1,"1700000000"]}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


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
