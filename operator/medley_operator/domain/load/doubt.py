"""Loads that a plan may not follow at once: one that a part of the pods shows, and one that jumps. Pure.

Doubt costs capacity or money, never requests: a load that only some pods show, or new ones from their first scrape on,
may raise a plan and not lower it, and a load that is many times that of the plan is followed a step far until it has
been there for a whole window, so that two windows without a common request show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from medley_operator.domain.values.memories import LoadJump
from medley_planner.model import Demand
from medley_planner.units import req_per_second
from medley_planner.workload import mean_generation_tokens, mean_prompt_tokens

JUMP_FACTOR = 10.0
"""A load this many times that of the plan is a jump."""
JUMP_STEP = 3.0
"""The load that is planned for meanwhile, in loads of the plan before the jump."""
JUMP_FLOOR_RPS = 10.0
"""Rates up to this are followed at once, whatever they were before: a service that wakes up does not jump."""
SETTLED_SECONDS = 60.0
"""A Ready pod counts as missing in Prometheus after this time: it may not have been scraped yet."""
FIRST_SCRAPE_SECONDS = 30.0
"""A new pod has been scraped by then, at the intervals that are common (15 s and 30 s)."""


@dataclass(frozen=True, slots=True)
class PodCount:
    """Pods of one service: Ready ones, the fewest that were in the last minute, and those that Prometheus sees.
    `joined`: there are more than before the window (`have_joined`)."""

    ready: int
    settled: int
    seen: int | None
    joined: bool

    @property
    def partial(self) -> bool:
        """Whether some of the load may not be seen."""
        return self.seen is not None and self.seen < self.ready

    @property
    def told(self) -> bool:
        """Whether it is worth a word: new pods are not scraped at once."""
        return self.seen is not None and self.seen < self.settled

    @property
    def message(self) -> str:
        return (
            f"Prometheus has the load of {self.seen} pods of this service, but {self.settled} are Ready, so the plan "
            "may grow and not shrink. Check Prometheus's targets page for pods whose scrapes fail, and that no "
            "relabelling rule drops or renames their metrics (docs/metrics.md)"
        )


def ready_lately(
    before: tuple[tuple[float, int], ...], ready: int, *, at_seconds: float, window_seconds: float
) -> tuple[tuple[float, int], ...]:
    """(since when, Ready replicas) with this look's, oldest first, as far back as `settled_ready` and `have_joined`
    look."""
    known = before if before and before[-1][1] == ready else (*before, (at_seconds, ready))
    return _since(known, at_seconds - max(SETTLED_SECONDS, 2 * (window_seconds + FIRST_SCRAPE_SECONDS)))


def settled_ready(known: tuple[tuple[float, int], ...], *, at_seconds: float) -> int:
    """The fewest Ready replicas of the last minute. After a restart, those of now."""
    return min((ready for _, ready in _since(known, at_seconds - SETTLED_SECONDS)), default=0)


def have_joined(known: tuple[tuple[float, int], ...], *, at_seconds: float, window_seconds: float) -> bool:
    """Whether more replicas were Ready within the window than in the time of that length before it. `known` has a look.

    A new replica takes requests before its first scrape, and a rise is counted from there: what it held by then is
    missing in the rate, until that scrape has left the window. Replicas that come and go do not count again and again.
    """
    middle = at_seconds - window_seconds - FIRST_SCRAPE_SECONDS
    lately = max(ready for _, ready in _since(known, middle))
    # After a restart, what is there at the first look was there before.
    return lately > max(ready for since, ready in known if since <= max(middle, known[0][0]))


def _since(known: tuple[tuple[float, int], ...], from_seconds: float) -> tuple[tuple[float, int], ...]:
    """The part of it that says what was Ready from that time on."""
    past = [place for place, (since, _) in enumerate(known) if since <= from_seconds]
    return known[past[-1] :] if past else known


def load_jump(
    current: Demand | None, seen: Demand, before: LoadJump | None, *, at_seconds: float, window_seconds: float
) -> LoadJump | None:
    """The jump that is not believed yet; None where there is none, or where it has lasted for a window.

    `before`: that of the round before. A first load has nothing to be compared with.
    """
    if current is None or seen.rate_rps <= JUMP_FLOOR_RPS:
        return None
    from_tokens = before.from_tokens_per_second if before is not None else tokens_per_second(current)
    if tokens_per_second(seen) <= JUMP_FACTOR * from_tokens:
        return None
    since = before.since if before is not None else at_seconds
    return None if at_seconds - since >= window_seconds else LoadJump(since, from_tokens)


def held_down(new: Demand, jump: LoadJump) -> Demand:
    """The part of the load that is planned for while the jump is not believed."""
    step = JUMP_STEP * jump.from_tokens_per_second / _tokens(new)
    return replace(new, rate_rps=min(new.rate_rps, max(step, JUMP_FLOOR_RPS)))


def jump_message(seen: Demand, planned: Demand, *, window: str) -> str:
    return (
        f"Prometheus shows {req_per_second(seen.rate_rps)}, more than {JUMP_FACTOR:g} times the load that was planned "
        f"for. The plan is for {req_per_second(planned.rate_rps)} until the load has lasted for spec.workload.window "
        f"({window}). If there are not so many requests, check what exports the engine's metrics"
    )


def held_up(current: Demand, new: Demand) -> Demand:
    """The new load where only a part of it is seen: neither its rate nor its sizes fall below those planned for."""
    shorter = any(mean(new) < mean(current) for mean in (mean_prompt_tokens, mean_generation_tokens))
    sizes = current if shorter else new
    return replace(sizes, rate_rps=max(current.rate_rps, new.rate_rps))


def not_fallen(current: Demand, new: Demand) -> Demand:
    """The new load where a part of its requests is missing, though not of its sizes."""
    return replace(new, rate_rps=max(current.rate_rps, new.rate_rps))


def tokens_per_second(demand: Demand) -> float:
    return demand.rate_rps * _tokens(demand)


def _tokens(demand: Demand) -> float:
    return mean_prompt_tokens(demand) + mean_generation_tokens(demand)
