"""Answers of the API server from their bytes: one JSON object, or the lines of a watch. Opens no connection.

Apart: `official.py` makes requests; these read what comes back, and know no connection.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from medley_operator.kube.client import WatchEvent, WatchType
from medley_operator.kube.errors import from_status


async def watch_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Whole lines, however long; a rest without an end was cut off."""
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *lines, last = rest.split(b"\n")
            rest = last
            for line in lines:
                yield bytes(line)


def watch_event(line: bytes, action: str) -> WatchEvent:
    answer = parsed(line)
    type_, manifest = answer.get("type"), answer.get("object") or answer
    if type_ not in set(WatchType):
        raise from_status(code=manifest.get("code") or 500, action=action, answer=manifest)
    return WatchEvent(type=WatchType(type_), manifest=manifest)


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object of an answer; proxies and a starting API server also answer in plain text."""
    try:
        answer = json.loads(data)
    except ValueError:
        return {"message": data[:500].decode(errors="replace").strip()}
    return answer if isinstance(answer, dict) else {"message": str(answer)[:500]}
