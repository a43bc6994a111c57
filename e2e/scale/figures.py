"""From audit events, logs and samples of metrics to the figures of a run. Pure; times are Unix seconds."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from e2e.controlplane.audit import unix_seconds

WRITES = frozenset({"create", "update", "patch", "delete"})
LOOK_QUERY = "time()"
"""The first query of each round: Prometheus's own time."""

_LABEL = re.compile(r'(\w+)="([^"]*)"')

Json = dict[str, Any]


class Target(NamedTuple):
    """An object of the API server, by plural name."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Write:
    """A write that the API server was asked for. `received` and `done`: when it had the request, and its answer."""

    target: Target
    verb: str
    subresource: str
    received: float
    done: float
    good: bool


def writes_of(events: Iterable[Json], user: str) -> list[Write]:
    """What this user wrote, in order. A Lease that is renewed and an Event are no write of the fleet."""
    return sorted(
        (
            Write(
                target=Target(reference["resource"], reference.get("namespace", ""), reference.get("name", "")),
                verb=event["verb"],
                subresource=reference.get("subresource", ""),
                received=unix_seconds(event["requestReceivedTimestamp"]),
                done=unix_seconds(event["stageTimestamp"]),
                good=200 <= event["responseStatus"]["code"] < 300,
            )
            for event in events
            if event["user"]["username"] == user
            and event["verb"] in WRITES
            and (reference := event.get("objectRef") or {}).get("resource") not in (None, "leases", "events")
        ),
        key=lambda write: write.received,
    )


def first_after(writes: Sequence[Write], target: Target, at: float) -> Write | None:
    """The first good write of the object itself that was asked for after `at`."""
    return next(
        (
            each
            for each in writes
            if each.received > at and each.target == target and not each.subresource and each.good
        ),
        None,
    )


def look_starts(query_log: str) -> list[float]:
    """When each round began to look, from Prometheus's query log."""
    return sorted(
        unix_seconds(entry["time"])
        for line in query_log.splitlines()
        if line.endswith("}") and (entry := json.loads(line))["params"]["query"] == LOOK_QUERY
    )


class Solve(NamedTuple):
    """A solve that ended between two samples of the operator's metrics, and how long it took."""

    seen: float
    seconds: float


def solves_of(samples: Sequence[tuple[float, float, float]]) -> list[Solve]:
    """From (time, count, sum) of `medley_plan_solve_seconds`."""
    pairs = pairwise(samples)
    return [Solve(now[0], now[2] - before[2]) for before, now in pairs if now[1] > before[1]]


def load_to_write(written: float, *, looks: Sequence[float], solves: Sequence[Solve]) -> float | None:
    """Seconds from the look that saw the load to the write, less the solve between them; None where no look was
    before."""
    index = bisect_right(looks, written)
    if not index:
        return None
    look = looks[index - 1]
    # A solve is seen at the first sample after it, which may be after the write too.
    solving = next((each.seconds for each in solves if each.seen > look), 0.0)
    return max(0.0, written - look - solving)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def busy_share(log: str, *, since: float, until: float) -> float:
    """The share of the time in which a round was going on, from the operator's log of rounds that events began."""
    busy = 0.0
    for line in log.splitlines():
        if '"round ended"' not in line:
            continue
        entry = json.loads(line)
        end = unix_seconds(entry["time"])
        busy += max(0.0, min(end, until) - max(end - float(entry["seconds"]), since))
    return busy / (until - since)


def metric_sum(exposition: str, name: str) -> float:
    """Sum of all series of that metric in a text of Prometheus's format."""
    return sum(value for _, value in metric_series(exposition, name))


def metric_series(exposition: str, name: str) -> list[tuple[dict[str, str], float]]:
    """(labels, value) of each series of that metric, whose labels hold no quotes."""
    found = []
    for line in exposition.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            labels, _, value = line.removeprefix(name).rpartition(" ")
            found.append((dict(_LABEL.findall(labels)), float(value)))
    return found
