"""Talks to an OpenAI-compatible server: one streamed completion at a time, and what the server says of itself.

The `httpx.AsyncClient` comes from outside (`http_client` makes one); it holds the API key, which no message of this
module can then show.
Failures of single requests are values, since a load test goes on past them; `EndpointError` is for what ends it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from random import Random
from typing import Any

import httpx

from medley_operator.profile.loads import Size
from medley_operator.profile.prompts import Prompts, words
from medley_operator.profile.stream import EventReader, Progress
from medley_planner.bad_input import BadInput

_CONNECT_SECONDS = 10.0
_PROBE = Size(32, 4)
_PROBE_WORDS = 200
_PROBE_SECONDS = 120.0
_REFUSALS = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)


def http_client(api_key: str | None, *, timeout_seconds: float) -> httpx.AsyncClient:
    """A client for load tests: it never queues, and `api_key` goes with every request."""
    return httpx.AsyncClient(
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
        # One connection per request under way: a pool's limit would queue requests on this side.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        timeout=httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
    )


class EndpointError(Exception):
    """The endpoint cannot be load-tested. The message names it, what it said and the way out."""


@dataclasses.dataclass(frozen=True, slots=True)
class Dialect:
    """The features that the server supports. `exact`: vLLM's fields for exact lengths and a token count in every
    chunk."""

    prompts: Prompts
    exact: bool


class Endpoint:
    """`url` as in http://host:8000 (a trailing /v1 is fine), `model` the name that the server serves it by.

    Raises BadInput where it is not such a URL.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, model: str, clock: Callable[[], float], timeout_seconds: float
    ) -> None:
        self._client = client
        self.url = url.rstrip("/").removesuffix("/v1")
        _check_url(self.url)
        self.model = model
        self._clock = clock
        self._timeout = timeout_seconds

    async def complete(self, prompt: list[int] | str, *, generation_tokens: int, exact: bool, seen: Progress) -> None:
        """One completion; `seen` is filled as tokens come, so that a watcher sees them. Raises no error of HTTP."""
        reader = EventReader()
        body = _body(self.model, prompt, generation_tokens=generation_tokens, exact=exact)
        url = f"{self.url}/v1/completions"
        try:
            async with asyncio.timeout(self._timeout), self._client.stream("POST", url, json=body) as answer:
                if answer.status_code != httpx.codes.OK:
                    seen.failure = _refusal(answer.status_code, await answer.aread())
                    return
                async for chunk in answer.aiter_raw():
                    at = self._clock()
                    for data in reader.feed(chunk):
                        seen.take(data, at=at)
                    # A stream that is read to its end leaves the connection to the next request.
                    if seen.failure is not None:
                        break
        except TimeoutError:
            seen.failure = f"no answer within {self._timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            seen.failure = f"{type(error).__name__}: {error}"[:200]
        if seen.failure is None and not seen.generated:
            seen.failure = "the stream ended without a token"
        elif seen.failure is None and not seen.done:
            seen.failure = "the stream broke off"

    async def learn_dialect(self, prompts: Prompts) -> Dialect:
        """Sends a few small requests to find what the server understands. Raises EndpointError."""
        random = Random(0)  # noqa: S311 -- load, no secrets
        said = ""
        for exact, ids in ((True, True), (False, True), (True, False), (False, False)):
            prompt = prompts.make(_PROBE.prompt_tokens, random) if ids else words(_PROBE_WORDS, random)
            seen = Progress()
            await self.complete(prompt, generation_tokens=_PROBE.generation_tokens, exact=exact, seen=seen)
            if seen.failure is None:
                per_word = None if ids else (seen.prompt_tokens or _PROBE_WORDS) / _PROBE_WORDS
                return Dialect(dataclasses.replace(prompts, tokens_per_word=per_word), exact)
            said = seen.failure
            if not any(said.startswith(f"HTTP {code.value}") for code in _REFUSALS):
                break
        raise EndpointError(
            f'endpoint {self.url} does not complete a prompt with model "{self.model}": {said}. Check that --endpoint '
            "is an OpenAI-compatible server and --served-model-name one of its models (GET /v1/models lists them)"
        )

    async def text_of(self, path: str) -> str | None:
        """The body of a GET, or None where there is none."""
        try:
            answer = await self._client.get(f"{self.url}{path}", timeout=_PROBE_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return answer.text if answer.status_code == httpx.codes.OK else None


def _check_url(url: str) -> None:
    """Faults of a URL that httpx reports only when it connects, or with several kinds of errors."""
    try:
        parsed = httpx.URL(url)
        sound = parsed.scheme in ("http", "https") and bool(parsed.host) and (parsed.port or 1) < 65536
    except httpx.InvalidURL:
        sound = False
    if not sound:
        raise BadInput("", "--endpoint", url, "it is not the URL of a server; give one such as http://host:8000")
    if parsed.userinfo:
        raise BadInput.whole(
            f"--endpoint of host {parsed.host}",
            "contains a user or a password, which messages would show; remove them and put the API key into the "
            "variable that --api-key-env names",
        )


def _body(model: str, prompt: list[int] | str, *, generation_tokens: int, exact: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "max_tokens": generation_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if exact:
        body["ignore_eos"] = True
        body["stream_options"]["continuous_usage_stats"] = True
    return body


def _refusal(status: int, body: bytes) -> str:
    text = body.decode("utf-8", errors="replace")
    try:
        parsed = json.loads(text)
        error = parsed.get("error", parsed)
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError, RecursionError):
        pass
    return f"HTTP {status}: {' '.join(text.split())[:160]}"
