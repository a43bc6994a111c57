"""What a step is judged by: who was answered, where requests went, and how near their shares came to the plan. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from e2e.gateway.lifecycle import PodState
from e2e.gateway.records import Arrival, Sent

MOST_SHARE_ERROR_POINTS = 2.0
LEAST_JUDGED_REQUESTS = 3000
MOST_DRAINING_SECONDS = 2.0
"""From the deletion of a pod until a gateway must have heard of it. A Deployment that shrinks or rolls deletes pods
that serve, and nobody tells the gateway before; the pod's preStop sleep is for the requests of that time."""
_SHOWN_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """A time in which the route kept its weights. `weights` are those of the plan in force, by variant."""

    since: float
    until: float
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Played:
    """One step as it was played, from its change to the next one's. Times are Unix seconds."""

    name: str
    since: float
    until: float
    measured: Measured
    what: str
    """The mix and the images at its end."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one step. `latest_draining_seconds`: how long after its deletion a pod still got a request."""

    step: Played
    requests: int
    failures: Mapping[str, int]
    judged: int
    shares: Mapping[str, float]
    share_error_points: float
    to_not_ready: int
    to_draining: int
    latest_draining_seconds: float

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def breaches(self) -> tuple[str, ...]:
        """What must not be, in words; empty where all is well."""
        found = []
        if self.failed:
            told = ", ".join(f"{count} x {text}" for text, count in Counter(self.failures).most_common(_SHOWN_FAILURES))
            found.append(f"{self.failed} of {self.requests} requests failed: {told}")
        if self.judged < LEAST_JUDGED_REQUESTS:
            found.append(f"shares rest on {self.judged} requests, fewer than {LEAST_JUDGED_REQUESTS}")
        if self.share_error_points > MOST_SHARE_ERROR_POINTS:
            shown = ", ".join(f"{name} {100 * share:.1f} %" for name, share in sorted(self.shares.items()))
            found.append(f"shares are {shown}, with weights {dict(self.step.measured.weights)}")
        if self.to_not_ready:
            found.append(f"{self.to_not_ready} requests reached pods that were not Ready")
        if self.latest_draining_seconds > MOST_DRAINING_SECONDS:
            found.append(f"a pod got a request {self.latest_draining_seconds:.2f} s after its deletion")
        return tuple(found)


def judge(step: Played, sent: Iterable[Sent], arrivals: Iterable[Arrival]) -> Verdict:
    """`sent` and `arrivals` of the whole run."""
    requests = [each for each in sent if step.since <= each.at < step.until]
    arrived = {each.id: each for each in arrivals}
    reached = [arrived[each.id] for each in requests if each.id in arrived]
    draining = [each.state_seconds for each in reached if each.state is PodState.DRAINING]
    inside = [each for each in reached if step.measured.since <= each.at < step.measured.until]
    shares = _shares(inside)
    return Verdict(
        step=step,
        requests=len(requests),
        failures=Counter(failure for each in requests if (failure := _failure(each, arrived))),
        judged=len(inside),
        shares=shares,
        share_error_points=share_error_points(shares, step.measured.weights),
        to_not_ready=sum(each.state is PodState.NOT_READY for each in reached),
        to_draining=len(draining),
        latest_draining_seconds=max(draining, default=0.0),
    )


def share_error_points(shares: Mapping[str, float], weights: Mapping[str, int]) -> float:
    """The largest difference between the share of a variant and that of its weight, in percentage points."""
    total = sum(weights.values())
    wanted = {name: weight / total for name, weight in weights.items()} if total else {}
    return max((100 * abs(shares.get(name, 0.0) - wanted.get(name, 0.0)) for name in {*shares, *wanted}), default=0.0)


def _shares(arrivals: Sequence[Arrival]) -> dict[str, float]:
    counts = Counter(each.variant for each in arrivals)
    return {variant: count / len(arrivals) for variant, count in counts.items()}


def _failure(request: Sent, arrived: Mapping[str, Arrival]) -> str:
    if request.failure:
        return request.failure
    return "" if request.id in arrived else "an answer that no engine gave"
