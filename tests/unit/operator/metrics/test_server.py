"""The three addresses, over real HTTP on loopback."""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Iterator

import httpx
import pytest

from medley_operator.metrics.exporter import Exporter
from medley_operator.metrics.server import MetricsServer, Probe


@pytest.fixture
def probes() -> dict[str, Probe]:
    return {"healthy": Probe(True, "ok"), "ready": Probe(False, "not ready: no round has ended yet")}


@pytest.fixture
def url(probes: dict[str, Probe]) -> Iterator[str]:
    server = MetricsServer(
        address="127.0.0.1",
        port=0,
        registry=Exporter().registry,
        healthy=lambda: probes["healthy"],
        ready=lambda: probes["ready"],
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=5.0)


def test_metrics_are_served_in_the_format_that_is_asked_for(url: str) -> None:
    answer = get(f"{url}/metrics")
    assert answer.status_code == 200
    assert 'medley_errors_total{component="apply"} 0.0' in answer.text
    asked = httpx.get(
        f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}, trust_env=False
    )
    assert asked.headers["Content-Type"].startswith("application/openmetrics-text")


def test_probes_follow_what_they_are_told(url: str, probes: dict[str, Probe]) -> None:
    assert get(f"{url}/healthz").status_code == 200
    unready = get(f"{url}/readyz?verbose=1")
    assert (unready.status_code, unready.text) == (503, "not ready: no round has ended yet\n")
    probes["ready"] = Probe(True, "ok")
    assert get(f"{url}/readyz").status_code == 200


def test_other_addresses_are_not_found(url: str) -> None:
    assert get(f"{url}/").status_code == 404


def test_a_scraper_that_gives_up_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    given_up, answered = threading.Event(), threading.Event()

    def healthy() -> Probe:
        given_up.wait(5.0)
        # The kernel drops the connection on the first write; more than it buffers makes the loss certain.
        return Probe(True, "x" * 20_000_000)

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "request dropped":
                answered.set()

    logger = logging.getLogger("medley_operator.metrics.server")
    told = Told()
    logger.addHandler(told)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    server = MetricsServer(
        address="127.0.0.1", port=0, registry=Exporter().registry, healthy=healthy, ready=lambda: Probe(True, "ok")
    )
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as scraper:
            scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            scraper.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        given_up.set()
        assert answered.wait(5.0)
    finally:
        server.stop()
        logger.removeHandler(told)
        logger.setLevel(level)
    assert "Traceback" not in capfd.readouterr().err
