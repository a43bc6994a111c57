"""Reads a streamed completion: server-sent events cut into chunks at any byte, and the tokens in each. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

MOST_TOKENS = 10**9
"""Most tokens of one request; a larger count from a server is ignored."""


class EventReader:
    """Takes the body as it comes, gives the `data:` of each event that is complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            if name == b"data":
                yield value.decode("utf-8", errors="replace").strip()


@dataclass(slots=True)
class Progress:
    """The content of a stream up to now. Times are those at which the chunks were read, in the caller's seconds.

    `first_tokens`: tokens that came with the first chunk; servers that do not report usage are assumed to send one
    token per chunk. `failure`: an error that the server sent instead of tokens; the stream is then over.
    """

    first_at: float | None = None
    first_tokens: int = 1
    last_at: float | None = None
    generated: int = 0
    prompt_tokens: int | None = None
    done: bool = False
    failure: str | None = None

    def take(self, data: str, *, at: float) -> None:
        """One event, read at `at`."""
        if data == "[DONE]":
            self.done = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict) or event.get("error") is not None:
            self.failure = f"the stream says {_short(event.get('error') if isinstance(event, dict) else data)}"
            return
        usage = event.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        self._count(event, usage, at=at)
        prompt = usage.get("prompt_tokens")
        if _is_count(prompt):
            self.prompt_tokens = prompt

    def _count(self, event: dict[str, Any], usage: dict[str, Any], *, at: float) -> None:
        told = usage.get("completion_tokens")
        if event.get("choices"):
            # A chunk without a token yet says 0; the one that only closes the stream repeats the count.
            generated = told if _is_count(told) else self.generated + 1
            if generated > self.generated:
                if self.first_at is None:
                    self.first_at, self.first_tokens = at, generated
                self.last_at, self.generated = at, generated
        elif _is_count(told):
            self.generated = told


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MOST_TOKENS


def _short(value: Any) -> str:
    message = value.get("message") if isinstance(value, dict) else None
    return str(message or value)[:200]
