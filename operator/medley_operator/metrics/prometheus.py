"""A small client of Prometheus's HTTP API: instant and range queries, and nothing believed that was not checked.

The `httpx.AsyncClient` comes from outside (`http_client` makes the one that the operator uses). Every failure becomes
`PrometheusUnavailableError` with the address asked, without any credentials of it, and with what is wrong now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from medley_operator.metrics.credentials import Credentials
from medley_operator.metrics.errors import PrometheusUnavailableError, SlowAnswerError, TooLargeAnswerError

MAX_ANSWER_BYTES = 8 * 1024 * 1024
REQUEST_SECONDS = 8.0
"""Limit of one request as a whole: httpx's own timeouts bound each read, not a peer that drips."""
QUOTED_CHARACTERS = 200
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class VectorSample:
    """One element of an instant vector. `value` may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class TimedSample:
    """One element of an instant vector, with the Unix time that it is for. `value` may be NaN or infinite."""

    labels: Mapping[str, str]
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One element of a range query: (Unix time, value) in the order of time. A value may be NaN or infinite."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class _Element(BaseModel):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(BaseModel):
    resultType: Literal["vector"]  # noqa: N815 - Prometheus's name
    result: list[_Element]


class _RangeElement(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815 - Prometheus's name
    result: list[_RangeElement]


class _Scalar(BaseModel):
    resultType: Literal["scalar"]  # noqa: N815 - Prometheus's name
    result: tuple[float, str]


class _InstantAnswer(BaseModel):
    status: Literal["success"]
    data: Annotated[_Vector | _Scalar, Field(discriminator="resultType")]


class _VectorAnswer(BaseModel):
    status: Literal["success"]
    data: _Vector


class _MatrixAnswer(BaseModel):
    status: Literal["success"]
    data: _Matrix


class _ScalarAnswer(BaseModel):
    status: Literal["success"]
    data: _Scalar


class _ErrorAnswer(BaseModel):
    status: Literal["error"]
    error: str


def http_client(*, timeout_seconds: float = 5.0, credentials: Credentials | None = None) -> httpx.AsyncClient:
    """The client to inject: no proxies or certificates from the environment, no redirects, few connections.

    Requests that wait for a connection wait as long as they may take in all: `metrics.observe` asks few at once.
    """
    return httpx.AsyncClient(
        verify=True if credentials is None else credentials.verify,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(timeout_seconds, pool=REQUEST_SECONDS),
        limits=httpx.Limits(max_connections=16, max_keepalive_connections=4),
    )


class Prometheus:
    """Prometheus at one base URL (a path prefix is kept)."""

    def __init__(
        self,
        *,
        base_url: str,
        client: httpx.AsyncClient,
        credentials: Credentials | None = None,
        matchers: str = "",
        by_get: bool = False,
    ) -> None:
        """Raises ValueError where `base_url` is not an http or https address.

        `matchers`: which of its series are of this cluster, such as `cluster="eu-1"`, for those who make queries.
        `by_get`: for a way to it that lets only reads pass; queries are then parts of addresses, which have limits.
        """
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(
                f"the address of Prometheus is {base_url!r}: give one like http://prometheus.monitoring.svc:9090"
            )
        self.address = str(url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
        """The address for messages, without credentials."""
        self._endpoint = url.copy_with(path=url.path.rstrip("/") + "/api/v1/query", query=None, fragment=None)
        self._range_endpoint = url.copy_with(path=self._endpoint.path + "_range", query=None, fragment=None)
        self.matchers = matchers
        self._client = client
        self._credentials = credentials or Credentials()
        self._auth = credentials or httpx.USE_CLIENT_DEFAULT
        self._by_get = by_get
        self._reading = asyncio.Lock()

    async def now(self) -> float:
        """Prometheus's own time in Unix seconds, so that a skew of our clock cannot make its data look old."""
        return await self._read(_time, await self._ask(self._endpoint, {"query": "time()"}))

    async def vector(self, expression: str, *, at: float) -> tuple[VectorSample, ...]:
        """The instant vector of `expression` at Unix time `at`."""
        answer = await self._ask(self._endpoint, {"query": expression, "time": f"{at:.3f}"})
        return await self._read(_samples, answer)

    async def newest(self, expression: str, *, lookback_seconds: float) -> tuple[TimedSample, ...]:
        """Each series of `expression` now, by Prometheus's clock; a scalar is one without labels.

        `lookback_seconds`: how old a sample may be that nothing newer replaced. Without it that would be 5 minutes.
        """
        form = {"query": expression, "lookback_delta": f"{lookback_seconds:g}s"}
        return await self._read(_timed_samples, await self._ask(self._endpoint, form))

    async def matrix(self, expression: str, *, start: float, end: float, step_seconds: float) -> tuple[Series, ...]:
        """The values of `expression` at each step from Unix time `start` to `end`."""
        form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_seconds:g}"}
        return await self._read(_series, await self._ask(self._range_endpoint, form))

    async def _read(self, parse: Callable[[bytes], Value], answer: bytes) -> Value:
        try:
            # In a thread, as events and the Lease must not wait for megabytes; one at a time, as threads share a core.
            async with self._reading:
                return await asyncio.to_thread(parse, answer)
        except ValueError as error:
            raise self._not_prometheus(error) from error

    async def _ask(self, endpoint: httpx.URL, form: Mapping[str, str]) -> bytes:
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self._request(endpoint, form) as response,
            ):
                body = await self._body(response)
                status = response.status_code
        except TimeoutError as error:
            raise SlowAnswerError(
                f"Prometheus {self.address} did not answer completely within {REQUEST_SECONDS:g} s; check its load"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            detail = self._credentials.hidden(str(error)) or "no detail"
            kind = SlowAnswerError if isinstance(error, httpx.TimeoutException) else PrometheusUnavailableError
            raise kind(
                f"Prometheus {self.address} cannot be queried ({type(error).__name__}: {detail}); check "
                "--prometheus-url, its Service and its pods"
            ) from error
        if status != httpx.codes.OK:
            raise PrometheusUnavailableError(
                f"Prometheus {self.address} answered HTTP {status} {httpx.codes.get_reason_phrase(status)}: "
                f"{self._said(body)}: {self._way_out(response)}",
                retryable=status >= 500 or status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT),
            )
        if _is_html(body):
            raise PrometheusUnavailableError(
                f"the server at {self.address} answered with an HTML page and not as Prometheus's HTTP API does, maybe "
                "a login page or another program; check --prometheus-url",
                retryable=False,
            )
        return body

    def _request(self, endpoint: httpx.URL, form: Mapping[str, str]) -> AbstractAsyncContextManager[httpx.Response]:
        if self._by_get:
            return self._client.stream("GET", endpoint, params=form, auth=self._auth)
        return self._client.stream("POST", endpoint, data=form, auth=self._auth)

    def _said(self, body: bytes) -> str:
        """The words of an answer on what is wrong, without secrets."""
        if _is_html(body):
            return "an HTML page"
        try:
            text = _ErrorAnswer.model_validate_json(body).error
        except ValidationError:
            text = body[: 4 * QUOTED_CHARACTERS].decode(errors="replace")
        return " ".join(self._credentials.hidden(text).split())[:QUOTED_CHARACTERS] or "no text"

    def _way_out(self, response: httpx.Response) -> str:
        status = response.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return self._credentials.way_out
        if 300 <= status < 400:
            target = _target(response)
            return f"Medley does not follow redirects; set --prometheus-url to the address it redirects to{target}"
        if status == httpx.codes.NOT_FOUND:
            return "set --prometheus-url to the base URL, without /api/v1"
        return "see its log"

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise TooLargeAnswerError(
                    f"Prometheus {self.address} answered more than {MAX_ANSWER_BYTES} bytes; give Medley a Prometheus "
                    "that scrapes only the engine pods it plans for",
                    retryable=False,
                )
        return bytes(body)

    def _not_prometheus(self, error: ValueError) -> PrometheusUnavailableError:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            detail = f"{'.'.join(str(part) for part in first['loc']) or 'answer'}: {first['msg']}"
        else:
            detail = str(error)
        return PrometheusUnavailableError(
            f"the server at {self.address} does not speak Prometheus's HTTP API ({detail[:QUOTED_CHARACTERS]}); check "
            "--prometheus-url",
            retryable=False,
        )


def _time(answer: bytes) -> float:
    """Raises ValueError, as the others do, where the answer is not of its kind."""
    return float(_ScalarAnswer.model_validate_json(answer).data.result[1])


def _samples(answer: bytes) -> tuple[VectorSample, ...]:
    elements = _VectorAnswer.model_validate_json(answer).data.result
    return tuple(VectorSample(labels=element.metric, value=float(element.value[1])) for element in elements)


def _timed_samples(answer: bytes) -> tuple[TimedSample, ...]:
    data = _InstantAnswer.model_validate_json(answer).data
    if isinstance(data, _Scalar):
        return (TimedSample({}, data.result[0], float(data.result[1])),)
    return tuple(TimedSample(each.metric, each.value[0], float(each.value[1])) for each in data.result)


def _series(answer: bytes) -> tuple[Series, ...]:
    elements = _MatrixAnswer.model_validate_json(answer).data.result
    return tuple(
        Series(labels=element.metric, points=tuple((at, float(value)) for at, value in element.values))
        for element in elements
    )


def _is_html(body: bytes) -> bool:
    return body[:QUOTED_CHARACTERS].lstrip().lower().startswith((b"<!doctype", b"<html"))


def _target(response: httpx.Response) -> str:
    """Where a redirect leads, without what may be secret of it."""
    try:
        target = response.url.join(response.headers.get("Location", ""))
    except httpx.InvalidURL:
        return ""
    host = f"{target.scheme}://{target.netloc.decode(errors='replace').rpartition('@')[2]}"
    return f" ({host[:QUOTED_CHARACTERS]})"
