"""What clients and engines write down of each request, as lines of JSON that the judge joins by the request's id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2e.gateway.lifecycle import PodState


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as its client saw it, when it was over. Times are Unix seconds; `failure` is "" where it was
    answered."""

    id: str
    at: float
    ended: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it reached an engine. `state_seconds`: how long the pod had been in that state for the API."""

    id: str
    at: float
    pod: str
    variant: str
    image: str
    state: PodState
    state_seconds: float


@contextmanager
def writer(path: Path) -> Iterator[Callable[[Sent | Arrival], None]]:
    """Appends to `path`, a line at a time."""
    with path.open("a", buffering=1) as handle:
        yield lambda entry: print(json.dumps(asdict(entry)), file=handle)


def read_sent(path: Path) -> list[Sent]:
    return [Sent(**fields) for fields in _lines(path)]


def read_arrivals(path: Path) -> list[Arrival]:
    return [Arrival(**{**fields, "state": PodState(fields["state"])}) for fields in _lines(path)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        # The writer may be in the middle of the last line.
        yield from (json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n"))
