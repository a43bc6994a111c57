"""The result of one look at a cluster: what is as it should be, what is not, and how to mend it. Pure.

Apart: the values between what reads and what judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from medley_operator.domain.values.views import NodeView
from medley_operator.kube.resources import Resource

Json = dict[str, Any]


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    """Something is missing that some users want."""
    FAULT = "fault"
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: the part that was looked at. `fix`: what to do, "" where there is nothing to do."""

    about: str
    health: Health
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class SeriesCounts:
    """Series of running requests in Prometheus: of all engines, and of those whose pods are known as ours."""

    engines: int
    ours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCluster:
    """The objects of each kind as the API server returns them; kinds that it lacks or that could not be listed are in
    `lacking` and `unread`, with the reason. `series` None: Prometheus was not read, and `why_no_series` says why.
    `now`: Unix seconds."""

    objects: dict[Resource, list[Json]] = field(default_factory=dict)
    lacking: frozenset[Resource] = frozenset()
    unread: dict[Resource, str] = field(default_factory=dict)
    nodes: tuple[NodeView, ...] = ()
    series: SeriesCounts | None = None
    why_no_series: str = ""
    now: float = 0.0

    def of(self, resource: Resource) -> list[Json]:
        return self.objects.get(resource, [])

    def listed(self, resource: Resource) -> bool:
        """Whether `of` has all that there are."""
        return resource not in self.lacking and resource not in self.unread
