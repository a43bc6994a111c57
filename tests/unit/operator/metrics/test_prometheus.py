"""The client's edge: nothing but a well-formed answer passes, and each refusal says what to do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from medley_operator.metrics import prometheus as module
from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.prometheus import Prometheus, VectorSample, http_client
from tests.unit.operator.metrics.fake_prometheus import NOW, URL, success

Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler, base_url: str = URL) -> Prometheus:
    return Prometheus(base_url=base_url, client=httpx.AsyncClient(transport=httpx.MockTransport(handler)))


async def refusal(handler: Handler) -> PrometheusUnavailableError:
    with pytest.raises(PrometheusUnavailableError) as raised:
        await client_of(handler).vector("up", at=NOW)
    assert URL in str(raised.value)
    return raised.value


async def test_vector() -> None:
    data = {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [NOW, "1.5e+1"]}]}
    assert await client_of(lambda _request: success(data)).vector("up", at=NOW) == (VectorSample({"a": "b"}, 15.0),)


@pytest.mark.parametrize("kind", ["vector", "matrix"])
async def test_an_answer_is_read_in_a_thread_and_others_wait_for_it(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Days of rates of a fleet are megabytes, and no event was answered while they were read."""
    threads: list[str] = []
    reading = threading.Lock()

    def read(_answer: bytes) -> tuple[()]:
        threads.append(threading.current_thread().name)
        assert reading.acquire(blocking=False)
        time.sleep(0.01)
        reading.release()
        return ()

    monkeypatch.setattr(module, {"vector": "_samples", "matrix": "_series"}[kind], read)
    client = client_of(lambda _request: success({}))

    async def ask() -> None:
        if kind == "vector":
            await client.vector("up", at=NOW)
        else:
            await client.matrix("up", start=NOW, end=NOW, step_seconds=1.0)

    await asyncio.gather(ask(), ask(), ask())
    assert len(threads) == 3
    assert threading.main_thread().name not in threads


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text=""),
        httpx.Response(200, text="[]"),
        httpx.Response(200, text='{"status":"error","error":"x"}'),
        success({"resultType": "matrix", "result": []}),
        success({"resultType": "scalar", "result": [NOW, "1"]}),
        success({"resultType": "vector", "result": [{"metric": {}, "value": [NOW, "many"]}]}),
        success({"resultType": "vector", "result": [{"metric": {}, "histogram": [NOW, {}]}]}),
        success({"resultType": "vector"}),
    ],
)
async def test_what_is_not_prometheus(answer: httpx.Response) -> None:
    error = await refusal(lambda _request: answer)
    assert "does not speak Prometheus's HTTP API" in str(error)
    assert "--prometheus-url" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "word", "retryable"),
    [
        (302, "the address it redirects to", False),
        (400, "see its log", False),
        (401, "give the operator a login with --prometheus-bearer-token-file", False),
        (403, "give the operator a login with --prometheus-bearer-token-file", False),
        (404, "without /api/v1", False),
        (429, "see its log", True),
        (503, "see its log", True),
    ],
)
async def test_error_status(status: int, word: str, retryable: bool) -> None:
    body = json.dumps({"status": "error", "errorType": "x", "error": "the words\nof Prometheus"})
    headers = {"Location": "http://elsewhere.test/"}
    error = await refusal(lambda _request: httpx.Response(status, text=body, headers=headers))
    phrase = httpx.codes.get_reason_phrase(status)
    assert f"answered HTTP {status} {phrase}: the words of Prometheus: " in str(error)
    assert word in str(error)
    assert error.retryable is retryable


async def test_a_page_is_named_as_one_and_a_redirect_with_its_host_alone() -> None:
    page = "\n<!DOCTYPE html><html>Log in</html>"
    error = await refusal(lambda _request: httpx.Response(200, text=page))
    assert "answered with an HTML page" in str(error)
    assert "maybe a login page" in str(error)
    headers = {"Location": "https://u:p@sso.test/login?state=secret"}
    error = await refusal(lambda _request: httpx.Response(302, text=page, headers=headers))
    assert "answered HTTP 302 Found: an HTML page: Medley does not follow redirects" in str(error)
    assert str(error).endswith("the address it redirects to (https://sso.test)")


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout(""),
        httpx.RemoteProtocolError("cut"),
        httpx.DecodingError("gzip"),
    ],
)
async def test_no_connection(failure: httpx.HTTPError) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise failure

    error = await refusal(handler)
    assert type(failure).__name__ in str(error)
    assert error.retryable


class Drip(httpx.AsyncByteStream):
    def __init__(self, part: bytes, pause_seconds: float) -> None:
        self._part, self._pause_seconds = part, pause_seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self._pause_seconds)
            yield self._part


async def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.1)
    error = await refusal(lambda _request: httpx.Response(200, stream=Drip(b" ", 0.01)))
    assert "did not answer completely within 0.1 s" in str(error)
    assert error.retryable


async def test_an_endless_answer_is_cut_off() -> None:
    error = await refusal(lambda _request: httpx.Response(200, stream=Drip(b" " * 1_000_000, 0)))
    assert "more than 8388608 bytes" in str(error)


async def test_path_prefix_is_kept_and_credentials_stay_out_of_messages() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    prometheus = client_of(handler, "https://reader:hunter2@prometheus.test/prefix/")
    with pytest.raises(PrometheusUnavailableError) as raised:
        await prometheus.now()
    assert asked[0].url.path == "/prefix/api/v1/query"
    assert asked[0].headers["Authorization"].startswith("Basic ")
    assert "https://prometheus.test/prefix" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("address", ["prometheus:9090", "ftp://prometheus", "/api", "", "http://"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="give one like http://"):
        Prometheus(base_url=address, client=httpx.AsyncClient())


async def test_client_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    async with http_client() as client:
        assert not client.trust_env
        assert not client.follow_redirects
        assert client.timeout.read == 5.0
