"""Serves /metrics, /healthz and /readyz, and pages where there are any.

It runs in a separate thread, so that a stuck event loop is reported instead of leaving the probe without an answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

REQUEST_TIMEOUT_SECONDS = 10.0
MOST_WAITING = 128
"""Connections that wait to be taken; readers of a page may come all at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Probe:
    """Answer of a probe: good or not, and why."""

    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class ServedPage:
    """What an address answers."""

    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class MetricsServer:
    """Listens from `start` to `stop`. The two probes, and the `pages` by their paths, are called from the server's
    threads."""

    def __init__(
        self,
        *,
        address: str,
        port: int,
        registry: CollectorRegistry,
        healthy: Callable[[], Probe],
        ready: Callable[[], Probe],
        pages: Mapping[str, Callable[[], ServedPage]] = MappingProxyType({}),
    ) -> None:
        probes = {"/healthz": healthy, "/readyz": ready}
        others = ", ".join(("/metrics", *pages, "/healthz"))

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_TIMEOUT_SECONDS

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, content_type, encode(registry))
                elif path in probes:
                    probe = probes[path]()
                    self._answer(200 if probe.ok else 503, "text/plain; charset=utf-8", f"{probe.message}\n".encode())
                elif path in pages:
                    page = pages[path]()
                    self._answer(200, page.content_type, page.body, page.headers)
                else:
                    self._answer(404, "text/plain", f"try {others} or /readyz\n".encode())

            def _answer(
                self, status: int, content_type: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
            ) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError as error:
                    # A scraper that gave up waiting is not our fault and does not need a traceback.
                    log.debug("request dropped", extra={"error": str(error)})

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base class
                log.debug("request", extra={"request": format % args})

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = MOST_WAITING

        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops listening; requests under way are left to end with the process."""
        self._server.shutdown()
        self._server.server_close()
