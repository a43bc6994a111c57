"""The margin of a variant: by how much its capacity must exceed its load, and what that rests on. Values only.

Apart: snapshot, candidates and status share them, and none of these may import the room that learns them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Buckets = tuple[tuple[float, float], ...]
"""A histogram in seconds: (upper edge, requests up to it), the last edge infinite; empty without requests."""


@dataclass(frozen=True, slots=True)
class LatencyCounts:
    """Latencies of one variant in a window: times to first token, and times per output token by request."""

    ttft: Buckets = ()
    tpot: Buckets = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Requests that were seen, and how many of them met both targets: surely, and by the best guess between edges."""

    requests: float = 0.0
    least_kept: float = 0.0
    likely_kept: float = 0.0

    def __add__(self, more: Evidence) -> Evidence:
        return Evidence(
            self.requests + more.requests, self.least_kept + more.least_kept, self.likely_kept + more.likely_kept
        )


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Margin:
    """`share`: 0.2 where 1.2 times the load must be served. `basis`: what was known of the engine's speed, in words;
    on another one the share means something else.

    `rests_on` requests, which were seen since `since`, made it what it is. `seen` is the evidence since it became so,
    over `windows` loaded windows, `last` that of the last window, which ended at `looked_at`. It does not shrink to
    `short_share` again, at which it fell short at `short_at`; nor does it grow before `settles_at`. Those that outlive
    the operator, `since` and `short_at`, are in Unix seconds, the others of its own clock.
    """

    share: float
    basis: str
    rests_on: float = 0.0
    since: float | None = None
    seen: Evidence = NO_EVIDENCE
    windows: int = 0
    last: Evidence = NO_EVIDENCE
    looked_at: float | None = None
    short_share: float | None = None
    short_at: float = 0.0
    settles_at: float = 0.0

    @property
    def told(self) -> Margin:
        """Without what only the next window needs, which moves with each."""
        return replace(self, seen=NO_EVIDENCE, windows=0, last=NO_EVIDENCE, looked_at=None, settles_at=0.0)
