"""Serves /metrics, /healthz and /readyz.

It runs in a separate thread, so that a stuck event loop is reported instead of leaving the probe without an answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

REQUEST_TIMEOUT_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Probe:
    """Answer of a probe: good or not, and why."""

    ok: bool
    message: str


class MetricsServer:
    """Listens from `start` to `stop`. The two probes are called from the server's threads."""

    def __init__(
        self,
        *,
        address: str,
        port: int,
        registry: CollectorRegistry,
        healthy: Callable[[], Probe],
        ready: Callable[[], Probe],
    ) -> None:
        probes = {"/healthz": healthy, "/readyz": ready}

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
                else:
                    self._answer(404, "text/plain", b"try /metrics, /healthz or /readyz\n")

            def _answer(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
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

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
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
