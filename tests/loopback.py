"""A small HTTP server on loopback, for what stands in for an exporter, a Prometheus or an API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `path` has its query."""

    verb: str
    path: str
    headers: Mapping[str, str]
    body: str


@contextmanager
def served(
    answer: Callable[[Asked], bytes | None], *, content_type: str = "application/json", keep_alive: bool = False
) -> Iterator[int]:
    """Gives its port, and answers until the block ends; None is unavailable (503). Nothing is logged, and a client that
    goes away, such as one that is stopped, is no error."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            body = answer(Asked(self.command, self.path, dict(self.headers), text))
            if body is None:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the base class's name

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
