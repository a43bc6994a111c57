"""The memory of a load that decisions need, as the status keeps it: a restarted operator goes on where it was. Pure.

The status holds it in full precision, since a demand that differs in its last digit is another plan. Times are on the
wall clock there and on the operator's own clock here. A doubt is written once it has lasted a minute, so that a load
that swings round a threshold writes nothing, and a time once written is not written again because clocks drift.
"""

from __future__ import annotations

import math
import re

from medley_operator.api.v1alpha1 import LLMServiceStatus, MemoryStatus
from medley_operator.domain.load.plausible import demand_fault
from medley_operator.domain.values.leadtime import unix_seconds, utc_text
from medley_operator.domain.values.memories import LoadBasis, LoadJump, ServiceMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.regret import Regret

WRITTEN_AFTER_SECONDS = 60.0
CLOCK_DRIFT_SECONDS = 30.0
_SIZE = re.compile(r"([^/:]+)/([^/:]+):([^/:]+)")


def memory_status(memory: ServiceMemory, snapshot: Snapshot, *, before: MemoryStatus | None) -> MemoryStatus | None:
    """The memory as it is written; `before` is that of the status now. None where no load was measured."""
    regret = _regret_status(memory.regret, snapshot, before)
    demand = memory.demand
    if demand is None or not memory.had_metrics:
        return regret
    basis, jump = memory.basis, memory.jump
    load = MemoryStatus(
        requests_per_second=repr(demand.rate_rps),
        sizes=[
            f"{bucket.prompt_tokens!r}/{bucket.generation_tokens!r}:{share!r}"
            for bucket, share in zip(demand.buckets, demand.shares, strict=True)
        ],
        size_source=demand.size_source.value,
        prefix_hit_rate=repr(demand.prefix_hit_rate),
        measured_requests_per_second=repr(basis.measured_rps) if basis is not None else None,
        forecast_margin=repr(basis.forecast_margin)
        if basis is not None and basis.forecast_margin is not None
        else None,
        drifting_since=_written(memory.drifting_since, snapshot, before.drifting_since if before else None),
        falling_since=_written(memory.falling_since, snapshot, before.falling_since if before else None),
        jumping_since=_text(jump.since, snapshot, before.jumping_since if before else None) if jump else None,
        jumping_from=repr(jump.from_tokens_per_second) if jump else None,
    )
    return load if regret is None else load.model_copy(update=regret.model_dump(exclude_unset=True))


def _regret_status(regret: Regret, snapshot: Snapshot, before: MemoryStatus | None) -> MemoryStatus | None:
    """Only the account of staying; None where there is none."""
    if regret.wasted_cost <= 0 and regret.saving_per_hour <= 0:
        return None
    return MemoryStatus(
        staying_since=_text(regret.at_seconds, snapshot, before.staying_since if before else None),
        wasted_cost=repr(regret.wasted_cost),
        saving_per_hour=repr(regret.saving_per_hour),
        leaving_cost=repr(regret.leaving_cost),
    )


def remembered(uid: str, status: LLMServiceStatus, snapshot: Snapshot) -> ServiceMemory:
    """The memory of a service of which this process knows nothing; of a status that makes no sense, none."""
    kept = status.memory
    if kept is None:
        return ServiceMemory(uid=uid)
    try:
        regret = _regret(kept, snapshot)
        if not kept.sizes:
            return ServiceMemory(uid=uid, regret=regret)
        demand = _demand(kept)
        basis = _basis(kept)
        jump_from = float(kept.jumping_from) if kept.jumping_from is not None else 0.0
    except ValueError:
        return ServiceMemory(uid=uid)
    if demand_fault(demand) is not None:
        return ServiceMemory(uid=uid)
    jump_since = _since(kept.jumping_since, snapshot)
    return ServiceMemory(
        uid=uid,
        demand=demand,
        had_metrics=True,
        basis=basis,
        drifting_since=_since(kept.drifting_since, snapshot),
        falling_since=_since(kept.falling_since, snapshot),
        jump=LoadJump(jump_since, jump_from) if jump_since is not None and jump_from > 0.0 else None,
        regret=regret,
    )


def _regret(kept: MemoryStatus, snapshot: Snapshot) -> Regret:
    """Raises ValueError where a figure is not one; figures that cannot be make a new account."""
    since = _since(kept.staying_since, snapshot)
    figures = [float(text) for text in (kept.wasted_cost, kept.saving_per_hour, kept.leaving_cost)]
    if since is None or not all(0.0 <= figure < math.inf for figure in figures):
        return Regret()
    return Regret(since, *figures)


def _demand(kept: MemoryStatus) -> Demand:
    """Raises ValueError where a figure is not one; whether it can be one is for `demand_fault`."""
    parts = [_SIZE.fullmatch(size) for size in kept.sizes]
    rows = [tuple(float(figure) for figure in part.groups()) for part in parts if part is not None]
    if len(rows) < len(parts):
        raise ValueError("a size is not written as prompt/generation:share")
    return Demand(
        rate_rps=float(kept.requests_per_second),
        buckets=tuple(Bucket(prompt, generation) for prompt, generation, _ in rows),
        shares=tuple(share for _, _, share in rows),
        size_source=SizeSource(kept.size_source),
        prefix_hit_rate=float(kept.prefix_hit_rate),
    )


def _basis(kept: MemoryStatus) -> LoadBasis | None:
    if kept.measured_requests_per_second is None:
        return None
    margin = float(kept.forecast_margin) if kept.forecast_margin is not None else None
    return LoadBasis(measured_rps=float(kept.measured_requests_per_second), forecast_margin=margin)


def _written(since: float | None, snapshot: Snapshot, before: str | None) -> str | None:
    if since is None or snapshot.at_seconds - since < WRITTEN_AFTER_SECONDS:
        return None
    return _text(since, snapshot, before)


def _text(since: float, snapshot: Snapshot, before: str | None) -> str:
    at = snapshot.unix_seconds - (snapshot.at_seconds - since)
    known = unix_seconds(before)
    if before is not None and known is not None and abs(known - at) <= CLOCK_DRIFT_SECONDS:
        return before
    return utc_text(at)


def _since(text: str | None, snapshot: Snapshot) -> float | None:
    """On the operator's clock; a time to come, on a clock that is ahead of ours, counts as now."""
    at = unix_seconds(text)
    return None if at is None else snapshot.at_seconds - max(0.0, snapshot.unix_seconds - at)
