"""The wire format beside the requests: selectors, JSON answers, and the lines of a watch.

Apart: pure, so that `kube.official` holds nothing but connections and requests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from medley_operator.kube.client import WatchEvent, WatchType
from medley_operator.kube.errors import from_status


async def lines_of(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Whole lines, however long; a rest without an end was cut off."""
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *lines, last = rest.split(b"\n")
            rest = last
            for line in lines:
                yield bytes(line)


def event_of(line: bytes, action: str) -> WatchEvent:
    answer = parse(line)
    type_, manifest = answer.get("type"), answer.get("object") or answer
    if type_ not in set(WatchType):
        raise from_status(code=manifest.get("code") or 500, action=action, answer=manifest)
    return WatchEvent(type=WatchType(type_), manifest=manifest)


def selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: selector for name, selector in selectors.items() if selector}


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object of an answer; proxies and a starting API server also answer in plain text."""
    try:
        parsed = json.loads(data)
    except ValueError:
        return {"message": data[:500].decode(errors="replace").strip()}
    return parsed if isinstance(parsed, dict) else {"message": str(parsed)[:500]}
