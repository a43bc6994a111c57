"""Which services are asked for together, so that no tenant's window or series is a failure of others. Pure.

Services with one window share its queries. Where an answer is too large, the namespaces behind it are asked in two
halves from the next round on, down to the one whose series are too many, which then fails alone. A window that did not
answer in time, while another did, rests for a minute, so that rounds do not wait for it each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from medley_operator.metrics.errors import MetricsError

WINDOWS_SECONDS = (30, 60, 300, 900, 3600)
"""Windows that are asked for. Each costs queries in each round, so that there are few, whatever specs say."""
MOST_GROUPS = 16
"""Parts of one window; as many queries of each kind."""
REST_SECONDS = 60.0


class Asked(Protocol):
    @property
    def namespace(self) -> str: ...

    @property
    def window_seconds(self) -> int: ...


Service = TypeVar("Service", bound=Asked)


def asked_window(seconds: float) -> int:
    """The window to ask for: the shortest of those that is not shorter, or the longest."""
    return next((window for window in WINDOWS_SECONDS if window >= seconds), WINDOWS_SECONDS[-1])


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """Namespaces that are asked for together over one window. `apart`: because an answer was too large."""

    window_seconds: int
    namespaces: frozenset[str]
    apart: bool
    matchers: str


@dataclass
class Lanes:
    """Remembers what was too large and what was too slow. Times are those of Prometheus, in Unix seconds."""

    _apart: dict[int, list[frozenset[str]]] = field(default_factory=lambda: defaultdict(list))
    _resting: dict[int, tuple[float, MetricsError]] = field(default_factory=dict)

    def groups(self, services: Sequence[Service]) -> list[tuple[ServiceGroup, list[Service]]]:
        """All services, by what is asked for together."""
        by_window: dict[int, list[Service]] = defaultdict(list)
        for service in services:
            by_window[service.window_seconds].append(service)
        found: list[tuple[ServiceGroup, list[Service]]] = []
        for window, ours in sorted(by_window.items()):
            carved = self._apart[window]
            others = frozenset().union(*carved)
            rest = frozenset(service.namespace for service in ours) - others
            groups = [ServiceGroup(window, part, apart=True, matchers=_among(part)) for part in carved]
            groups.append(ServiceGroup(window, rest, apart=False, matchers=_among(rest) if carved else ""))
            for group in groups:
                members = [service for service in ours if service.namespace in group.namespaces]
                if members:
                    found.append((group, members))
        return found

    def too_large(self, group: ServiceGroup) -> None:
        """Ask for the two halves of the group from the next round on, and for no other namespace with them."""
        parts = self._apart[group.window_seconds]
        names = sorted(group.namespaces)
        if (group.apart and len(names) < 2) or len(parts) >= MOST_GROUPS:
            return
        if group.apart:
            parts.remove(group.namespaces)
        half = len(names) // 2
        parts += [frozenset(part) for part in (names[:half], names[half:]) if part]

    def rest(self, window_seconds: int, error: MetricsError, *, now: float) -> None:
        """Ask for this window again in a minute."""
        self._resting[window_seconds] = (now + REST_SECONDS, error)

    def resting(self, window_seconds: int, *, now: float) -> MetricsError | None:
        """Why the window is not asked for now; None where it is."""
        until, error = self._resting.get(window_seconds, (now, None))
        return error if now < until else None


def _among(namespaces: frozenset[str]) -> str:
    return f'namespace=~"{"|".join(sorted(namespaces))}"'
