"""Leader election as a machine of values: what was seen of the Lease, what to do next, and until when we lead.

Pure; every call gets the time, of a clock that never goes back and runs on while the process is stopped. Wall clocks of
other machines are written down for people and decide nothing: a Lease is over when *we* have seen no change of it for
as long as its holder promised to renew it, and ours counts from when we asked for it, not from when the answer came.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from medley_operator.domain.values.snapshot import Manifest
from medley_operator.kube.resources import LEASES

LONGEST_PROMISE_SECONDS = 120.0
"""A record may promise no more: a typing error in it must not keep the fleet without a leader for hours."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """As in client-go: `duration` is promised to others, after `renew_deadline` without renewal we stop by ourselves.

    What lies between the two is the margin in which requests under way end before another may lead.
    """

    duration_seconds: int = 15
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0


class LeaseStep(StrEnum):
    WAIT = "wait"
    CREATE = "create"
    WRITE = "write"
    """Take or renew it, by compare-and-swap on what was seen."""


@dataclass(slots=True)
class Election:
    """One replica's side of it. `identity` is unique to the process."""

    identity: str
    times: LeaseTimes
    _lease: Manifest | None = field(default=None, init=False)
    _changed_at: float = field(default=0.0, init=False)
    _renewed_at: float | None = field(default=None, init=False)
    _create_at: float = field(default=-math.inf, init=False)
    """Where there is none: not before this time may it be made."""

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last seen; empty: nobody."""
        return str(_spec(self._lease).get("holderIdentity") or "")

    def saw(self, lease: Manifest | None, *, now: float) -> None:
        """A look at the Lease ended now. None: there is none."""
        if lease is None and self.holder not in ("", self.identity):
            # Somebody deleted it, and its holder does not know yet.
            self._create_at = now + self._promised_seconds()
        # The spec, not the resourceVersion: a label that somebody sets is no sign of life.
        if lease is None or self._lease is None or _spec(lease) != _spec(self._lease):
            self._changed_at = now
        self._lease = lease
        if lease is not None and self.holder != self.identity:
            self._renewed_at = None

    def next_step(self, now: float) -> LeaseStep:
        if self._lease is None:
            return LeaseStep.CREATE if now >= self._create_at else LeaseStep.WAIT
        free = self.holder in ("", self.identity) or now - self._changed_at > self._promised_seconds()
        return LeaseStep.WRITE if free else LeaseStep.WAIT

    def record(self, *, namespace: str, name: str, timestamp: str) -> Manifest:
        """The Lease as ours, on top of the one that was seen. `timestamp`: wall clock, RFC 3339 with microseconds."""
        old = _spec(self._lease)
        spec = {**old, "holderIdentity": self.identity, "leaseDurationSeconds": self.times.duration_seconds}
        spec["renewTime"] = timestamp
        if self._lease is None or self.holder != self.identity:
            spec["acquireTime"] = timestamp
            spec["leaseTransitions"] = 0 if self._lease is None else int(old.get("leaseTransitions") or 0) + 1
        metadata = {"namespace": namespace, "name": name} if self._lease is None else self._lease["metadata"]
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}

    def wrote(self, lease: Manifest, *, asked_at: float, now: float) -> None:
        """The Lease is ours since `asked_at`; the answer came now."""
        self._lease, self._changed_at, self._renewed_at = lease, now, asked_at

    def resign(self, *, timestamp: str) -> Manifest | None:
        """We lead no longer from this call on; the Lease that lets others in at once, or None where it is not ours."""
        leading, self._renewed_at = self._renewed_at is not None, None
        if not leading or self._lease is None or self.holder != self.identity:
            return None
        return self._lease | {"spec": {**_spec(self._lease), "holderIdentity": "", "renewTime": timestamp}}

    def seconds_left(self, now: float) -> float:
        """For how long we may still write: 0 where we do not lead."""
        if self._renewed_at is None:
            return 0.0
        return max(0.0, self._renewed_at + self.times.renew_deadline_seconds - now)

    def _promised_seconds(self) -> float:
        promised = _spec(self._lease).get("leaseDurationSeconds")
        if not isinstance(promised, int) or promised <= 0:
            promised = self.times.duration_seconds
        return min(float(promised), LONGEST_PROMISE_SECONDS)


def _spec(lease: Manifest | None) -> dict[str, Any]:
    return (lease or {}).get("spec") or {}
